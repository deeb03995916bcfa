"""The user's own items: counts by loops over ids, and a step that really brings the vector nearer to them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from karma.model.own_items import APPEAL_EXPONENT, OwnItems, appeal_of_takers, times_taken, whitening
from karma.model.pooling import lags

NO_ITEM, DIM, CATALOGUE = -1, 6, 5

histories = st.lists(st.lists(st.integers(NO_ITEM, CATALOGUE - 1), min_size=4, max_size=4), min_size=1, max_size=3)


def catalogue_vectors() -> Tensor:
    return torch.nn.functional.normalize(torch.randn(CATALOGUE, DIM, generator=torch.Generator().manual_seed(3)), dim=-1)


def batch_of(items: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Vectors [b, t, d], zeros without an item, and which events have one."""
    places = torch.tensor(items)
    return catalogue_vectors()[places.clamp(min=0)] * (places >= 0)[..., None], places >= 0


@given(histories)
def test_counts_equal_a_loop_over_ids(items: list[list[int]]) -> None:
    vectors, present = batch_of(items)
    positions = torch.tensor([[1, 3]] * len(items))
    found = times_taken(vectors, present, positions)
    for row, history in enumerate(items):
        for column, position in enumerate((1, 3)):
            seen = history[: position + 1]
            expected = [seen.count(item) if step <= position and item != NO_ITEM else 0 for step, item in enumerate(history)]
            assert found[row, column].tolist() == expected


def test_a_weight_is_the_kernel_times_log_of_the_count_over_the_count_times_what_the_item_appeals() -> None:
    vectors, present = batch_of([[2, 0, 2, NO_ITEM]])
    own, positions = OwnItems(DIM, length=8, anchors=0), torch.tensor([[2]])
    own.kernel.data = torch.tensor([1.0, 0.5, 0.25, 0, 0, 0, 0, 0])
    own.appeal.data = torch.arange(DIM) / DIM
    weights = own.weights(times_taken(vectors, present, positions), lags(present.long().cumsum(1), positions), vectors)
    two, zero = (math.exp(sum(n / DIM * x for n, x in enumerate(catalogue_vectors()[item].tolist()))) for item in (2, 0))
    assert weights[0, 0].tolist() == pytest.approx([two * 0.25 * math.log(3) / 2, zero * 0.5 * math.log(2), two * math.log(3) / 2, 0.0])


def test_a_step_is_the_gradient_of_the_own_items_log_probability() -> None:
    vectors, present = batch_of([[0, 1, 1, 3]])
    own, anchors, positions = OwnItems(DIM, length=8, anchors=0), catalogue_vectors(), torch.tensor([[3]])
    own.rate.data.fill_(0.7)
    weights = own.weights(times_taken(vectors, present, positions), lags(present.long().cumsum(1), positions), vectors).detach()
    start = torch.nn.functional.normalize(torch.randn(1, 1, DIM, generator=torch.Generator().manual_seed(1)), dim=-1)
    scale, shares = own.log_scale.exp().item(), weights[0, 0] / weights.sum()
    leaf = start.clone().requires_grad_()
    log_shares = torch.log_softmax(scale * (leaf[0, 0] @ anchors.T), dim=-1)
    (sum(share * log_shares[item] for share, item in zip(shares, (0, 1, 1, 3), strict=True)) / scale).backward()
    assert leaf.grad is not None
    expected = torch.nn.functional.normalize(start + own.rate.item() * leaf.grad, dim=-1)
    assert torch.allclose(own.nearer(start, vectors, weights, anchors), expected, atol=1e-5)


def test_the_step_finds_own_items_that_the_mean_does_not() -> None:
    """Ten of 60 crowded items, twenty such crowds: after the step more of the ten are among the ten nearest."""
    own, positions = OwnItems(16, length=16, anchors=0), torch.tensor([[9]])
    by_mean, by_step = 0, 0
    for seed in range(20):
        crowd = torch.randn(60, 16, generator=torch.Generator().manual_seed(seed)) + 1.0
        anchors = torch.nn.functional.normalize(crowd, dim=-1)
        vectors, present = anchors[None, :10], torch.ones(1, 10, dtype=torch.bool)
        weights = own.weights(times_taken(vectors, present, positions), lags(present.long().cumsum(1), positions), vectors)
        mean = torch.nn.functional.normalize(weights @ vectors, dim=-1)
        by_mean += found(mean, anchors)
        by_step += found(own.nearer(mean, vectors, weights, anchors), anchors)
    assert by_step > by_mean


