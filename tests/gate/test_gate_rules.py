"""The thresholds: each has a reason, none can be changed in place."""

from dataclasses import FrozenInstanceError, fields

import pytest

from schemas.gate_rules import ACTIVITY_BUCKETS, ALWAYS, INTEREST_RULES, ITEM_RULES, RANKING_RULES, REQUEST_RULES, FrameRules, Threshold


@pytest.mark.parametrize("rules", [INTEREST_RULES, ITEM_RULES, RANKING_RULES, REQUEST_RULES], ids=lambda rules: type(rules).__name__)
def test_every_threshold_has_a_reason_and_an_open_interval_at_least_one_end(rules: FrameRules) -> None:
    filled_by_the_run = {"row_count", "dimension"}
    for field in fields(rules):
        threshold = getattr(rules, field.name)
        assert len(threshold.reason) > 20
        assert field.name in filled_by_the_run or (threshold.minimum, threshold.maximum) != (None, None)
        assert field.name not in ALWAYS or threshold.needs == 0


def test_a_threshold_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        INTEREST_RULES.unit_norm.minimum = 0.0  # type: ignore[misc]


def test_exactly_keeps_the_reason() -> None:
    assert Threshold(minimum=1, needs=3, reason="why").exactly(7) == Threshold(minimum=7, maximum=7, needs=3, reason="why")


def test_buckets_cover_every_history_once() -> None:
    assert [low for _, low, _ in ACTIVITY_BUCKETS] == [1, *(high + 1 for _, _, high in ACTIVITY_BUCKETS[:-1])]
