"""Pool and language model beside each other: one unit vector, two blocks that do not see each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from karma.artefact import load_encoder
from karma.config import EncoderConfig
from karma.model.backbone import Backbone, small_llama
from karma.model.blocks import apart, beside
from karma.model.encoder import KarmaEncoder
from karma.model.interest_encoder import HistoryBatch
from karma.token_kinds import ITEM
from karma.training import train
from karma.training.data import read_training_data
from karma.training.run import Run
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

POOLED, READING = 3, 5


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True)


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 6))
def test_the_dot_product_is_the_mean_of_two_cosines(seed: int, pooled: int, reading: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    (a, b), (c, d) = ([unit(torch.randn(4, dim, generator=draws) + 0.1) for _ in range(2)] for dim in (pooled, reading))
    left, right = beside(a, c), beside(b, d)
    for row in range(4):
        cosines = (sum(x * y for x, y in zip(one[row].tolist(), other[row].tolist(), strict=True)) for one, other in ((a, b), (c, d)))
        assert float(left[row] @ right[row]) == pytest.approx(sum(cosines) / 2, abs=1e-5)
    assert torch.allclose(left.norm(dim=-1), torch.ones(4), atol=1e-5)
    for found, was in zip(apart(left, reading), (a, c), strict=True):
        assert torch.allclose(found, was, atol=1e-5)


def test_one_block_is_the_vector_itself() -> None:
    vectors = torch.randn(2, 4)
    assert all(found is vectors for found in apart(vectors, 0))


def encoder(**changes: object) -> KarmaEncoder:
    torch.manual_seed(0)
    llama = small_llama(vocabulary=20, hidden=8, layers=1, heads=2, intermediate=8, end=2)
    config = EncoderConfig.model_validate(
        {"dim": POOLED + READING, "reading_dim": READING, "history_length": 6, "visual_components": 2, "latent_semantics": 0, **changes}
    )
    made = KarmaEncoder(config, Backbone(llama.base_model), features=4, rows=3, anchors=3 if config.use_own_items else 0)
    return made.eval().requires_grad_(False)


def interests_of(made: KarmaEncoder, items: Tensor) -> Tensor:
    shape = items.shape[:2]
    batch = HistoryBatch(
        items=items, kinds=torch.full(shape, ITEM), event_types=torch.zeros(shape, dtype=torch.int64),
        query_tokens=torch.zeros(*shape, 8), query_vectors=torch.zeros(*shape, POOLED), has_query=torch.zeros(shape, dtype=torch.bool),
        anchors=items[0] if made.interest.own is not None else None,
    )  # fmt: skip
    found: Tensor = made.interest(batch, made.backbone, torch.tensor([[shape[1] - 1]] * shape[0]))[:, 0]
    return found


@pytest.mark.parametrize("use_own_items", [False, True])
def test_neither_path_reads_the_other_s_block(use_own_items: bool) -> None:
    made = encoder(use_own_items=use_own_items)
    (a, b), (c, d) = ([unit(torch.randn(2, 3, dim)) for _ in range(2)] for dim in (POOLED, READING))
    plain, pool_moved, read_moved = (interests_of(made, beside(*of)) for of in ((a, c), (b, c), (a, d)))
    assert torch.allclose(plain.norm(dim=-1), torch.ones(2), atol=1e-5)
    for moved, stays, changes in ((pool_moved, slice(POOLED, None), slice(POOLED)), (read_moved, slice(POOLED), slice(POOLED, None))):
        assert torch.allclose(moved[:, stays], plain[:, stays], atol=1e-6)
        assert not torch.allclose(moved[:, changes], plain[:, changes], atol=1e-2)


def test_an_item_s_collaborative_part_stays_in_the_pool_s_block() -> None:
    made = encoder()
    text, components, seen = torch.randn(1, 8), torch.randn(1, 2), torch.tensor([True])
    known, cold = (made.items(text, components, seen, torch.tensor([row])) for row in (1, -1))
    assert torch.equal(known[:, POOLED:], cold[:, POOLED:])
    assert not torch.allclose(known[:, :POOLED], cold[:, :POOLED], atol=1e-2)
    other = made.items(-text, components, seen, torch.tensor([1]))
    assert not torch.allclose(known[:, POOLED:], other[:, POOLED:], atol=1e-2)


def test_a_block_of_its_own_learns_at_the_full_rate_and_starts_as_something() -> None:
    assert encoder().interest.residual.weight.any()
    assert not encoder().interest.adds_to_pool
    assert encoder(reading_dim=0).interest.adds_to_pool


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_lm": False}, "needs both paths"), ({"use_pool": False}, "needs both paths"),
        ({"use_text": False, "use_visual": False}, "text or images"), ({"reading_dim": POOLED + READING}, "must leave the pool"),
    ],
)  # fmt: skip
def test_blocks_that_nothing_would_fill_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encoder(**changes)


def test_a_trained_encoder_of_two_blocks_is_served_as_it_was_trained(planted: Planted, tmp_path: object) -> None:
    config = tiny_config(encoder={**planted.config.encoder.model_dump(), "reading_dim": 8}, steps=4, validate_every=4)
    data = read_training_data(planted.data, config.encoder.event_types)
    served = load_encoder(train(config, planted.data, tmp_path / "encoders", progress=False))  # type: ignore[operator]
    run = Run.of(config, data, progress=False)
    run.fit(progress=False)
    catalogue = data.catalogue
    with torch.inference_mode():
        trained = run.learner.model.eval().items(
            run.learner.tensors.texts.read(torch.arange(len(catalogue))), run.learner.tensors.components, run.learner.tensors.has_visual,
            run.learner.tensors.rows,
        )  # fmt: skip
    found = served.encode_items(catalogue.item_ids, catalogue.texts, catalogue.features, catalogue.has_visual)
    np.testing.assert_allclose(found, trained.numpy(), atol=2e-3)
    assert found.shape == (len(catalogue), config.encoder.dim)
