"""Pool and language model beside each other: one unit vector, two blocks that do not see each other."""

from dataclasses import replace
from pathlib import Path

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
from karma.training.batches import newest, windows_of
from karma.training.data import read_training_data
from karma.training.guard import CollapseError
from karma.training.losses import item_vectors
from karma.training.optimiser import parameter_groups
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


def batch_of(made: KarmaEncoder, items: Tensor) -> HistoryBatch:
    shape = items.shape[:2]
    return HistoryBatch(
        items=items, kinds=torch.full(shape, ITEM), event_types=torch.zeros(shape, dtype=torch.int64),
        query_tokens=torch.zeros(*shape, 8), query_vectors=torch.zeros(*shape, POOLED), has_query=torch.zeros(shape, dtype=torch.bool),
        anchors=items[0] if made.interest.own is not None else None,
    )  # fmt: skip


def interests_of(made: KarmaEncoder, items: Tensor) -> Tensor:
    last = torch.tensor([[items.shape[1] - 1]] * items.shape[0])
    found: Tensor = made.interest(batch_of(made, items), made.backbone, last)[:, 0]
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


def test_the_state_starts_as_something_in_its_block() -> None:
    assert encoder().interest.residual.weight.any()
    assert not encoder(reading_dim=0).interest.residual.weight.any()


def test_states_that_are_missing_do_not_shorten_the_vector() -> None:
    made = encoder()
    with pytest.raises(ValueError, match="where there is a language model"):
        made.interest.combine(batch_of(made, torch.zeros(1, 2, POOLED + READING)), None, torch.tensor([[1]]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_lm": False}, "needs both paths"), ({"use_pool": False}, "needs both paths"),
        ({"use_text": False, "use_visual": False}, "text or images"), ({"reading_dim": POOLED + READING}, "each block needs"),
        ({"reading_dim": 1}, "each block needs"), ({"reading_dim": POOLED + READING - 1}, "each block needs"),
    ],
)  # fmt: skip
def test_blocks_that_nothing_would_fill_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encoder(**changes)


@pytest.mark.parametrize("use_own_items", [False, True])
def test_a_trained_encoder_of_two_blocks_is_served_as_it_was_trained(planted: Planted, tmp_path: Path, use_own_items: bool) -> None:
    """Items and interests of the held-out users, from the artefact and from the module that training left."""
    encoder = {**planted.config.encoder.model_dump(), "reading_dim": 6, "history_length": 16, "use_own_items": use_own_items}
    config = tiny_config(encoder=encoder, steps=4, validate_every=4)
    read = read_training_data(planted.data, config.encoder.event_types)
    folder = train(config, planted.data, tmp_path / "encoders", progress=False)
    assert "The last 6 are the language model's" in (folder / "README.md").read_text()
    served = load_encoder(folder)
    run = Run.of(config, read, progress=False)
    run.fit(progress=False)
    model, tensors, last = run.learner.model.eval(), run.learner.tensors, run.validation.split.last_seen
    with torch.inference_mode():
        trained = item_vectors(model, tensors, torch.arange(len(read.catalogue)))
        interests = run.validation._interests(model, trained, last)
    catalogue, told = read.catalogue, read.histories
    items = served.encode_items(catalogue.item_ids, catalogue.texts, catalogue.features, catalogue.has_visual)
    np.testing.assert_allclose(items, trained.numpy(), atol=1e-5)
    windows = windows_of(told, newest(told, last, config.encoder.history_length))
    known = windows.items >= 0
    vectors = np.where(known[..., None], items[windows.items.clip(0)], 0).astype(np.float32)
    queries = [[told.query_texts[query] if query >= 0 else None for query in row] for row in windows.queries]
    assert any(query for row in queries for query in row)
    found = served.encode_histories(vectors, windows.kinds, windows.event_types, queries)
    np.testing.assert_allclose(found, interests.numpy(), atol=1e-4)


def test_both_towers_read_whitened_texts_and_one_alone_holds_the_images_basis(planted: Planted) -> None:
    config = tiny_config(encoder={**planted.config.encoder.model_dump(), "reading_dim": 6})
    model = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False).learner.model
    assert model.reading_tower is not None
    assert model.tower.text_mean.any()
    assert torch.equal(model.reading_tower.text_mean, model.tower.text_mean)
    assert model.tower.visual_basis.any()
    assert not len(model.reading_tower.visual_basis)
    assert model.reading_tower.visual is not None


@pytest.mark.parametrize(("reading_dim", "rate"), [(6, 5e-3), (0, 1e-3)])
def test_the_state_learns_at_the_full_rate_in_its_block_and_slowly_as_a_residual(planted: Planted, reading_dim: int, rate: float) -> None:
    config = tiny_config(encoder={**planted.config.encoder.model_dump(), "reading_dim": reading_dim})
    learner = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False).learner
    groups = [group for group in parameter_groups(learner) if any(of is learner.model.interest.residual.weight for of in group["params"])]
    assert [group["initial_lr"] for group in groups] == [pytest.approx(rate)]


@pytest.mark.parametrize(
    ("part", "said"),
    [("reading_base", "two interest vectors in the reading block"), ("reading_tower", "the item vectors in the reading block")],
)
def test_a_run_whose_reading_block_is_dead_is_stopped(planted: Planted, part: str, said: str) -> None:
    """The whole vectors are spread well enough to pass."""
    encoder = {**planted.config.encoder.model_dump(), "reading_dim": 6}
    config = tiny_config(encoder=encoder, steps=6, validate_every=3, learning_warm_up=3, guard={"fewest_vectors": 10})
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    if part == "reading_base":
        run.learner.model.interest.reading_base.data[0] = 1e4
    else:
        run.learner.model.reading_tower.bias.data[0] = 1e4
    with pytest.raises(CollapseError, match=said) as stopped:
        run.fit(progress=False)
    assert "interest vectors is" not in str(stopped.value)
    assert "item vectors is" not in str(stopped.value)


def test_one_image_for_all_tells_nothing_and_neither_does_the_next(planted: Planted) -> None:
    """A placeholder: on the scale of what tells its copies apart, the first real image would drown all else."""
    config = tiny_config()
    read = read_training_data(planted.data, config.encoder.event_types)
    features = np.where(read.catalogue.has_visual[:, None], read.catalogue.features[read.catalogue.has_visual][:1], 0.0).astype(np.float32)
    same = replace(read, catalogue=replace(read.catalogue, features=features))
    assert not Run.of(config, same, progress=False).learner.model.tower.visual_basis.any()
