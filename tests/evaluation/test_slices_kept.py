"""Slices cut from kept columns are those that loops over the histories give."""

import numpy as np

from karma.evaluation.baselines import HeldOut
from karma.evaluation.evaluate import History
from karma.evaluation.slices import columns_of, slices_of, slices_of_columns


def history(items: int, queries: list[str | None]) -> History:
    ids: list[str | None] = [*(f"i{row}" for row in range(items)), *[None] * len(queries)]
    return History(item_ids=ids, event_types=["click"] * len(ids), queries=[None] * items + queries)


def test_slices_of_columns() -> None:
    lengths = [1, 9, 10, 49, 50, 199, 200, 500]
    histories = [history(n, ["drill"] if n % 2 else [None]) for n in lengths]
    cold, new, typed = np.arange(8) == 1, np.arange(8) == 2, np.arange(8) % 4 == 3
    found = slices_of_columns(columns_of(histories, cold=cold, new=new, with_query=typed))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "cold items": [1],
        "new items": [2],
        "targets with a typed query": [3, 7],
        "targets without a query": [0, 1, 2, 4, 5, 6],
        "histories of 1 to 9 events": [0, 1],
        "histories of 10 to 49 events": [2, 3],
        "histories of 50 to 199 events": [4, 5],
        "histories of 200 events and more": [6, 7],
    }


def test_a_slice_that_was_not_kept_or_is_empty_is_left_out() -> None:
    columns = columns_of([history(1, [])], cold=np.zeros(1, bool), new=np.ones(1, bool), with_query=np.zeros(1, bool))
    assert set(slices_of_columns(columns)) == {"new items", "histories of 1 to 9 events"}
    assert slices_of_columns({"ranks": np.ones(3)}) == {}
    unknown = columns_of([history(1, [])], cold=np.zeros(1, bool), new=np.ones(1, bool), with_query=None)
    assert set(slices_of_columns(unknown)) == {"new items", "histories of 1 to 9 events"}


def test_both_ways_to_slices_read_one_length_and_one_query() -> None:
    """Nine events with three items, one event with an item that no catalogue holds, and a query alone: ten events with an item."""
    shown = [f"i{row % 3}" for row in range(9)]
    read = History(item_ids=[*shown, "gone", None], event_types=["click"] * 11, queries=[None] * 10 + ["drill"])
    typed, pictures = np.array([True]), np.zeros(4, bool)
    places = [np.array([0, 1, 2])]  # what baselines read where items may not be taken again: known items, once each
    held = HeldOut(histories=places, titles=["a", "b", "c", "d"], users=np.array([0]), targets=np.array([3]), mask_seen=True)
    cut = slices_of(held, [read], has_visual=pictures, with_query=typed)
    kept = slices_of_columns(columns_of([read], cold=np.array([True]), new=np.array([False]), with_query=typed))
    assert set(cut) == set(kept) == {"cold items", "targets with a typed query", "histories of 10 to 49 events"}
