"""The tables of an ablation as plain values: what Markdown and page show of it."""

from dataclasses import dataclass

from karma.evaluation.bootstrap import PairedDifference


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of one arm.

    Attributes:
        mean: over the seeds; None where a run has none.
        difference: to the first arm, over the same users, on the mean over the seeds that both have, with its 95 % interval; None for
            the first arm, and where there is no figure a user.
    """

    column: str
    mean: float | None
    difference: PairedDifference | None = None

    @property
    def parts(self) -> tuple[str, str]:
        """The figure, and the difference beside it in brackets or nothing."""
        digits = 1 if self.column.startswith("effective_rank") else 3
        return "n/a" if self.mean is None else f"{self.mean:.{digits}f}", f"({self.difference.brief})" if self.difference else ""

    @property
    def text(self) -> str:
        return " ".join(part for part in self.parts if part)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm: how many seeds it has, and a cell a column."""

    arm: str
    seeds: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The arms of one path, the first one that was run in front; ``n`` targets."""

    path: str
    n: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
