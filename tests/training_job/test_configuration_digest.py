"""When a training that was settled is stale: its configuration's text, or the files of a pretrained model that it names."""

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs import train_encoder
from jobs.encoder_configuration import configuration_digest
from jobs.encoders import is_lost
from jobs.train_encoder import train_stage
from karma.manifest import MANIFEST, Manifest, artefact_digest, file_digest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of a backbone in a folder."""
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    (backbone / "model.safetensors").write_bytes(b"weights")
    path = tmp_path / "some.toml"
    path.write_text(f'name = "some"\n[backbone]\nsource = "{backbone}"\n')
    return path


def test_text_and_files_count(config: Path) -> None:
    first, weights = configuration_digest(config), config.parent / "backbone" / "model.safetensors"
    weights.write_bytes(b"others!")
    replaced = configuration_digest(config)
    weights.write_bytes(b"weights")
    assert replaced != first == configuration_digest(config)
    config.write_text(config.read_text() + "# a word\n")
    assert configuration_digest(config) != first


def test_a_replaced_backbone_makes_a_training_stale(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_encoder, "read_digest", lambda context, ds: [])
    monkeypatch.setattr(train_encoder, "_lost_artefacts", lambda context: [])
    stage, context = train_stage(config, datetime(2026, 3, 1, tzinfo=UTC), "none"), SimpleNamespace(run_id="one")
    before = stage.input_digest(context, date(2026, 2, 28))  # type: ignore[arg-type]
    (config.parent / "backbone" / "model.safetensors").write_bytes(b"others!")
    assert stage.input_digest(context, date(2026, 2, 28)) != before  # type: ignore[arg-type]


def test_other_code_makes_a_training_stale(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_encoder, "read_digest", lambda context, ds: [])
    monkeypatch.setattr(train_encoder, "_lost_artefacts", lambda context: [])
    stage, context = train_stage(config, datetime(2026, 3, 1, tzinfo=UTC), "none"), SimpleNamespace(run_id="one")
    before = stage.input_digest(context, date(2026, 2, 28))  # type: ignore[arg-type]
    monkeypatch.setattr(train_encoder, "CODE_VERSIONS", ("of", "another", "release"))
    assert stage.input_digest(context, date(2026, 2, 28)) != before  # type: ignore[arg-type]


def test_what_is_lost_a_second_time_is_made_again_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger has the digest of the run that made it again after the first loss."""
    lost: list[str] = []
    monkeypatch.setattr(train_encoder, "read_digest", lambda context, ds: [])
    monkeypatch.setattr(train_encoder, "_lost_artefacts", lambda context: lost)
    stage = train_stage(config, datetime(2026, 3, 1, tzinfo=UTC), "none")

    def asked(run_id: str) -> str:
        return stage.input_digest(SimpleNamespace(run_id=run_id), date(2026, 2, 28))  # type: ignore[arg-type]

    assert asked("one") == asked("two")
    lost.append("sample")
    assert asked("one") != asked("two")


def test_an_artefact_counts_as_lost_where_training_would_make_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    manifest = Manifest(
        version="whole", space_id="", dim=4, renderer_version="1", vision_digest="", vision_spec="", history_length=6,
        event_types=(), trained_until="", files={"weights": file_digest(folder / "weights")}, metrics={}, protocol="time_split",
        training_tables={}, config={},
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    digest = artefact_digest(folder)
    monkeypatch.setattr("karma.manifest._space_under_this_code", lambda manifest: "")
    assert is_lost(folder, "of another manifest")
    assert not is_lost(folder, digest)
    monkeypatch.setattr("karma.manifest._space_under_this_code", lambda manifest: "of other code")
    assert not is_lost(folder, digest)
    (folder / "weights").write_bytes(b"Weights")
    assert is_lost(folder, digest)
    (folder / "weights").unlink()
    assert is_lost(folder, digest)
    assert is_lost(tmp_path / "gone", digest)
