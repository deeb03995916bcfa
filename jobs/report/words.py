"""Figures in words: what a number says, and whether it is a bad sign."""

from jobs.report.facts import Cloud, Coverage, Facts
from schemas.gate_rules import CloudRules

_RULES = CloudRules()


def spread(cloud: Cloud) -> str:
    """What the effective rank of a cloud says; the bound is the gate's own."""
    if cloud.shape is None:
        return f"Fewer than two {cloud.name}: a spread cannot be told."
    rank, most = cloud.shape.effective_rank, min(cloud.dim, cloud.shape.vectors)
    text = f"The {cloud.name} use about {rank:.0f} of {most} possible directions (effective rank {rank:.1f})."
    bound = _RULES.effective_rank.minimum or 0.0
    if cloud.shape.vectors < _RULES.effective_rank.needs:
        return f"{text} With {cloud.shape.vectors} vectors that says little: {_RULES.effective_rank.needs} are needed to judge it."
    if rank < bound:
        return f"{text} That is a collapse: the gate asks for {bound:g}."
    return f"{text} A collapsed encoder has 1 to 3; the gate asks for {bound:g}."


def likeness(cloud: Cloud) -> str:
    """What the mean cosine of a cloud says."""
    if cloud.shape is None:
        return ""
    bound = _RULES.mean_cosine.maximum or 1.0
    text = f"Two {cloud.name} have a cosine of {round(cloud.shape.mean_cosine, 2) + 0.0:.2f} on average"
    return f"{text}: nearly one point for all." if cloud.shape.mean_cosine > bound else f"{text}; above {bound:g} the gate blocks."


def joined(coverage: Coverage) -> str:
    """How many impressions carry a vector, of those that could."""
    if not coverage.expected:
        return "No impression of these days could be expected to carry a vector."
    share = coverage.expected_with_vector / coverage.expected
    return f"{coverage.expected_with_vector:,} of {coverage.expected:,} impressions that could carry a vector do ({share:.1%})."


def share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "n/a"


def headline(facts: Facts) -> list[tuple[str, str, bool]]:
    """The state of the run in a few lines: what, in words, and whether it is as it should be."""
    blocked = [gate for gate in facts.gates if not gate.passed]
    refused = sum(row.rows for row in facts.refused)
    full = all(day.with_vector == day.users for day in facts.coverage.snapshots)
    first_bad = f"{blocked[0].job} of {blocked[0].ds}" if blocked else ""
    return [
        ("Gates", f"{len(blocked)} did not pass, first {first_bad}" if blocked else f"all {len(facts.gates)} passed", not blocked),
        ("Refused rows", f"{refused:,}, each in quarantine with its reason" if refused else "none", not refused),
        ("Snapshots", "every user with a history has a vector" if full else "users with a history lack a vector", full),
        ("Join", joined(facts.coverage), facts.coverage.expected_with_vector > 0),
        ("Against the baselines", *_against(facts)),
    ]


def _against(facts: Facts) -> tuple[str, bool]:
    if facts.judged is None:
        return "not measured: no held-out targets were given (TARGETS)", True
    if not facts.judged.differences:
        return "too few targets or items for a paired difference", True
    said = "; ".join(f"{difference.baseline}: {difference.in_words}" for difference in facts.judged.decisive)
    return said, all(difference.low > 0 for difference in facts.judged.decisive)
