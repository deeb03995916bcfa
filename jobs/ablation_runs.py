"""What finished runs of an ablation left, by path, arm and seed, and one figure a user of each."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from karma.evaluation.knowledge import KINDS
from karma.evaluation.ranks import CUTOFFS
from karma.evaluation.slices import Mask, slices_of_columns
from karma.training.arms import ARMS_IN_ORDER, PATHS_IN_ORDER
from karma.training.kept import read_arrays
from karma.training.study import left_by

_NAME = re.compile(rf".*-(?P<path>{'|'.join(map(re.escape, PATHS_IN_ORDER))})-(?P<arm>{'|'.join(ARMS_IN_ORDER)})-(?P<seed>\d+)$")

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]
BASELINES = "baselines.npz"
_ASKED = "asked"
EVERY_TARGET = "all targets"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One run: ``figures`` of its json, ``arrays`` of its npz (``karma.training.study``); runs of earlier versions lack some."""

    figures: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    def figure(self, name: str) -> float | None:
        """None where the run has none: it was not measured, or there was nothing to measure."""
        value = self.figures.get(name)
        return None if value is None or np.isnan(value) else float(value)

    @cached_property
    def ranks(self) -> Ranks:
        """int64 [n], of every target; in a hidden study among the items of its own kind."""
        return self.arrays["ranks"] if "ranks" in self.arrays else self.arrays["own_kind"]

    @cached_property
    def users(self) -> npt.NDArray[np.int64]:
        """int64 [n], number of the user: targets of one user are resampled together."""
        return self.arrays["user"] if "user" in self.arrays else np.arange(len(self.ranks))

    @cached_property
    def slices(self) -> dict[str, Mask]:
        """bool [n] by name: every target, and the slices whose columns the run kept."""
        every = {EVERY_TARGET: np.ones(len(self.ranks), bool)}
        if "kind" not in self.arrays:
            return every | slices_of_columns(self.arrays)
        kinds = {f"{name} items": self.arrays["kind"] == kind for kind, name in enumerate(KINDS)}
        return every | {name: mask for name, mask in kinds.items() if mask.any()} | slices_of_columns(self.arrays)

    @cached_property
    def by_user(self) -> dict[str, Floats]:
        """One figure a user, by the name that the mean has in ``figures``; users for whom there is none are left out."""
        told = self._rates if "kind" not in self.arrays else self._rates_by_kind
        for name in ("title_found", "decodability"):
            if name in self.arrays:
                told[name] = self.mean_by_user(self.arrays[name], ~np.isnan(self.arrays[name]))
        return told

    @property
    def _rates(self) -> dict[str, Floats]:
        every = np.ones(len(self.ranks), bool)
        return {f"HR@{k}": self.mean_by_user(self.ranks <= k, every) for k in CUTOFFS}

    @property
    def _rates_by_kind(self) -> dict[str, Floats]:
        return {
            f"{name}_{ranking}HR@{k}": self.mean_by_user(self.arrays[column] <= k, self.arrays["kind"] == kind)
            for kind, name in enumerate(KINDS)
            for ranking, column in (("", "own_kind"), ("equal_", "equal_share"))
            for k in CUTOFFS
        }

    def mean_by_user(self, values: npt.NDArray[Any], of: Mask) -> Floats:
        """float64 [users]: the mean of [n] ``values`` over each user's targets ``of`` a slice, users without one left out."""
        _, number = np.unique(self.users[of], return_inverse=True)
        mean: Floats = np.bincount(number, values[of].astype(float)) / np.bincount(number)
        return mean


Seeds = Mapping[int, Finished]
Arms = Mapping[str, Seeds]


def finished_runs(folder: Path) -> dict[str, dict[str, dict[int, Finished]]]:
    """All runs in ``folder`` by path, arm and seed, paths and arms in their order; a run whose files are being replaced is left out."""
    found: dict[str, dict[str, dict[int, Finished]]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.glob("*.json")):
        if (match := _NAME.match(file.stem)) and (run := _read(file)):
            found[match["path"]][match["arm"]][int(match["seed"])] = run
    return {
        path: {arm: dict(sorted(found[path][arm].items())) for arm in ARMS_IN_ORDER if arm in found[path]}
        for path in PATHS_IN_ORDER if path in found
    }  # fmt: skip


def leave_baselines(folder: Path, asked: str, ranks: Callable[[], Mapping[str, Ranks]]) -> bool:
    """Write the baselines' ranks of the folder's targets beside its runs, whole or not at all, unless they are there; whether it did.

    Args:
        asked: digest of what the baselines were asked; ranks of another one are replaced.
    """
    if str(_left(folder).get(_ASKED)) == asked:
        return False
    draft = folder / f"{BASELINES}.{os.getpid()}.draft"  # several processes may share the folder
    with draft.open("wb") as left:
        np.savez_compressed(left, allow_pickle=False, **{_ASKED: np.array(asked)}, **ranks())
    os.replace(draft, folder / BASELINES)
    return True


def baselines_of(folder: Path, asked: str) -> dict[str, Ranks]:
    """What ``leave_baselines`` wrote of ``asked``; empty where it was not called."""
    left = dict(_left(folder))
    return left if str(left.pop(_ASKED, None)) == asked else {}


def _left(folder: Path) -> Mapping[str, npt.NDArray[Any]]:
    return read_arrays(folder / BASELINES) or {}


def _read(file: Path) -> Finished | None:
    left = left_by(file)
    return None if left is None else Finished(figures=left[0], arrays=left[1])


def widest_rate(stem: str, known: Callable[[str], bool]) -> str | None:
    """``<stem>HR@K`` of the largest K for which there is a figure: where K reaches the items that are ranked there is none."""
    return next((name for k in sorted(CUTOFFS, reverse=True) if known(name := f"{stem}HR@{k}")), None)


def paired_means(ours: Mapping[int, Floats], theirs: Mapping[int, Floats]) -> tuple[Floats, Floats] | None:
    """One figure a user of two arms, each the mean over the seeds that both have: float64 [users] twice.

    None without a common seed, or where the runs were not asked the same.
    """
    seeds = sorted(set(ours) & set(theirs))
    if not seeds or len({len(of[seed]) for of in (ours, theirs) for seed in seeds}) > 1 or len(ours[seeds[0]]) < 2:
        return None
    a, b = (np.mean([of[seed] for seed in seeds], axis=0) for of in (ours, theirs))
    return a, b