def found(interests: Tensor, anchors: Tensor) -> int:
    """Of the first ten anchors those among the ten nearest."""
    return int(((interests[0, 0] @ anchors.T).topk(10).indices < 10).sum())


def test_a_user_who_took_nothing_is_left_alone() -> None:
    vectors, present = batch_of([[NO_ITEM, NO_ITEM, NO_ITEM, NO_ITEM]])
    own, positions = OwnItems(DIM, length=4, anchors=0), torch.tensor([[3]])
    weights = own.weights(times_taken(vectors, present, positions), lags(present.long().cumsum(1), positions), vectors)
    start = torch.nn.functional.normalize(torch.ones(1, 1, DIM), dim=-1)
    assert torch.equal(own.term(vectors, weights), torch.zeros(1, 1, DIM))
    assert torch.allclose(own.nearer(start, vectors, weights, catalogue_vectors()), start)


def test_whitened_rows_have_no_leading_direction() -> None:
    rows = torch.randn(400, 5, generator=torch.Generator().manual_seed(2)) @ torch.diag(torch.tensor([9.0, 3, 1, 1, 1]))
    before, after = (torch.linalg.svdvals(cloud) for cloud in (rows, rows @ whitening(rows).T))
    assert before[0] / before[-1] > 8
    assert after[0] / after[-1] < 3.5


@pytest.mark.parametrize("rows", [8, 400])
def test_the_appeal_is_the_ridge_regression_of_the_takers_in_logs(rows: int) -> None:
    """By least squares on rows to which the penalty is appended, far from the origin as item vectors are."""
    crowd = torch.randn(rows, 5, generator=torch.Generator().manual_seed(4)) + 1.5
    vectors = torch.nn.functional.normalize(crowd, dim=-1)
    takers = torch.randint(0, 60, (rows,), generator=torch.Generator().manual_seed(5))
    told = [0.5 * math.log(1 + n) for n in takers.tolist()]
    inputs = torch.cat([torch.cat([vectors, torch.ones(rows, 1)], 1), torch.cat([torch.eye(5), torch.zeros(5, 1)], 1)]).double()
    expected = torch.linalg.lstsq(inputs, torch.tensor([*told, *[0.0] * 5], dtype=torch.float64)[:, None]).solution[:5, 0]
    assert APPEAL_EXPONENT == 0.5
    assert torch.allclose(appeal_of_takers(vectors, takers).double(), expected, atol=1e-5)


def test_items_of_as_many_takers_have_the_same_appeal() -> None:
    rows = torch.nn.functional.normalize(torch.randn(30, 5, generator=torch.Generator().manual_seed(4)), dim=-1)
    assert torch.equal(appeal_of_takers(rows, torch.full((30,), 7)), torch.zeros(5))


def weighed(own: OwnItems) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors of a history, its weights, and a start for the step."""
    vectors, present = batch_of([[0, 1, 1, 3]])
    positions = torch.tensor([[3]])
    start = torch.nn.functional.normalize(torch.ones(1, 1, DIM), dim=-1)
    return vectors, own.weights(times_taken(vectors, present, positions), lags(present.long().cumsum(1), positions), vectors), start


def test_the_appeal_learns() -> None:
    own = OwnItems(DIM, length=8, anchors=0)
    vectors, weights, start = weighed(own)
    own.nearer(start, vectors, weights, catalogue_vectors())[0, 0, 0].backward()
    assert own.appeal.grad is not None
    assert own.appeal.grad.abs().max() > 1e-4


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_an_appeal_out_of_all_bounds_still_gives_unit_vectors(size: float) -> None:
    own = OwnItems(DIM, length=8, anchors=0)
    own.appeal.data.fill_(size)
    vectors, weights, start = weighed(own)
    nearer = own.nearer(start, vectors, weights, catalogue_vectors())
    assert nearer.norm(dim=-1).tolist() == [[pytest.approx(1.0)]]
    assert not torch.allclose(nearer, start, atol=1e-2)
    assert own.term(vectors, weights).isfinite().all()


def test_weights_are_the_same_under_bf16() -> None:
    own = OwnItems(DIM, length=8, anchors=0)
    own.appeal.data = torch.linspace(-3, 3, DIM)
    plain = weighed(own)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(weighed(own)[1], plain)
