"""The rule of a promotion: evidence in, findings against it out. Pure; its bounds: ``schemas/promotion_rules.py``."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobs.errors import GateBlockedError, UsageError
from jobs.promotion.evidence import Cloud, Evidence, Interval
from schemas import names
from schemas.gate_rules import Threshold
from schemas.promotion_rules import (
    BETTER,
    CLOUDS,
    CORPUS,
    DECODABILITY_MARGIN,
    DECODABLE,
    JUDGED_AT,
    MARGIN,
    NO_WORSE,
    STILL_DECODABLE,
    USERS,
)

NOT_ENOUGH_EVIDENCE = "NOT_ENOUGH_EVIDENCE"
WORSE = "WORSE_THAN_CHAMPION"
COLLAPSED = "COLLAPSED"
NOT_DECODABLE = "NOT_DECODABLE"
DECODABILITY_LOST = "DECODABILITY_LOST"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is asked of a candidate. Raises UsageError where that cannot be meant.

    Attributes:
        margin: of HR@50, what may be lost at most: the interval's lower end must not lie below ``-margin``.
        require_better: the interval must lie above zero instead.
        without_evidence: why a person promotes it whatever the comparison says, or though there is none; None: nobody does.
    """

    margin: float = MARGIN
    require_better: bool = False
    without_evidence: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise UsageError("MARGIN_OUTSIDE", "a hit rate is lost", column="--margin", expected=">= 0 and < 1", got=self.margin)
        if self.without_evidence is not None and not self.without_evidence.strip():
            hint = "the ledger keeps it"
            raise UsageError("NO_REASON", "say why", column="--without-evidence", expected="a reason", got="none", hint=hint)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that speaks against a promotion."""

    code: str
    observed: str
    expected: str
    reason: str
    hint: str

    @property
    def of_comparison(self) -> bool:
        """Whether a person may overrule it: a comparison may be out of reach, and an older encoder may have to come back.

        Collapsed vectors, or ones that nothing can be read from, are no matter of opinion.
        """
        return self.code in (NOT_ENOUGH_EVIDENCE, WORSE, DECODABILITY_LOST)

    def __str__(self) -> str:
        return f"{self.code}: {self.observed}, expected {self.expected}, because {self.reason}"


def findings(evidence: Evidence, terms: Terms) -> list[Finding]:
    """What speaks against the candidate, overruled or not; the gravest first."""
    return [*_collapse(evidence.clouds), *_decodability(evidence), *_comparison(evidence, terms), *_still_decodable(evidence)]


def refuse(against: Iterable[Finding], terms: Terms, details: dict[str, str]) -> None:
    """Raises GateBlockedError, with ``details``, where a finding is not overruled."""
    standing = [finding for finding in against if not (finding.of_comparison and terms.without_evidence)]
    if standing:
        first, rule = standing[0], "\n".join(map(str, standing))
        raise GateBlockedError(
            first.code, f"the champion stays: {rule}", table=names.ENCODER_VERSIONS, hint=first.hint,
            details={**details, "rule": rule, "hint": first.hint},
        )  # fmt: skip


def _collapse(clouds: Iterable[Cloud]) -> Iterator[Finding]:
    hint = "its vectors do not tell users or items apart: train with another seed or configuration"
    for cloud in clouds:
        figures = {"effective_rank": cloud.effective_rank, "mean_cosine": cloud.mean_cosine}
        for name, figure in figures.items():
            rule: Threshold = getattr(CLOUDS[cloud.of], name)
            if figure is not None and cloud.vectors >= rule.needs and not rule.passes(figure):
                observed = f"{name} of {cloud.of} in the {cloud.where} is {figure:.3f}"
                yield Finding(code=COLLAPSED, observed=observed, expected=rule.in_words(), reason=rule.reason, hint=hint)


def _decodability(evidence: Evidence) -> Iterator[Finding]:
    """By itself. Not measured says nothing here: a first champion may be promoted without, as the evidence then says in words."""
    found = evidence.decodability
    if not isinstance(found, str) and not found.above_zero:
        yield Finding(
            code=NOT_DECODABLE, observed=f"own vector over a stranger's: {found}", expected="an interval above zero", reason=DECODABLE,
            hint="raise the weights of the knowledge objectives; where the interval holds zero, a longer --window-days narrows it",
        )  # fmt: skip


def _comparison(evidence: Evidence, terms: Terms) -> Iterator[Finding]:
    if evidence.champion is None:
        return
    found, hint = evidence.comparison, 'a longer --window-days, or --without-evidence "why"'
    if found is None:
        yield _too_little(evidence.not_compared, "a comparison with the champion", "nobody knows what would be lost", hint)
    elif not USERS.passes(found.users):
        yield _too_little(f"{found.users} users with a target", USERS.in_words(), USERS.reason, hint)
    elif not CORPUS.passes(found.corpus):
        yield _too_little(f"{found.corpus} items", CORPUS.in_words(), CORPUS.reason, hint)
    else:
        yield from _difference(evidence, terms)


def _difference(evidence: Evidence, terms: Terms) -> Iterator[Finding]:
    assert evidence.comparison is not None
    found = evidence.comparison.differences[JUDGED_AT]
    passes = found.above_zero if terms.require_better else _no_worse(found, terms.margin)
    if not passes:
        yield Finding(
            code=WORSE,
            observed=f"HR@{JUDGED_AT} minus that of {evidence.champion}: {found}",
            expected="an interval above zero" if terms.require_better else _no_worse_in_words(terms.margin),
            reason=BETTER if terms.require_better else NO_WORSE,
            hint='a longer --window-days narrows the interval; --margin widens what may be lost; or --without-evidence "why"',
        )


def _still_decodable(evidence: Evidence) -> Iterator[Finding]:
    """Beside the champion; where nothing could be compared, ``_comparison`` has said so."""
    if evidence.champion is None or evidence.comparison is None:
        return
    found, hint = evidence.decodability_difference, 'a longer --window-days narrows the interval; or --without-evidence "why"'
    if isinstance(found, str):
        asked = f"both encoders' on {USERS.in_words()} users, which are half of those whose target has a title"
        missing = len(evidence.comparison.days_not_ingested)
        hint = 'a longer --window-days for more users, or --without-evidence "why"'
        if missing:
            hint = f"ingest the {missing} days of the window that are missing, or wait where they are still to come; {hint}"
        observed = f"decodability was not measured: {evidence.comparison.users} users with a target"
        yield _too_little(observed, asked, "nobody knows what meaning would be lost", hint)
    elif not _no_worse(found, DECODABILITY_MARGIN):
        yield Finding(
            code=DECODABILITY_LOST, observed=f"decodability minus that of {evidence.champion}: {found}",
            expected=_no_worse_in_words(DECODABILITY_MARGIN), reason=STILL_DECODABLE,
            hint=f"raise the weights of the knowledge objectives; {hint}",
        )  # fmt: skip


def _no_worse(difference: Interval, margin: float) -> bool:
    """Whether candidate minus champion rules out a loss of more than ``margin``: the lower end may lie on ``-margin``, not below it."""
    return difference.low >= -margin


def _no_worse_in_words(margin: float) -> str:
    return f"a lower end of at least {-margin:+g}"


def _too_little(observed: str, expected: str, reason: str, hint: str) -> Finding:
    return Finding(code=NOT_ENOUGH_EVIDENCE, observed=observed, expected=expected, reason=reason, hint=hint)
