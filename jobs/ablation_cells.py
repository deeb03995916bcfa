"""The tables of an ablation as plain values: what Markdown and page show of it."""

from dataclasses import dataclass

from karma.evaluation.bootstrap import JUDGED_SEEDS, JUDGED_USERS, PairedDifference


@dataclass(frozen=True, kw_only=True)
class ArmDifference(PairedDifference):
    """Of the mean over the ``seeds`` that both have; the arm itself has ``of_seeds``."""

    seeds: int
    of_seeds: int

    @property
    def colour(self) -> str:
        """``above`` or ``below`` where the whole interval is on that side of zero and enough users and seeds say so, else nothing."""
        if self.holds_zero or self.users < JUDGED_USERS or self.seeds < JUDGED_SEEDS:
            return ""
        return "above" if self.above_zero else "below"

    @property
    def brief(self) -> str:
        """Mean and interval, and the seeds where not all of the arm's count."""
        return super().brief + (f", {self.seeds} of {self.of_seeds} seeds" if self.seeds < self.of_seeds else "")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of one arm.

    Attributes:
        mean: over the targets, and over all seeds of the arm that have one; None where none has.
        difference: to the first arm, over the same users and the seeds that both have, with its 95 % interval; None for the first arm,
            and where there is no figure a user.
        to: the baseline that the difference is to, where it is to one.
    """

    column: str
    mean: float | None
    difference: ArmDifference | None = None
    to: str = ""

    @property
    def parts(self) -> tuple[str, str]:
        """The figure, and the difference beside it in brackets or nothing."""
        digits = 1 if self.column.startswith("effective_rank") else 3
        return (
            "n/a" if self.mean is None else f"{self.mean:.{digits}f}",
            f"({' to '.join(filter(None, [self.difference.brief, self.to]))})" if self.difference else "",
        )

    @property
    def text(self) -> str:
        return " ".join(part for part in self.parts if part)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm, and a cell a column.

    Attributes:
        seeds: how many it has; 0: it is a baseline, which has none.
        without: the objective that the arm has on other paths and not on this one, or nothing.
    """

    arm: str
    seeds: int
    cells: tuple[Cell, ...]
    without: str = ""

    @property
    def label(self) -> str:
        return f"{self.arm} (without {self.without})" if self.without else self.arm


@dataclass(frozen=True, kw_only=True)
class Table:
    """The arms of one path, in the order of ARMS_IN_ORDER; ``n`` targets.

    Attributes:
        beside: the baselines on the same targets, then every arm with its differences to the best of them; empty in a hidden study.
        measured: the columns of ``beside``.
    """

    path: str
    n: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    beside: tuple[Row, ...] = ()
    measured: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SliceDifference:
    """One path minus another for one arm, on one slice of the targets.

    Attributes:
        n: targets;  measure: HR@K, the mean over users of the share of their targets in the slice.
        rates: the measure on the one path and on the other, over the seeds that both have.
        difference: of these two, paired over users.
    """

    arm: str
    slice: str
    n: int
    measure: str
    rates: tuple[float, float]
    difference: ArmDifference


@dataclass(frozen=True, kw_only=True)
class PathPair:
    """Path ``path`` minus path ``to``: every arm that both were run for, all targets at each K, then slices at one.

    Attributes:
        uneven: what else than the path differs, for which arms; empty where nothing does.
    """

    path: str
    to: str
    rows: tuple[SliceDifference, ...]
    uneven: str
