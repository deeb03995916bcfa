"""The table of an ablation: the mean over seeds of every arm, and its paired difference to action only."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from karma.evaluation.bootstrap import paired_difference
from karma.evaluation.knowledge import KINDS
from karma.training.arms import ARMS_IN_ORDER, PATHS_IN_ORDER

_NAME = re.compile(rf".*-(?P<path>{'|'.join(map(re.escape, PATHS_IN_ORDER))})-(?P<arm>{'|'.join(ARMS_IN_ORDER)})-(?P<seed>\d+)$")
_CUTOFFS = (10, 50, 200)
_HIDDEN = (
    *(f"{kind}_HR@200" for kind in KINDS), *(f"{kind}_equal_HR@200" for kind in KINDS), "title_found", "category_items", "word_items",
    "year_items", "category_interests", "effective_rank_interests", "title_nats",
)  # fmt: skip

Hits = Mapping[str, npt.NDArray[np.float64]]


def ablation_table(folder: Path) -> str:
    """Markdown of all finished runs in ``folder``, one table a path; empty where there is none.

    Differences are those of the first arm that was run in that path, over the same users, on the mean over the seeds that both have,
    with 95 % intervals (``paired_difference``).
    """
    runs = _runs(folder)
    return "\n".join(_table(path, arms) for path in PATHS_IN_ORDER if (arms := runs.get(path)))


def _runs(folder: Path) -> dict[str, dict[str, dict[int, tuple[Mapping[str, Any], Hits]]]]:
    """Figures and hits by path, arm and seed."""
    found: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.glob("*.json")):
        if match := _NAME.match(file.stem):
            figures = json.loads(file.read_text(encoding="utf-8"))
            found[match["path"]][match["arm"]][int(match["seed"])] = (figures, _hits(figures, dict(np.load(file.with_suffix(".npz")))))
    return found


def _hits(figures: Mapping[str, Any], left: Mapping[str, npt.NDArray[Any]]) -> Hits:
    """One figure a user, by column of the table."""
    if "ranks" in left:
        return {f"HR@{k}": (left["ranks"] <= k).astype(float) for k in _CUTOFFS}
    told = {}
    for kind, name in enumerate(KINDS):
        of_kind = left["kind"] == kind
        for column, ranks in ((f"{name}_HR@200", left["own_kind"]), (f"{name}_equal_HR@200", left["equal_share"])):
            told[column] = _by_user((ranks[of_kind] <= 200).astype(float), left["user"][of_kind])
    known = ~np.isnan(left["title_found"])
    return {**told, "title_found": _by_user(left["title_found"][known], left["user"][known])}


def _by_user(values: npt.NDArray[np.float64], users: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    _, number = np.unique(users, return_inverse=True)
    mean: npt.NDArray[np.float64] = np.bincount(number, values) / np.bincount(number)
    return mean


def _table(path: str, arms: Mapping[str, Mapping[int, tuple[Mapping[str, Any], Hits]]]) -> str:
    ordered = [arm for arm in ARMS_IN_ORDER if arm in arms]
    figures = next(iter(arms[ordered[0]].values()))[0]
    columns = [column for column in (*(f"HR@{k}" for k in _CUTOFFS), *_HIDDEN) if figures.get(column) is not None]
    head = ["arm", "seeds", *columns]
    lines = [f"path {path}, n = {figures['n']}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line([arm, str(len(arms[arm])), *(_cell(column, arms[arm], arms[ordered[0]]) for column in columns)]) for arm in ordered]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(column: str, arm: Mapping[int, tuple[Mapping[str, Any], Hits]], first: Mapping[int, tuple[Mapping[str, Any], Hits]]) -> str:
    mean = np.mean([figures[column] for figures, _ in arm.values()])
    text = f"{mean:.1f}" if column.startswith("effective_rank") else f"{mean:.3f}"
    seeds = sorted(set(arm) & set(first))
    if arm is first or not seeds or column not in arm[seeds[0]][1]:
        return text
    ours, theirs = (np.mean([runs[seed][1][column] for seed in seeds], axis=0) for runs in (arm, first))
    return f"{text} ({paired_difference(ours, theirs, seed=0, resamples=2000).brief})"
