"""Evaluation with an encoder whose item vectors are known and whose interest is the item of the newest event."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from karma.evaluation.evaluate import Catalogue, Evaluation, History, evaluate_targets
from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM

ITEMS = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.0, 1.0], "d": [-1.0, 0.0]}


class NewestItem:
    """Interest = vector of the newest known item, else (0, 1); it keeps the tokens that it was shown."""

    dim = 2

    def __init__(self, history_length: int = 10) -> None:
        self.manifest = SimpleNamespace(history_length=history_length)
        self.seen: list[list[int]] = []
        self.texts: list[str] = []

    def event_type_ids(self, event_types: Sequence[str]) -> list[int]:
        return [len(name) for name in event_types]

    def encode_items(self, item_ids: Sequence[str], texts: Sequence[str], visual: np.ndarray, has_visual: np.ndarray) -> np.ndarray:
        self.texts += texts
        return np.array([ITEMS[item] for item in item_ids], np.float32)

    def encode_histories(
        self, vectors: np.ndarray, kinds: np.ndarray, event_types: np.ndarray, queries: Sequence[Sequence[str | None]]
    ) -> np.ndarray:
        self.seen += kinds.tolist()
        newest = [np.flatnonzero(row == ITEM) for row in kinds]
        return np.array([vectors[row, places[-1]] if len(places) else [0.0, 1.0] for row, places in enumerate(newest)], np.float32)


def catalogue() -> Catalogue:
    n = len(ITEMS)
    return Catalogue(
        item_ids=list(ITEMS),
        titles=["A hat", None, "C", "D"],
        categories=["x", None, None, None],
        visual=np.zeros((n, 0), np.float32),
        has_visual=np.zeros(n, bool),
    )


def history(*items: str | None) -> History:
    return History(item_ids=items, event_types=["click"] * len(items), queries=[None if item else "q" for item in items])


def evaluate(encoder: NewestItem, histories: list[History], targets: list[str], mask_seen: bool) -> Evaluation:
    return evaluate_targets(encoder, catalogue(), histories, targets, mask_seen)  # type: ignore[arg-type]


def test_ranks_by_cosine_over_the_whole_catalogue() -> None:
    found = evaluate(NewestItem(), [history("c", "a"), history("a", "c"), history("d")], ["b", "d", "c"], mask_seen=False)

    # Newest a: a, b before all else. Newest c: c 1, b .1, then a and d tie at 0. Newest d: d 1, c 0.
    assert found.ranks.tolist() == [2, 4, 2]
    assert found.hit_rates == {10: None, 50: None, 200: None}  # four items only
    assert (found.corpus_size, found.mask_seen) == (4, False)


def test_seen_items_are_masked_beyond_what_the_encoder_reads() -> None:
    histories = [history("b", "d", "c", "a")]

    assert evaluate(NewestItem(2), histories, ["d"], mask_seen=True).ranks.tolist() == [1]
    assert evaluate(NewestItem(2), histories, ["d"], mask_seen=False).ranks.tolist() == [4]


def test_the_encoder_sees_the_newest_events_in_their_kinds_padded_after() -> None:
    encoder = NewestItem(history_length=3)

    evaluate(encoder, [history("a", "b", None, "new"), history("c")], ["c", "a"], mask_seen=True)

    assert sorted(encoder.seen) == sorted([[ITEM, QUERY_ONLY, UNKNOWN_ITEM], [ITEM, PADDING, PADDING]])
    assert sorted(encoder.texts) == ["[no title]", "a hat. x", "c", "d"]


def test_order_survives_sorting_by_length() -> None:
    items, rng = list(ITEMS), np.random.default_rng(0)
    newest = [items[place] for place in rng.integers(0, 4, 300)]
    histories = [history(*["c"] * int(rng.integers(0, 9)), item) for item in newest]

    ranks = evaluate(NewestItem(), histories, newest, mask_seen=False).ranks

    assert ranks.tolist() == [2 if item == "b" else 1 for item in newest]  # b.a = .9 is above b.b = .82


def test_both_clouds_are_described() -> None:
    found = evaluate(NewestItem(), [history("a"), history("a"), history("a")], ["b", "b", "b"], mask_seen=False)

    assert found.users is not None
    assert found.users.mean_cosine == pytest.approx(1)
    assert found.items is not None
    assert found.items.vectors == 4


def test_what_cannot_be_evaluated_is_named() -> None:
    with pytest.raises(ValueError, match="zebra"):
        evaluate(NewestItem(), [history("a")], ["zebra"], mask_seen=False)
    with pytest.raises(ValueError, match="1 histories for 2 targets"):
        evaluate(NewestItem(), [history("a")], ["a", "b"], mask_seen=False)
