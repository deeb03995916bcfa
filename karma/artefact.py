"""The encoder artefact: a folder whose manifest names the sha256 of every file in it, checked before anything is loaded.

``encoders/<version>/`` holds ``manifest.json``, a model card, Hugging Face config and tokenizer files, ``items.json`` (the rows
of the collaborative table) and ``model.safetensors``; with a frozen text encoder its ``text_encoder.json`` too, and the tokenizer is
its own. There is no pickle, no remote code, no decoder, no lm_head.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from karma.config import EncoderConfig
from karma.manifest import CARD, MANIFEST, ArtefactError, Manifest, artefact_digest, file_digest, read_manifest, space_id_of, verify
from karma.model.adapters import merged_weights
from karma.model.backbone import backbone_from
from karma.model.encoder import KarmaEncoder
from karma.model.text_encoder import text_encoder_from
from karma.model_card import model_card
from karma.serving import ServingEncoder
from karma.text import RENDERER_VERSION

__all__ = [
    "ArtefactError",
    "Manifest",
    "Provenance",
    "ServingEncoder",
    "artefact_digest",
    "export_encoder",
    "load_encoder",
    "read_manifest",
    "verify",
]

WEIGHTS, CONFIG, ROWS = "model.safetensors", "config.json", "items.json"
TEXT_ENCODER = "text_encoder.json"
SERVED_PREFIXES = ("backbone.", "tower.", "reading_tower.", "interest.", "semantics.", "text_encoder.")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where an encoder comes from: the manifest's fields that the weights do not tell. See ``Manifest``."""

    version: str
    trained_until: str
    protocol: Literal["time_split", "leave_last_out"]
    vision_spec: str = ""
    vision_digest: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    training_tables: dict[str, int] = field(default_factory=dict)
    data_fingerprint: str = ""
    training: dict[str, Any] = field(default_factory=dict)


def export_encoder(
    folder: Path, model: KarmaEncoder, tokenizer: PreTrainedTokenizerBase, item_ids: Sequence[str], provenance: Provenance
) -> Manifest:
    """Write an artefact; the folder appears whole or not at all.

    Args:
        item_ids: ids of the collaborative rows, in their order.

    Raises:
        ArtefactError: the module holds a parameter that is not served.
    """
    staged = folder.with_name(f".{folder.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    _write_parts(staged, model, tokenizer, item_ids)
    manifest = _manifest(staged, model, provenance)
    (staged / CARD).write_text(model_card(manifest), encoding="utf-8")
    manifest = manifest.model_copy(update={"files": {**manifest.files, CARD: file_digest(staged / CARD)}})
    (staged / MANIFEST).write_text(json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    return manifest


def _write_parts(folder: Path, model: KarmaEncoder, tokenizer: PreTrainedTokenizerBase, item_ids: Sequence[str]) -> None:
    weights = {name: tensor.detach().clone().contiguous() for name, tensor in merged_weights(model).items()}
    stray = [name for name in weights if not name.startswith(SERVED_PREFIXES) or "lm_head" in name]
    if stray:
        raise ArtefactError(f"only {', '.join(SERVED_PREFIXES)} are served, not {', '.join(stray)}")
    save_file(weights, folder / WEIGHTS)
    tokenizer.save_pretrained(folder)
    (folder / CONFIG).write_text(model.backbone.config.to_json_string(use_diff=True), encoding="utf-8")
    if model.text_encoder is not None:
        (folder / TEXT_ENCODER).write_text(model.text_encoder.config.to_json_string(use_diff=True), encoding="utf-8")
    (folder / ROWS).write_text(json.dumps(list(item_ids)), encoding="utf-8")


def _manifest(folder: Path, model: KarmaEncoder, provenance: Provenance) -> Manifest:
    """The manifest of the files in ``folder``, the model card aside (it shows the manifest, and no vector depends on it)."""
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    encoder = model.config.model_dump(mode="json")
    return Manifest(
        version=provenance.version,
        space_id=space_id_of(files, renderer_version=RENDERER_VERSION, vision_digest=provenance.vision_digest, encoder=encoder),
        dim=model.config.dim,
        renderer_version=RENDERER_VERSION,
        vision_digest=provenance.vision_digest,
        vision_spec=provenance.vision_spec,
        history_length=model.config.history_length,
        event_types=model.config.event_types,
        trained_until=provenance.trained_until,
        files=files,
        metrics=provenance.metrics,
        protocol=provenance.protocol,
        training_tables=provenance.training_tables,
        data_fingerprint=provenance.data_fingerprint,
        config={
            "encoder": encoder,
            "shape": {"features": model.features, "rows": model.rows, "anchors": model.anchors},
            "training": provenance.training,
        },
    )


def load_encoder(folder: Path, expected_digest: str | None = None, *, bf16: bool = False, device: str = "cpu") -> ServingEncoder:
    """The encoder of an artefact, in evaluation mode, after every file's digest was checked.

    Args:
        expected_digest: what ``artefact_digest`` must give; None accepts any.
        bf16: compute in bfloat16 where that is safe; vectors are float32 either way.
        device: where it computes, in torch's words.

    Raises:
        ArtefactError: a file is missing, was added or changed, the digest is another one, or this code makes other vectors.
    """
    folder = Path(folder)
    manifest = verify(folder, expected_digest)
    shape = manifest.config["shape"]
    config = EncoderConfig.model_validate(manifest.config["encoder"])
    backbone = backbone_from(AutoConfig.from_pretrained(folder, local_files_only=True), keep_layers=config.use_lm)
    text_encoder = text_encoder_from(AutoConfig.from_pretrained(folder / TEXT_ENCODER)) if TEXT_ENCODER in manifest.files else None
    model = KarmaEncoder(
        config, backbone, features=shape["features"], rows=shape["rows"], anchors=shape["anchors"], text_encoder=text_encoder
    )
    model.load_state_dict(load_file(folder / WEIGHTS))
    item_ids = json.loads((folder / ROWS).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return ServingEncoder(manifest, model, tokenizer, {item_id: row for row, item_id in enumerate(item_ids)}, bf16=bf16, device=device)
