"""Paths of an ablation against one of them: the same arm on both, paired over the same users and seeds."""

from collections.abc import Mapping, Sequence

import numpy as np

from jobs.ablation_cells import ArmDifference, PathPair, SliceDifference
from jobs.ablation_runs import EVERY_TARGET, Arms, Finished, Floats, paired_means
from jobs.ablation_table import PAIRED, difference_of, markdown_rows
from karma.evaluation.knowledge import KINDS
from karma.evaluation.ranks import CUTOFFS
from karma.training.arms import goes_without

POOL = "pool"
SLICED_AT = 50
KIND_SLICES = {f"{kind} items": f"{kind}_" for kind in KINDS}
"""Slices of one kind of items, with what the names of their figures begin with in a hidden study."""


def path_pairs(runs: Mapping[str, Arms], against: str | None = None) -> tuple[PathPair, ...]:
    """Every other path of ``finished_runs`` minus ``against``, those left out that have no arm and seed in common with it.

    Args:
        against: default: the pool where it was run, else the first path.
    """
    to = against or (POOL if POOL in runs else next(iter(runs), POOL))
    found = {path: _rows(runs[path], runs.get(to, {})) for path in runs if path != to}
    return tuple(PathPair(path=path, to=to, rows=rows, uneven=_uneven(rows, path, to)) for path, rows in found.items() if rows)


def _uneven(rows: Sequence[SliceDifference], *paths: str) -> str:
    arms = list(dict.fromkeys(row.arm for row in rows))
    lost = {path: [arm for arm in arms if goes_without(arm, path)] for path in paths}
    return "; ".join(f"without {goes_without(of[0], path)} on {path}: {', '.join(of)}" for path, of in lost.items() if of)


def pairs_markdown(pairs: Sequence[PathPair]) -> str:
    """A table a pair, an arm a row: all targets at each K, and each kind of items; empty where there is no pair."""
    return "\n".join(_markdown(pair) for pair in pairs)


def _markdown(pair: PathPair) -> str:
    shown = [row for row in pair.rows if row.slice == EVERY_TARGET or row.slice in KIND_SLICES]
    by_arm: dict[str, dict[str, ArmDifference]] = {}
    for row in shown:
        name = row.measure if row.slice == EVERY_TARGET else f"{row.slice} {row.measure}"
        by_arm.setdefault(row.arm, {})[name] = row.difference
    columns = list(dict.fromkeys(name for of in by_arm.values() for name in of))
    rows = [
        [arm, str(next(iter(of.values())).of_seeds), *(of[name].brief if name in of else "n/a" for name in columns)]
        for arm, of in by_arm.items()
    ]
    told = "; ".join(filter(None, [f"{pair.path} minus {pair.to}, the same arm, {PAIRED}", pair.uneven]))
    return "\n".join([told, "", *markdown_rows(["arm", "seeds", *columns], rows), ""])


def _rows(ours: Arms, theirs: Arms) -> tuple[SliceDifference, ...]:
    found = (_difference(arm, name, k, ours, theirs) for arm in ours if arm in theirs for name, k in _asked(arm, ours, theirs))
    return tuple(row for row in found if row is not None)


def _asked(arm: str, ours: Arms, theirs: Arms) -> list[tuple[str, int]]:
    """Slices that every run kept, with the K at which they are compared: those below the number of items ranked."""
    runs = [*ours[arm].values(), *theirs[arm].values()]
    sliced = [name for name in runs[0].slices if name != EVERY_TARGET and all(name in run.slices for run in runs)]
    at = {name: min(cuts, key=lambda k: abs(k - SLICED_AT)) for name in sliced if (cuts := _cuts(runs[0], name))}
    return [(EVERY_TARGET, k) for k in _cuts(runs[0], EVERY_TARGET)] + list(at.items())


def _cuts(run: Finished, name: str) -> list[int]:
    begins = KIND_SLICES.get(name, "") if "kind" in run.arrays else ""
    return [k for k in CUTOFFS if any(figure.endswith(f"{begins}HR@{k}") and run.figure(figure) is not None for figure in run.figures)]


def _difference(arm: str, name: str, k: int, ours: Arms, theirs: Arms) -> SliceDifference | None:
    of_ours, of_theirs = ({seed: _hits(run, name, k) for seed, run in arms[arm].items()} for arms in (ours, theirs))
    means, difference = paired_means(of_ours, of_theirs), difference_of(of_ours, of_theirs, of_seeds=len(of_ours))
    if means is None or difference is None:
        return None
    n = int(next(iter(ours[arm].values())).slices[name].sum())
    rates = float(means[0].mean()), float(means[1].mean())
    return SliceDifference(arm=arm, slice=name, n=n, measure=f"HR@{k}", rates=rates, difference=difference)


def _hits(run: Finished, name: str, k: int) -> Floats:
    """One figure a user of the slice; none where the run did not keep it."""
    return run.mean_by_user(run.ranks <= k, run.slices.get(name, np.zeros(len(run.ranks), bool)))
