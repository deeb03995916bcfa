from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.batching import plan_batches

LENGTHS = st.lists(st.integers(0, 300), max_size=200)
BUDGETS = st.integers(1, 1_000)


@given(LENGTHS, BUDGETS)
def test_every_row_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    plan = plan_batches(np.array(lengths, np.int64), budget)

    assert sorted(row for batch in plan.batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) > 0 for batch in plan.batches)


@given(LENGTHS, BUDGETS)
def test_the_budget_holds_but_for_a_row_that_exceeds_it_alone(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(np.array(lengths, np.int64), budget).batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) * longest <= budget or len(batch) == 1


@given(LENGTHS, BUDGETS)
def test_no_two_neighbours_would_have_fitted_together(lengths: list[int], budget: int) -> None:
    batches = plan_batches(np.array(lengths, np.int64), budget).batches

    for batch, following in pairwise(batches):
        shortest_next = min(lengths[row] for row in following)
        assert (len(batch) + 1) * max(shortest_next, 1) > budget
        assert max(lengths[row] for row in batch) <= shortest_next


@given(LENGTHS, BUDGETS)
def test_writing_results_by_row_number_restores_the_order(lengths: list[int], budget: int) -> None:
    results = np.full(len(lengths), -1)
    for batch in plan_batches(np.array(lengths, np.int64), budget).batches:
        results[batch] = [1_000 * lengths[row] + row for row in batch]

    assert results.tolist() == [1_000 * length + row for row, length in enumerate(lengths)]


@given(LENGTHS, BUDGETS)
def test_padding_is_counted_rectangle_by_rectangle(lengths: list[int], budget: int) -> None:
    plan = plan_batches(np.array(lengths, np.int64), budget)

    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in plan.batches)
    assert plan.padded_tokens.sum() == padded
    assert plan.waste == (padded / sum(lengths) if sum(lengths) else 1.0)
    assert plan.waste >= 1.0


def test_a_batch_may_fill_the_budget_exactly() -> None:
    assert [batch.tolist() for batch in plan_batches(np.array([3, 3, 3]), 6).batches] == [[0, 1], [2]]


def test_waste_by_hand() -> None:
    plan = plan_batches(np.array([5, 1, 2, 5]), 6)

    assert [batch.tolist() for batch in plan.batches] == [[1, 2], [0], [3]]
    assert plan.padded_tokens.tolist() == [5, 2, 2, 5]
    assert plan.waste == (2 + 2 + 5 + 5) / (5 + 1 + 2 + 5)


@pytest.mark.parametrize(("lengths", "budget", "why"), [([1], 0, "budget"), ([-1], 5, "negative")])
def test_refuses_what_is_no_plan(lengths: list[int], budget: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plan_batches(np.array(lengths), budget)
