"""Greedy writing with a planted decoder, and the decoder that training left."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from karma.config import ObjectiveConfig
from karma.evaluation.written import WRITTEN, Writer, write_greedily, writer_of
from karma.model.decoders import Decoders, TextDecoder

END = 2
CONFIG = ObjectiveConfig(decoder_hidden=32, prefix_tokens=3)
TEXTS = {0: [5, 6, END, 9], 1: [7, END, 9, 9], 2: [3, 4, 5, 6]}


class Planted(nn.Module):
    """Writes TEXTS[k] for the vector (k), whatever it has read, by its length alone."""

    head = nn.Identity()

    def forward(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        texts = torch.tensor([TEXTS[int(vector)] for vector in vectors[:, 0]])
        return nn.functional.one_hot(texts[:, : tokens.shape[1] + 1], 10).float()


def test_a_text_ends_before_its_first_end_or_at_the_longest() -> None:
    vectors = torch.tensor([[0.0], [1.0], [2.0]])
    assert write_greedily(Planted(), vectors, END, longest=4) == [[5, 6], [7], [3, 4, 5, 6]]  # type: ignore[arg-type]
    assert write_greedily(Planted(), vectors, END, longest=1) == [[5], [7], [3]]  # type: ignore[arg-type]


def test_each_token_is_the_likeliest_after_those_before() -> None:
    torch.manual_seed(0)
    decoder = TextDecoder(CONFIG, dim=4, vocabulary=11).eval()
    vector, expected = torch.randn(1, 4), torch.zeros(1, 0, dtype=torch.int64)
    for _ in range(5):
        with torch.no_grad():
            states = decoder(vector, expected)
        likeliest = decoder.head(states)[0, decoder.prefix_tokens - 1 + expected.shape[1]].argmax()
        expected = torch.cat([expected, likeliest.reshape(1, 1)], 1)
    assert write_greedily(decoder, vector, end=-1, longest=5) == expected.tolist()


def manifest(objectives: dict[str, Any], **training: Any) -> Any:
    return SimpleNamespace(dim=4, config={"training": {"objectives": objectives, **training}})


def test_the_decoder_that_training_left_is_found(tmp_path: Path) -> None:
    trained = Decoders(CONFIG, dim=4, lm_head=torch.randn(11, 8), components=0)
    assert trained.text is not None
    save_file(trained.state_dict(), tmp_path / "decoders.safetensors")

    found = writer_of(tmp_path, manifest(CONFIG.model_dump()))

    assert found is not None
    assert found.tokens is None
    vector, tokens = torch.randn(2, 4), torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(found.decoder(vector, tokens), trained.text.eval()(vector, tokens))


def test_a_head_that_was_cut_writes_the_tokens_that_were_kept() -> None:
    """Row k of ten stands for the token 100 + k."""
    writer = Writer(Planted(), torch.arange(100, 110))  # type: ignore[arg-type]
    vectors = torch.tensor([[0.0], [1.0], [2.0]])
    assert writer.write(vectors, 100 + END, longest=4) == [[105, 106], [107], [103, 104, 105, 106]]


@pytest.mark.parametrize("whole", [{"backbone": {"source": "folder"}}, {"text_encoder": {"source": "folder"}}], ids=str)
def test_what_is_written_in_tokens_that_are_not_known_is_not_shown(tmp_path: Path, whole: dict[str, Any]) -> None:
    save_file(Decoders(CONFIG, dim=4, lm_head=torch.randn(11, 8), components=0).state_dict(), tmp_path / "decoders.safetensors")
    assert writer_of(tmp_path, manifest(CONFIG.model_dump(), **whole)) is None


def test_of_a_pretrained_model_the_kept_tokens_lie_beside_the_decoder(tmp_path: Path) -> None:
    decoders = Decoders(CONFIG, dim=4, lm_head=torch.randn(3, 8), components=0).state_dict()
    save_file({**decoders, WRITTEN: torch.tensor([2, 7, 9])}, tmp_path / "decoders.safetensors")
    found = writer_of(tmp_path, manifest(CONFIG.model_dump(), backbone={"source": "folder"}))
    assert found is not None
    assert found.tokens is not None
    assert found.tokens.tolist() == [2, 7, 9]


@pytest.mark.parametrize("objectives", [{"decoder_hidden": 64}, {"of_another_version": 1}])
def test_a_decoder_of_another_shape_or_version_is_none(tmp_path: Path, objectives: dict[str, Any]) -> None:
    save_file(Decoders(CONFIG, dim=4, lm_head=torch.randn(11, 8), components=0).state_dict(), tmp_path / "decoders.safetensors")
    assert writer_of(tmp_path, manifest(objectives)) is None


def test_without_a_decoder_there_is_none(tmp_path: Path) -> None:
    assert writer_of(tmp_path, manifest({})) is None
    save_file({"lm_head.weight": torch.zeros(2, 2)}, tmp_path / "decoders.safetensors")
    assert writer_of(tmp_path, manifest({})) is None


def test_of_torn_decoders_nothing_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_file(Decoders(CONFIG, dim=4, lm_head=torch.randn(11, 8), components=0).state_dict(), tmp_path / "decoders.safetensors")
    whole = (tmp_path / "decoders.safetensors").read_bytes()
    (tmp_path / "decoders.safetensors").write_bytes(whole[: len(whole) // 2])
    assert writer_of(tmp_path, manifest(CONFIG.model_dump())) is None
    assert "cannot be read" in caplog.text
