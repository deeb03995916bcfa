"""The artefact: complete, checked before it is loaded, without decoders, and equal to the encoder that was exported."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from karma.artefact import ArtefactError, Provenance, artefact_digest, export_encoder, load_encoder, read_manifest, verify
from karma.config import EncoderConfig
from karma.manifest import file_digest, space_id_of
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.serving import ServingEncoder
from karma.tokenizer import train_tokenizer
from karma.training import train
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config


@pytest.fixture
def copy(planted: Planted, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planted.folder, tmp_path / planted.folder.name))


def test_no_decoder_no_head_and_no_pickle(planted: Planted) -> None:
    with safe_open(planted.folder / "model.safetensors", framework="pt") as weights:
        names = set(weights.keys())
    assert {name.split(".")[0] for name in names} == {"backbone", "tower", "interest", "semantics"}
    assert not [name for name in names if "lm_head" in name or "decoder" in name or "temperature" in name]
    assert {path.suffix for path in planted.folder.iterdir()} == {".json", ".md", ".safetensors"}
    state = planted.folder.parent.parent / "training" / planted.folder.name
    with safe_open(state / "decoders.safetensors", framework="pt") as decoders:
        assert {"lm_head.weight", "text.head.weight", "visual.weight", "temperature.log_scale"} <= set(decoders.keys())


def test_the_head_of_diffusion_stays_in_training_s_folder(planted: Planted, tmp_path: Path) -> None:
    folders = {}
    for by in ("mse", "diffusion"):
        config = tiny_config(objectives={"visual_by": by, "decoder_hidden": 32}, steps=1, validate_every=1)
        folder = train(config, planted.data, tmp_path / "encoders", progress=False)
        files = {"served": folder / "model.safetensors", "left": tmp_path / "training" / folder.name / "decoders.safetensors"}
        folders[by] = {name: set(load_file(path)) for name, path in files.items()}
    assert folders["diffusion"]["served"] == folders["mse"]["served"]
    assert {name for name in folders["diffusion"]["left"] if name.startswith("denoiser.")} >= {"denoiser.noise.weight"}
    assert not [name for name in folders["mse"]["left"] if name.startswith("denoiser.")]


def test_manifest_names_the_digest_of_every_file(planted: Planted) -> None:
    manifest = read_manifest(planted.folder)
    files = {path.name: file_digest(path) for path in planted.folder.iterdir() if path.name != "manifest.json"}
    assert manifest.files == files
    assert manifest.trained_until == "2027-01-01T00:00:00+00:00"
    assert manifest.training_tables == {"events": 3}
    assert manifest.history_length == 8


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "items.json", "config.json", "README.md"])
def test_a_changed_file_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[-2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=name):
        load_encoder(copy)


def test_missing_and_added_files_are_refused(copy: Path) -> None:
    (copy / "extra.bin").write_bytes(b"x")
    with pytest.raises(ArtefactError, match=r"extra\.bin"):
        load_encoder(copy)
    (copy / "extra.bin").unlink()
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ArtefactError, match=r"tokenizer\.json"):
        verify(copy)


def test_a_file_that_cannot_be_read_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").symlink_to(copy / "nowhere")
    with pytest.raises(ArtefactError, match=r"tokenizer\.json cannot be read"):
        verify(copy)


def test_another_digest_is_refused_before_anything_is_loaded(copy: Path) -> None:
    expected = artefact_digest(copy)
    assert load_encoder(copy, expected).manifest == read_manifest(copy)
    (copy / "manifest.json").write_text((copy / "manifest.json").read_text().replace('"tiny-', '"tidy-'))
    with pytest.raises(ArtefactError, match="expected"):
        load_encoder(copy, expected)


def test_a_forged_space_is_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    (copy / "manifest.json").write_text(manifest.model_copy(update={"space_id": "0" * 16}).model_dump_json())
    with pytest.raises(ArtefactError, match="space"):
        load_encoder(copy)


def test_a_folder_that_is_no_artefact_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no encoder artefact"):
        load_encoder(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArtefactError, match="no manifest"):
        artefact_digest(tmp_path)


def small_encoder() -> tuple[KarmaEncoder, object]:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["red hat", "blue coat"], 300)
    llama = small_llama(vocabulary=len(tokenizer), hidden=16, layers=1, heads=2, intermediate=16, end=2)
    config = EncoderConfig(dim=8, history_length=5, visual_components=2)
    return KarmaEncoder(config, Backbone(llama.base_model), features=3, rows=2), tokenizer


def test_reloaded_vectors_equal_those_of_the_exported_model(tmp_path: Path) -> None:
    model, tokenizer = small_encoder()
    with torch.no_grad():
        model.interest.residual.weight.normal_()
        model.tower.visual_basis.normal_()
    manifest = export_encoder(
        tmp_path / "v", model, tokenizer, ["a", "b"], Provenance(version="v", trained_until="2026-01-01", protocol="time_split")
    )
    memory = ServingEncoder(manifest, model, tokenizer, {"a": 0, "b": 1})
    loaded = load_encoder(tmp_path / "v")
    visual, has_visual = np.ones((3, 3), np.float32), np.array([True, False, True])
    items = [encoder.encode_items(["a", "b", "cold"], ["red hat", "", "blue"], visual, has_visual) for encoder in (memory, loaded)]
    assert np.array_equal(*items)
    histories = (items[0][None], np.ones((1, 3), np.int64), np.zeros((1, 3), np.int64), [["red", None, None]])
    assert np.array_equal(memory.encode_histories(*histories), loaded.encode_histories(*histories))


def test_the_data_are_told_and_are_no_part_of_the_space(tmp_path: Path) -> None:
    """The weights are: the same ones from other data give the same vectors."""
    model, tokenizer = small_encoder()
    facts = {"version": "v", "trained_until": "2026-01-01", "protocol": "time_split"}
    told = export_encoder(tmp_path / "told", model, tokenizer, ["a", "b"], Provenance(**facts, data_fingerprint="5eed"))
    untold = export_encoder(tmp_path / "untold", model, tokenizer, ["a", "b"], Provenance(**facts))
    assert (told.data_fingerprint, untold.data_fingerprint) == ("5eed", "")
    assert told.space_id == untold.space_id
    assert read_manifest(tmp_path / "told").data_fingerprint == "5eed"
    assert "| training data | `5eed` |" in (tmp_path / "told" / "README.md").read_text()
    assert "| training data | no fingerprint given |" in (tmp_path / "untold" / "README.md").read_text()


def test_a_manifest_from_before_the_fingerprint_is_read(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["data_fingerprint"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert load_encoder(copy).manifest.data_fingerprint == ""


def test_a_module_with_a_head_cannot_be_exported(tmp_path: Path) -> None:
    model, tokenizer = small_encoder()
    model.lm_head = nn.Linear(2, 2)
    with pytest.raises(ArtefactError, match=r"lm_head\.weight"):
        export_encoder(tmp_path / "v", model, tokenizer, [], Provenance(version="v", trained_until="2026-01-01", protocol="time_split"))
    assert not (tmp_path / "v").exists()


def test_space_id_changes_with_each_of_its_parts() -> None:
    base = {"renderer_version": "1", "vision_digest": "v", "encoder": {"dim": 8}, "code_version": "1"}
    changes = [{"renderer_version": "2"}, {"vision_digest": "w"}, {"encoder": {"dim": 9}}, {"code_version": "2"}]
    spaces = [space_id_of({"w": "1"}, **{**base, **change}) for change in [{}, *changes]] + [space_id_of({"w": "2"}, **base)]
    assert len(set(spaces)) == len(spaces)
    assert space_id_of({"w": "1"}, **base) == spaces[0]
