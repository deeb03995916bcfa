"""Slices cut from kept columns are those that loops over the histories give."""

import numpy as np

from karma.evaluation.evaluate import History
from karma.evaluation.slices import columns_of, slices_of_columns


def history(items: int, queries: list[str | None]) -> History:
    ids: list[str | None] = [*(f"i{row}" for row in range(items)), *[None] * len(queries)]
    return History(item_ids=ids, event_types=["click"] * len(ids), queries=[None] * items + queries)


def test_slices_of_columns() -> None:
    lengths = [1, 9, 10, 49, 50, 199, 200, 500]
    histories = [history(n, ["drill"] if n % 2 else [None]) for n in lengths]
    cold, new = np.arange(8) == 1, np.arange(8) == 2
    found = slices_of_columns(columns_of(histories, cold=cold, new=new))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "cold items": [1],
        "new items": [2],
        "histories with a query": [row for row, n in enumerate(lengths) if n % 2],
        "histories of 1 to 9 events": [0, 1],
        "histories of 10 to 49 events": [2, 3],
        "histories of 50 to 199 events": [4, 5],
        "histories of 200 events and more": [6, 7],
    }


def test_a_slice_that_was_not_kept_or_is_empty_is_left_out() -> None:
    columns = columns_of([history(1, [])], cold=np.zeros(1, bool), new=np.ones(1, bool))
    assert set(slices_of_columns(columns)) == {"new items", "histories of 1 to 9 events"}
    assert slices_of_columns({"ranks": np.ones(3)}) == {}
