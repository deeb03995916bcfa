"""The model's parts against loops, and the vector that guards ENCODER_CODE_VERSION."""

import numpy as np
import pytest
import torch
from torch import Tensor

from karma.config import EncoderConfig
from karma.manifest import ENCODER_CODE_VERSION, Manifest
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.model.item_tower import ItemTower
from karma.model.pooling import RecencyPool
from karma.serving import ServingEncoder
from karma.token_kinds import ITEM, QUERY_ONLY, UNKNOWN_ITEM
from karma.tokenizer import train_tokenizer


def loop_pool(pool: RecencyPool, items: Tensor, has_item: Tensor, queries: Tensor, has_query: Tensor, position: int) -> Tensor:
    """One history, one position: item lags count items, query lags count events."""
    total = torch.zeros(items.shape[1])
    for gate, kernel in zip(pool.gates, pool.kernels, strict=True):
        newest_first = [items[event] for event in range(position, -1, -1) if has_item[event]]
        mean = sum((float(kernel[lag]) * vector for lag, vector in enumerate(newest_first[: len(kernel)])), torch.zeros(items.shape[1]))
        total = total + gate * mean / mean.norm().clamp(min=1e-12)
    asked = torch.zeros(items.shape[1])
    for lag, event in enumerate(range(position, -1, -1)):
        if has_query[event] and lag < len(pool.query_kernel):
            asked = asked + float(pool.query_kernel[lag]) * queries[event]
    return total + pool.query_gate * asked / asked.norm().clamp(min=1e-12)


def test_pooling_equals_a_loop() -> None:
    torch.manual_seed(0)
    pool = RecencyPool(dim=3, length=4, exponents=(1.0, 0.3))
    for parameter in pool.requires_grad_(False).parameters():
        parameter.normal_()
    items, queries = torch.randn(2, 7, 3), torch.randn(2, 7, 3)
    has_item, has_query = torch.rand(2, 7) < 0.6, torch.rand(2, 7) < 0.4
    has_item[1, :3] = has_query[1, :3] = False
    positions = torch.tensor([[6, 3], [2, 5]])
    pooled = pool(items, has_item, queries, has_query, positions)
    for row in range(2):
        for place, position in enumerate(positions[row].tolist()):
            expected = loop_pool(pool, items[row], has_item[row], queries[row], has_query[row], position)
            assert torch.allclose(pooled[row, place], expected, atol=1e-5)
    assert not pooled[1, 0].any()


def test_kernels_start_as_the_recipe_s() -> None:
    pool = RecencyPool(dim=2, length=3, exponents=(1.0, 0.3))
    assert pool.kernels.tolist() == [pytest.approx([1, 1 / 2, 1 / 3]), pytest.approx([1, 2**-0.3, 3**-0.3])]


def tower() -> ItemTower:
    torch.manual_seed(1)
    made = ItemTower(EncoderConfig(dim=4, visual_components=2), text_width=3, features=5, rows=2)
    for parameter in made.parameters():
        parameter.data.normal_()
    made.visual_mean.normal_()
    made.visual_basis.normal_()
    return made


def test_item_vectors_are_the_normalised_sum_of_their_parts() -> None:
    made = tower()
    text, features = torch.randn(4, 3), torch.randn(4, 5)
    has_visual, rows, keep = torch.tensor([True, False, True, True]), torch.tensor([1, 0, -1, 0]), torch.tensor([True, True, True, False])
    found = made(text, made.reduce(features), has_visual, rows, keep)
    for item in range(4):
        picture = made.visual.weight @ (made.visual_basis.T @ (features[item] - made.visual_mean)) if has_visual[item] else made.no_visual
        collaborative = made.collaborative.weight[rows[item]] if rows[item] >= 0 and keep[item] else 0.0
        total = made.bias + made.text.weight @ text[item] + picture + collaborative
        assert torch.allclose(found[item], total / total.norm(), atol=1e-5)


def test_the_residual_starts_at_zero_beside_a_pool_only() -> None:
    llama = small_llama(vocabulary=20, hidden=8, layers=1, heads=2, intermediate=8, end=2)
    sizes = {"features": 0, "rows": 0}
    beside = KarmaEncoder(EncoderConfig(dim=4, use_visual=False), Backbone(llama.base_model), **sizes)
    alone = KarmaEncoder(EncoderConfig(dim=4, use_visual=False, use_pool=False), Backbone(llama.base_model), **sizes)
    assert not beside.interest.residual.weight.any()
    assert alone.interest.residual.weight.any()


def test_without_the_language_model_only_its_embeddings_are_kept() -> None:
    llama = small_llama(vocabulary=20, hidden=8, layers=1, heads=2, intermediate=8, end=2)
    encoder = KarmaEncoder(EncoderConfig(dim=4, use_lm=False), Backbone(llama.base_model, keep_layers=False), features=0, rows=0)
    assert [name for name in encoder.state_dict() if name.startswith("backbone")] == ["backbone._embeddings.weight"]


def test_an_encoder_that_reads_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="use_lm or use_pool"):
        EncoderConfig(use_lm=False, use_pool=False)
    with pytest.raises(ValueError, match="all parts"):
        EncoderConfig(use_collaborative=False, use_text=False, use_visual=False)


GOLDEN_VERSION = "4"
GOLDEN_ITEM = [
    -0.831661, 0.086875, 0.276906, -0.473410,
    -0.895840, 0.226971, -0.159061, -0.347355,
    -0.758449, 0.644756, -0.045492, -0.083517,
]  # fmt: skip
GOLDEN_INTEREST = [-0.668809, -0.619299, -0.099121, 0.399173]
GOLDEN_WITH_OWN_ITEMS = [-0.678924, -0.507151, -0.509230, -0.150148]
GOLDEN_IN_BLOCKS = [0.366328, -0.604817, -0.295279, -0.642503]


