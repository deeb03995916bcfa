"""Everything that the page of an ablation shows, as plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.ablation_cells import PathPair, Table
from jobs.report.facts import Floats


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One measure of one arm at ascending ``steps``: mean, smallest and largest over the seeds that were measured at the step."""

    arm: str
    steps: tuple[int, ...]
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True)
class Attended:
    """The mean attention map float [s, s] of an arm, mean over its seeds, with the score of its sinks; ``untrained``: that of step 0."""

    arm: str
    mean_map: Floats
    score: float
    untrained: float | None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What one arm's vector is read as, and the rank that the arm gave to what was taken."""

    path: str
    arm: str
    rank: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """A held-out user: the last titles of the history, oldest first, what was taken next, and what each arm has to say."""

    history: tuple[str, ...]
    took: str
    written: tuple[Written, ...]


@dataclass(frozen=True, kw_only=True)
class PathFacts:
    """One path.

    Attributes:
        curves: by the name of the measure.
        is_hidden: whether the curves are of hidden items, else of what training validated on.
        spectra: by arm the singular values of its interests as shares of their sum, mean over its seeds.
        attention: the arms' maps, the first arm's in front;  before: the first arm's map of step 0, where it was kept.
    """

    table: Table
    curves: Mapping[str, tuple[Curve, ...]]
    is_hidden: bool
    spectra: Mapping[str, Floats]
    attention: tuple[Attended, ...]
    before: Attended | None

    @property
    def name(self) -> str:
        return self.table.path


@dataclass(frozen=True, kw_only=True)
class AblationFacts:
    """The page.

    Attributes:
        shared_top: in a hidden study, length of the list in which hidden items get their share;  decoys: titles beside a target's own.
        told: of ``told_seed``; empty where no run was asked for it.
    """

    runs: int
    seeds: tuple[int, ...]
    paths: tuple[PathFacts, ...]
    pairs: tuple[PathPair, ...]
    shared_top: int | None
    decoys: int | None
    told: tuple[Told, ...]
    told_seed: int | None

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm that was run, in the order of the tables."""
        return tuple(dict.fromkeys(row.arm for path in self.paths for row in path.table.rows))
