"""Declared rules: a threshold of ``schemas.gate_rules`` bound to a frame and to the figure or rows that it judges."""

import math
from dataclasses import dataclass

from karma.evaluation.spectrum import Moments, Spectrum
from schemas.gate_rules import ALWAYS, CloudRules, FrameRules, Threshold

# What a rule looks at: the number of rows, a scalar of every row, or one figure of the whole frame.
ROW_COUNT = "row_count"
EVERY_ROW = "every_row"
FIGURE = "figure"

# Offenders that a result names, at most.
EXAMPLES = 8


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule on one frame.

    Attributes:
        kind: ROW_COUNT, EVERY_ROW or FIGURE.
        column: the scalar of a row (EVERY_ROW), or None: a figure is called ``<frame>_<name>``.
        figure: the value judged (FIGURE).
        absent: why it cannot be judged; None = it can. A rule of ``ALWAYS`` that cannot be judged fails.
        skips_nulls: whether rows without this scalar are left out (EVERY_ROW); otherwise such a row is a failure.
        expected_rows: rows that the frame should hold: an empty frame passes only where this is 0.
        examples: a few offenders, named beside the figure.
    """

    name: str
    frame: str
    threshold: Threshold
    kind: str
    column: str | None = None
    figure: float = math.nan
    absent: str | None = None
    skips_nulls: bool = False
    expected_rows: int = 0
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Spark holds NaN greater than any number, so a bound on every row needs both ends to refuse it.
        if self.kind == EVERY_ROW and (self.threshold.minimum is None or self.threshold.maximum is None):
            raise ValueError(f"rule {self.name} judges every row and needs both bounds")

    @property
    def always(self) -> bool:
        return self.name in ALWAYS and not self.skips_nulls

    @property
    def key(self) -> str:
        return f"{self.frame}_{self.name}"


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """What was counted in one frame.

    Attributes:
        frame: its name.
        rows: rows staged. expected_rows: rows that should be there.
        missing: expected keys without a row. extra: rows whose key is not expected.
        shared: rows whose vector another fingerprint has too.
        moments: of the usable vectors; None where the frame is no cloud.
        missing_examples, extra_examples: a few keys.
    """

    frame: str
    rows: int
    expected_rows: int
    missing: int
    extra: int
    shared: int = 0
    moments: Moments | None = None
    missing_examples: tuple[str, ...] = ()
    extra_examples: tuple[str, ...] = ()

    def absent(self, threshold: Threshold, available: int | None = None, what: str = "rows") -> str | None:
        """Why ``threshold`` cannot be judged on ``available`` (default: all) rows, or None where it can."""
        found = self.rows if available is None else available
        return None if found >= threshold.needs else f"{found} {what}, needs {threshold.needs}"

    def figure(self, name: str, threshold: Threshold, value: float, *, absent: str | None = None, examples: tuple[str, ...] = ()) -> Rule:
        return Rule(
            name=name, frame=self.frame, threshold=threshold, kind=FIGURE, figure=value, absent=absent, examples=examples
        )  # fmt: skip

    def every_row(self, name: str, threshold: Threshold, column: str, *, absent: str | None = None, skips_nulls: bool = False) -> Rule:
        """A rule on the scalar ``column`` of every row."""
        return Rule(
            name=name, frame=self.frame, threshold=threshold, kind=EVERY_ROW, column=column,
            absent=absent or self.absent(threshold), skips_nulls=skips_nulls, expected_rows=self.expected_rows,
        )  # fmt: skip


def count_rules(facts: FrameFacts, rules: FrameRules) -> list[Rule]:
    """Rows against expected keys: the number, and who is missing or was not asked for."""
    return [
        Rule(name="row_count", frame=facts.frame, threshold=rules.row_count.exactly(facts.expected_rows), kind=ROW_COUNT),
        facts.figure("missing_rows", rules.missing_rows, facts.missing, examples=facts.missing_examples),
        facts.figure("extra_rows", rules.extra_rows, facts.extra, examples=facts.extra_examples),
    ]


def row_rules(facts: FrameFacts, rules: FrameRules) -> list[Rule]:
    """Required columns and keys of every row."""
    return [
        facts.every_row("no_nulls", rules.no_nulls, "null_columns"),
        facts.every_row("keys_unique", rules.keys_unique, "rows_of_key"),
    ]


def vector_rules(facts: FrameFacts, rules: FrameRules, dimension: int, *, vectors: int | None = None) -> list[Rule]:
    """Each vector by itself. ``vectors``: how many rows have one, where a row may have none; None = every row should."""
    optional = vectors is not None
    absent = "no row has a vector" if vectors == 0 else None
    return [
        facts.every_row("dimension", rules.dimension.exactly(dimension), "dimension", absent=absent, skips_nulls=optional),
        facts.every_row("finite", rules.finite, "non_finite", absent=absent, skips_nulls=optional),
        facts.every_row("unit_norm", rules.unit_norm, "norm", absent=absent, skips_nulls=optional),
    ]


def cloud_rules(facts: FrameFacts, rules: CloudRules) -> list[Rule]:
    """The vectors of a frame beside each other: has the cloud collapsed?"""
    moments = facts.moments
    usable = moments.count if moments else 0
    spectrum = moments.spectrum() if moments and usable >= 2 else None

    def of_spectrum(name: str, threshold: Threshold) -> Rule:
        value = _figure_of(spectrum, name)
        return facts.figure(name, threshold, value, absent=facts.absent(threshold, usable, "rows with a usable vector"))

    share = facts.shared / facts.rows if facts.rows else 0.0
    return [
        facts.figure("duplicates", rules.duplicates, share, absent=facts.absent(rules.duplicates)),
        of_spectrum("effective_rank", rules.effective_rank),
        of_spectrum("first_component_share", rules.first_component_share),
        of_spectrum("mean_cosine", rules.mean_cosine),
    ]


def _figure_of(spectrum: Spectrum | None, name: str) -> float:
    # NaN lies in no interval: a rule that is judged without a spectrum fails.
    return float(getattr(spectrum, name)) if spectrum else math.nan
