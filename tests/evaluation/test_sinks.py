from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from karma.evaluation import sinks as module
from karma.evaluation.sinks import HISTORY, NEAREST_QUERY, alphas, attention_sinks
from karma.model.backbone import Backbone, small_llama

S = HISTORY + 1


class Attending(nn.Module):
    """Stands in for a language model: every head of every layer attends as planted; it keeps what it was shown."""

    def __init__(self, attention: Tensor) -> None:
        super().__init__()
        self.planted = attention  # [layers, heads, s, s]
        self.config = SimpleNamespace(_attn_implementation="sdpa")
        self.seen: list[tuple[Tensor, str]] = []

    def forward(self, inputs_embeds: Tensor, **asked: Any) -> SimpleNamespace:
        self.seen.append((inputs_embeds, self.config._attn_implementation))
        return SimpleNamespace(attentions=[layer.expand(len(inputs_embeds), -1, -1, -1) for layer in self.planted])


def backbone_that(attention: Tensor) -> Backbone:
    backbone = Backbone.__new__(Backbone)
    nn.Module.__init__(backbone)
    backbone.model = Attending(attention)  # type: ignore[assignment]
    return backbone


def causal(key: int | None) -> Tensor:
    """[s, s]: every query attends to ``key`` alone once it is there, else to itself; None: evenly to all before."""
    if key is None:
        return torch.tril(torch.ones(S, S)) / torch.arange(1, S + 1)[:, None]
    found = torch.eye(S)
    found[key:] = 0
    found[key:, key] = 1
    return found


def test_a_planted_sink_is_found_in_its_heads_only() -> None:
    """Two layers of two heads: one head stares at event 5, one at the template, one at itself, one reads evenly."""
    planted = torch.stack([torch.stack([causal(5), causal(0)]), torch.stack([torch.eye(S), causal(None)])])

    found = attention_sinks(backbone_that(planted), torch.zeros(8), torch.zeros(3, HISTORY, 8))

    assert found.score == 1 / 4
    assert found.strongest.shape == (2, 3, 2)
    assert found.strongest[0, :, 0].tolist() == [1, 1, 1]
    assert found.strongest[0, :, 1].tolist() == [0, 0, 0], "the template is no event"
    assert found.mean_map == pytest.approx(planted.mean((0, 1)))


def test_alpha_equals_a_loop() -> None:
    attention = torch.rand(2, S, S, generator=torch.Generator().manual_seed(0)).tril()
    expected = [
        [sum(float(head[q, k]) for q in range(k + NEAREST_QUERY, S)) / (S - k - NEAREST_QUERY) for k in range(1, S - NEAREST_QUERY)]
        for head in attention
    ]

    assert alphas(attention).numpy() == pytest.approx(torch.tensor(expected).numpy(), rel=1e-5)


def test_events_that_only_their_neighbours_read_are_no_sinks() -> None:
    nearby = torch.zeros(S, S)
    for q in range(S):
        nearby[q, max(0, q - NEAREST_QUERY + 1)] = 1

    assert attention_sinks(backbone_that(nearby[None, None]), torch.zeros(4), torch.zeros(1, HISTORY, 4)).score == 0


def test_the_template_stands_in_front_and_blocks_cover_every_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    backbone, events = backbone_that(causal(None)[None, None]), torch.rand(5, HISTORY, 4)

    found = attention_sinks(backbone, torch.full((4,), 7.0), events)

    shown = torch.cat([tokens for tokens, _ in backbone.model.seen])  # type: ignore[union-attr]
    assert torch.equal(shown[:, 0], torch.full((5, 4), 7.0))
    assert torch.equal(shown[:, 1:], events)
    assert found.strongest.shape == (1, 5, 1)
    assert found.mean_map == pytest.approx(causal(None))


def test_a_real_language_model_tells_its_attention_and_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    backbone = Backbone(small_llama(vocabulary=50, hidden=32, layers=2, heads=4, intermediate=64, end=2).model).train()
    assert backbone.model is not None
    backbone.model.config._attn_implementation = "sdpa"
    tokens = torch.randn(3, HISTORY, 32)
    states = backbone(tokens).detach()

    found = attention_sinks(backbone, backbone.embeddings.weight[1], tokens)

    assert found.strongest.shape == (2, 3, 4)
    assert found.mean_map.sum(-1) == pytest.approx(torch.ones(S), abs=1e-5)
    assert found.mean_map.triu(1).abs().max() == 0
    assert (backbone.model.config._attn_implementation, backbone.model.training) == ("sdpa", True)
    assert torch.allclose(backbone(tokens), states)


def test_what_has_no_sink_score_is_refused() -> None:
    backbone = backbone_that(causal(None)[None, None])
    for events in (torch.zeros(2, HISTORY - 1, 4), torch.zeros(0, HISTORY, 4)):
        with pytest.raises(ValueError, match="exactly 32"):
            attention_sinks(backbone, torch.zeros(4), events)
    backbone.model = None
    with pytest.raises(ValueError, match="without its layers"):
        attention_sinks(backbone, torch.zeros(4), torch.zeros(1, HISTORY, 4))
