"""A frozen text encoder: its vectors against a loop over texts, in training and out of an artefact."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer, BertConfig, BertTokenizerFast, PreTrainedTokenizerBase

from karma.artefact import load_encoder, read_manifest
from karma.config import EncoderConfig, PretrainedModelError, TextEncoderConfig, TrainingConfig
from karma.model import text_encoder as module
from karma.tokenizer import bag_of, token_ids
from karma.training import train
from karma.training.data import read_meta, read_training_data
from karma.training.losses import item_vectors
from karma.training.pretrained import load_text_encoder
from karma.training.run import Run
from karma.training.trainer import version_of
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "wool", "scarf", "warm", "blue", "steel", "drill", "sharp"]
TEXTS = ["red wool", "", "blue", "sharp steel drill warm red zebra", "red wool"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights."""
    folder = tmp_path_factory.mktemp("source") / "bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *(str(number) for number in range(10))]))
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(3)
    model = AutoModel.from_config(
        BertConfig(
            vocab_size=len(WORDS) + 10, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=16,
        )
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data.normal_(std=0.5)
    model.save_pretrained(folder)
    return folder


def by_a_loop(source: Path, tokenizer: PreTrainedTokenizerBase, text: str, most: int) -> np.ndarray:
    """One text at a time, without padding, as the model's own tokenizer frames it."""
    if not text:
        return np.zeros(12, np.float32)
    ids = tokenizer(text)["input_ids"]
    ids = [*ids[: most + 1], ids[-1]] if len(ids) > most + 2 else ids
    assert (ids[0], ids[-1]) == (WORDS.index("[CLS]"), WORDS.index("[SEP]"))
    states = AutoModel.from_pretrained(source).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]
    return normalize(states.mean(0), dim=0).detach().numpy()


def test_vectors_are_the_normalised_means_of_a_loop(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 2)
    tokenizer, encoder = load_text_encoder(TextEncoderConfig(source=str(source)), longest=4)
    found = encoder.train()(bag_of(token_ids(tokenizer, TEXTS, 4, special_tokens=True)))
    expected = np.stack([by_a_loop(source, tokenizer, text, 4) for text in TEXTS])
    assert found.numpy() == pytest.approx(expected, abs=1e-5)
    assert encoder(bag_of([])).shape == (0, 12)


@pytest.fixture(scope="module")
def config(source: Path) -> TrainingConfig:
    return tiny_config(text_encoder={"source": str(source)}, steps=4, validate_every=4)


def test_it_does_not_learn_and_the_projections_of_its_vectors_do(config: TrainingConfig, planted: Planted, source: Path) -> None:
    data = read_training_data(planted.data, config.encoder.event_types)
    run = Run.of(config, data, progress=False)
    before = {name: tensor.clone() for name, tensor in run.start.model.state_dict().items()}
    for step in (1, 2, 3):
        run.step(step)
    moved = {name for name, tensor in run.start.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"tower.text.weight", "interest.query_input.weight"} <= moved
    assert not [name for name in moved if name.startswith("text_encoder.")]
    assert run.start.model.tower.text.weight.shape == (16, 12)
    assert run.start.tensors.texts.vectors[3].numpy() == pytest.approx(
        by_a_loop(source, AutoTokenizer.from_pretrained(source), data.catalogue.texts[3], config.encoder.max_tokens), abs=1e-5
    )


def test_the_artefact_holds_it_and_reads_what_training_read(
    config: TrainingConfig, planted: Planted, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Run] = []
    monkeypatch.setattr("karma.training.trainer.Run.of", lambda *args, of=Run.of, **options: runs.append(of(*args, **options)) or runs[0])
    folder = train(config, planted.data, tmp_path / "encoders", progress=False)
    catalogue = read_training_data(planted.data, config.encoder.event_types).catalogue
    trained = runs[0].start
    expected = item_vectors(trained.model.eval(), trained.tensors, torch.arange(len(catalogue))).detach().numpy()
    served = load_encoder(folder)
    found = served.encode_items(catalogue.item_ids, catalogue.texts, catalogue.features, catalogue.has_visual)
    assert np.abs(found - expected).max() < 1e-5
    served.model.interest.pool.query_gate.fill_(1.0)  # its start, zero, hides queries
    history = (found[None, :2], np.ones((1, 2), np.int64), np.zeros((1, 2), np.int64))
    asked, other = (served.encode_histories(*history, [["wool", query]]) for query in ("drill", "scarf"))
    assert np.abs(asked - other).max() > 1e-4
    assert "text_encoder.json" in read_manifest(folder).files
    assert all(str(source) not in path.read_text() for path in folder.glob("*.json") if path.name != "manifest.json")
    assert read_manifest(planted.folder).config["encoder"].keys() == read_manifest(folder).config["encoder"].keys()


def test_its_files_count_in_the_version(config: TrainingConfig, planted: Planted, source: Path) -> None:
    before, card = version_of(config, read_meta(planted.data)), source / "README.md"
    card.write_text("another model")
    assert version_of(config, read_meta(planted.data)) != before
    card.unlink()
    assert version_of(config, read_meta(planted.data)) == before


def test_what_cannot_read_the_texts_is_refused(source: Path) -> None:
    with pytest.raises(PretrainedModelError, match=r"does not read texts .* for 32 tokens"):
        load_text_encoder(TextEncoderConfig(source=str(source)), longest=30)
    with pytest.raises(ValidationError, match="use_text is false"):
        tiny_config(text_encoder={"source": str(source)}, encoder=EncoderConfig(use_text=False))
