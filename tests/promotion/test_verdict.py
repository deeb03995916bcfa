"""The rule of a promotion on hand-made evidence: no encoder, no table."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import GateBlockedError, UsageError
from jobs.promotion.evidence import NO_CHAMPION, Cloud, Comparison, Evidence, Interval
from jobs.promotion.verdict import COLLAPSED, DECODABILITY_LOST, NOT_DECODABLE, NOT_ENOUGH_EVIDENCE, WORSE, Terms, findings, refuse
from schemas import names


def cloud(**figures: Any) -> Cloud:
    return Cloud(**{"of": "items", "where": "label window", "vectors": 500, "effective_rank": 30.0, "mean_cosine": 0.4, **figures})


def interval(low: float, high: float, users: int = 500) -> Interval:
    return Interval(mean=(low + high) / 2, low=low, high=high, users=users)


def evidence(at_50: Interval | None = None, *, users: int = 500, corpus: int = 900, **facts: Any) -> Evidence:
    """Of a candidate against which nothing speaks, but for what is given."""
    comparison = Comparison(
        since="2026-03-01T00:00:00+00:00", window_days=28, days_not_ingested=(), users=users, corpus=corpus,
        hit_rates={"candidate": {50: 0.3}, "champion": {50: 0.3}}, differences={50: at_50 or interval(-0.01, 0.03)},
    )  # fmt: skip
    plain = {"candidate": "new", "champion": "old", "clouds": (cloud(), cloud(of="interests")), "comparison": comparison}
    decodable = {"decodability": interval(0.3, 0.5), "decodability_difference": interval(-0.1, 0.1)}
    return Evidence(**{**plain, **decodable, **facts})


FIRST = {"champion": None, "comparison": None, "not_compared": NO_CHAMPION, "decodability_difference": "not_measured"}


def codes(found: Evidence, **terms: Any) -> list[str]:
    return [finding.code for finding in findings(found, Terms(**terms))]


@pytest.mark.parametrize(
    ("low", "terms", "expected"),
    [
        (-0.01, {}, []),  # on the margin
        (-0.0101, {}, [WORSE]),
        (-0.0101, {"margin": 0.02}, []),
        (0.0, {"margin": 0.0}, []),
        (0.0, {"require_better": True}, [WORSE]),  # zero is not better
        (0.0001, {"require_better": True}, []),
        (-0.01, {"require_better": True, "margin": 0.5}, [WORSE]),  # the margin is no way round it
    ],
)
def test_the_lower_end_decides(low: float, terms: dict[str, Any], expected: list[str]) -> None:
    assert codes(evidence(interval(low, 0.2)), **terms) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"users": 200, "corpus": 51}, []),
        ({"users": 199}, [NOT_ENOUGH_EVIDENCE]),
        ({"corpus": 50}, [NOT_ENOUGH_EVIDENCE]),
        ({"comparison": None, "not_compared": "its folder is lost"}, [NOT_ENOUGH_EVIDENCE]),
        (FIRST, []),  # it has nobody to be compared with
    ],
)
def test_a_small_comparison_proves_nothing(facts: dict[str, Any], expected: list[str]) -> None:
    assert codes(evidence(**facts)) == expected


def test_what_a_small_comparison_seems_to_say_is_not_judged() -> None:
    assert codes(evidence(interval(-0.5, -0.4), users=199)) == [NOT_ENOUGH_EVIDENCE]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"effective_rank": 5.0, "mean_cosine": 0.9}, []),  # on the gate's bounds
        ({"effective_rank": 4.9}, [COLLAPSED]),
        ({"mean_cosine": 0.91}, [COLLAPSED]),
        ({"effective_rank": 1.0, "mean_cosine": 1.0}, [COLLAPSED, COLLAPSED]),
        ({"effective_rank": math.nan}, [COLLAPSED]),
        ({"mean_cosine": None}, []),
        ({"effective_rank": 1.0, "vectors": 49}, []),  # too few to tell
        ({"effective_rank": 1.0, "vectors": 50}, [COLLAPSED]),
    ],
)
@pytest.mark.parametrize("of", ["items", "interests"])
def test_collapsed_vectors_are_refused(of: str, figures: dict[str, Any], expected: list[str]) -> None:
    assert codes(evidence(clouds=(cloud(), cloud(of=of, **figures)))) == expected


@pytest.mark.parametrize("facts", [{}, FIRST])
@pytest.mark.parametrize(
    ("decodability", "expected"),
    [(interval(0.01, 0.3), []), (interval(0.0, 0.3), [NOT_DECODABLE]), (interval(-0.2, -0.1), [NOT_DECODABLE])],
)
def test_vectors_that_say_nothing_are_refused(decodability: Any, expected: list[str], facts: dict[str, Any]) -> None:
    assert codes(evidence(decodability=decodability, **facts)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.1, 0.1, []),  # on the margin
        (-0.101, 0.3, [DECODABILITY_LOST]),  # a loss is not ruled out
        (-0.45, -0.25, [DECODABILITY_LOST]),  # from 0.40 to 0.05, which by itself is above zero
        (-0.05, -0.01, []),
    ],
)
def test_meaning_that_the_champion_had_must_not_be_lost(low: float, high: float, expected: list[str]) -> None:
    assert codes(evidence(decodability=interval(0.02, 0.08), decodability_difference=interval(low, high)), margin=0.9) == expected


def test_the_gravest_comes_first() -> None:
    found = evidence(interval(-0.5, -0.4), decodability=interval(-0.1, 0.1), decodability_difference=interval(-0.5, -0.3))
    assert codes(found) == [NOT_DECODABLE, WORSE, DECODABILITY_LOST]


def test_beside_a_champion_decodability_has_to_be_measured() -> None:
    unknown = {"decodability": "not_measured", "decodability_difference": "not_measured"}
    assert codes(evidence(**unknown)) == [NOT_ENOUGH_EVIDENCE]
    assert codes(evidence(decodability_difference="not_measured")) == [NOT_ENOUGH_EVIDENCE]
    assert codes(evidence(**{**FIRST, **unknown})) == []
    assert evidence(**{**FIRST, **unknown}).in_words() == f"{NO_CHAMPION}; decodability not_measured"


def test_a_refusal_names_code_figures_and_hint() -> None:
    terms, found = Terms(), evidence(interval(-0.1, 0.0))
    with pytest.raises(GateBlockedError, match=r"\[WORSE_THAN_CHAMPION\].*-0\.050 \[-0\.100, \+0\.000\] \(n = 500\)") as refused:
        refuse(findings(found, terms), terms, {"version": "new"})
    assert refused.value.exit_code == names.EXIT_GATE_BLOCKED
    assert refused.value.details.keys() == {"version", "rule", "hint"}
    assert "--without-evidence" in refused.value.details["hint"]


@pytest.mark.parametrize(
    "found",
    [
        evidence(interval(-0.9, -0.8)),
        evidence(users=0),
        evidence(decodability_difference=interval(-0.5, -0.3)),
        evidence(decodability_difference="not_measured"),
    ],
)
def test_a_person_may_overrule_the_comparison(found: Evidence) -> None:
    terms = Terms(without_evidence="back to the last one that worked")
    refuse(findings(found, terms), terms, {})


@pytest.mark.parametrize(
    "facts",
    [{"clouds": (cloud(effective_rank=1.0),)}, {"decodability": interval(-1, 0)}, {"clouds": (cloud(mean_cosine=1.0),), "users": 0}],
)
def test_nobody_overrules_vectors_that_say_nothing(facts: dict[str, Any]) -> None:
    terms = Terms(without_evidence="it is urgent")
    with pytest.raises(GateBlockedError, match=f"{COLLAPSED}|{NOT_DECODABLE}"):
        refuse(findings(evidence(**facts), terms), terms, {})


@pytest.mark.parametrize("terms", [{"margin": -0.1}, {"margin": 1.0}, {"margin": math.nan}, {"without_evidence": "  "}])
def test_terms_that_cannot_be_meant(terms: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"MARGIN_OUTSIDE|NO_REASON"):
        Terms(**terms)


shares = st.floats(-1, 1)


@given(ends=st.tuples(shares, shares), margin=st.floats(0, 0.99), users=st.integers(0, 500))
def test_more_is_never_refused_where_less_is_granted(ends: tuple[float, float], margin: float, users: int) -> None:
    """A higher interval, more users, or a wider margin turn no grant into a refusal; strictly better implies no worse."""
    low, high = sorted(ends)
    found = evidence(interval(low, high), users=users)
    granted = codes(found, margin=margin) == []
    assert granted == (users >= 200 and low >= -margin)
    if granted:
        assert codes(evidence(interval(min(1, low + 0.1), 1), users=users + 1), margin=margin) == []
        assert codes(found, margin=min(0.99, margin + 0.1)) == []
    if codes(found, require_better=True) == []:
        assert granted


@given(ends=st.tuples(shares, shares), rank=st.floats(1, 128), cosine=st.none() | shares, users=st.integers(0, 500))
def test_the_ledger_keeps_evidence_whole(ends: tuple[float, float], rank: float, cosine: float | None, users: int) -> None:
    low, high = sorted(ends)
    found = evidence(interval(low, high), users=users, clouds=(cloud(effective_rank=rank, mean_cosine=cosine),))
    assert Evidence.model_validate_json(found.model_dump_json()) == found