def golden_encoder(*, own_items: bool = False, reading_dim: int = 0) -> ServingEncoder:
    """Weights from a formula, so that no random generator's version matters."""
    tokenizer = train_tokenizer(["red hat", "blue coat"], 280)
    llama = small_llama(vocabulary=len(tokenizer), hidden=8, layers=1, heads=2, intermediate=8, end=2)
    config = EncoderConfig(
        dim=4, reading_dim=reading_dim, history_length=6, visual_components=2, latent_semantics=5, use_own_items=own_items
    )
    model = KarmaEncoder(config, Backbone(llama.base_model), features=3, rows=2, anchors=3 if own_items else 0)
    for number, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        offset = 1.0 if "norm" in name or "own.kernel" in name else 0.0
        tensor.copy_(offset + 0.5 * torch.sin(torch.arange(tensor.numel()) * 0.7 + number).view(tensor.shape))
    manifest = Manifest(
        version="golden", space_id="", dim=4, renderer_version="1", vision_digest="", vision_spec="", history_length=6,
        event_types=("query", "click"), trained_until="", files={}, metrics={}, protocol="time_split", training_tables={}, config={},
    )  # fmt: skip
    return ServingEncoder(manifest, model, tokenizer, {"a": 0, "b": 1})


def golden_vectors(encoder: ServingEncoder) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of three items, and of one history of a known, an unknown and a cold item and two queries."""
    visual, has_visual = np.array([[1, 2, 3], [0, 0, 0], [3, 1, 2]], np.float32), np.array([True, False, True])
    items = encoder.encode_items(["a", "cold", "b"], ["red hat", "blue coat", "[no title]"], visual, has_visual)
    vectors = np.stack([items[0], 0 * items[0], items[2], 0 * items[0], items[1]])[None]
    kinds = np.array([[ITEM, QUERY_ONLY, ITEM, UNKNOWN_ITEM, ITEM]])
    return items, encoder.encode_histories(vectors, kinds, np.array([[1, 0, 1, 1, 2]]), [[None, "Red  Hat", None, None, "coat"]])


def test_golden_vectors_guard_the_encoder_code_version() -> None:
    """A change of these vectors needs a new ENCODER_CODE_VERSION: the same weights then make another space."""
    items, interest = golden_vectors(golden_encoder())
    assert ENCODER_CODE_VERSION == GOLDEN_VERSION
    assert items.ravel().tolist() == pytest.approx(GOLDEN_ITEM, abs=1e-5)
    assert interest.ravel().tolist() == pytest.approx(GOLDEN_INTEREST, abs=1e-5)
    with_own = golden_vectors(golden_encoder(own_items=True))[1]
    assert with_own.ravel().tolist() == pytest.approx(GOLDEN_WITH_OWN_ITEMS, abs=1e-5)
    in_blocks = golden_vectors(golden_encoder(reading_dim=2))[1]
    assert in_blocks.ravel().tolist() == pytest.approx(GOLDEN_IN_BLOCKS, abs=1e-5)


def test_whitening_leaves_the_latent_directions_their_lengths() -> None:
    made = ItemTower(EncoderConfig(dim=8, use_collaborative=False, use_visual=False), text_width=6, features=0, rows=0)
    before = made.text.weight.detach().clone()
    texts = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    made.whiten_text(texts, 4)
    assert torch.equal(made.text.weight[:, 4:], before[:, 4:])
    assert not torch.allclose(made.text.weight[:, :4], before[:, :4])
    assert torch.allclose(made.text_mean, texts.mean(0))


def test_all_else_starts_alike_with_and_without_images() -> None:
    def parts(*, use_visual: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        llama = small_llama(vocabulary=20, hidden=8, layers=1, heads=2, intermediate=8, end=2)
        return KarmaEncoder(EncoderConfig(dim=4, use_visual=use_visual), Backbone(llama.base_model), features=5, rows=2).state_dict()

    seen, blind = parts(use_visual=True), parts(use_visual=False)
    alike = [name for name in blind if not name.startswith("tower.visual")]
    assert len(alike) > 10
    assert all(torch.equal(seen[name], blind[name]) for name in alike)
    assert seen["tower.visual.weight"].std() > 0


def test_a_whitened_text_path_spreads_texts_that_point_one_way() -> None:
    """Texts in a narrow cone: read plainly all are near each other, whitened the cosine of two is what the small differences say."""
    made = ItemTower(EncoderConfig(dim=32, use_collaborative=False, use_visual=False), text_width=16, features=0, rows=0)
    cone = torch.nn.functional.normalize(torch.ones(200, 16) * 5 + torch.randn(200, 16, generator=torch.Generator().manual_seed(1)), dim=-1)

    def mean_cosine() -> float:
        vectors = made.text_vector(cone).detach()
        return float((vectors @ vectors.T).mean())

    before = mean_cosine()
    made.whiten_text(cone, 16)
    assert before > 0.9
    assert abs(mean_cosine()) < 0.05
    read = made.text(cone - made.text_mean).detach()
    assert read.square().sum(-1).mean().item() == pytest.approx(32 / 16, rel=0.5)  # W_t has 32 rows of variance 1 / 16, texts mean square 1


def test_an_item_of_which_nothing_is_known_has_a_unit_vector() -> None:
    made = ItemTower(EncoderConfig(dim=4, use_text=False, use_visual=False), text_width=3, features=0, rows=2)
    found = made(torch.zeros(1, 3), torch.zeros(1, 0), torch.tensor([False]), torch.tensor([-1]))
    assert found.norm().item() == pytest.approx(1.0, abs=1e-5)
