"""The encoder artefact: a folder whose manifest names the sha256 of every file in it, checked before anything is loaded.

``encoders/<version>/`` holds ``manifest.json``, a model card, Hugging Face config and tokenizer files, ``items.json`` (the rows
of the collaborative table) and ``model.safetensors``: no pickle, no remote code, no decoder, no lm_head.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from karma.serving import ServingEncoder

MANIFEST = "manifest.json"


class ArtefactError(Exception):
    """Raised when a folder is no artefact, or is not the one that was asked for: the message says which file and why."""


class Manifest(BaseModel):
    """What an artefact is. Two artefacts with the same ``space_id`` give vectors that may meet in one dot product.

    Attributes:
        version: name of the folder.
        space_id: digest of all that a vector depends on (weights, tokenizer, renderer, vision, history policy, code version).
        dim: length of every vector.
        renderer_version: of ``karma.text``.
        vision_digest: of the frozen vision encoder whose features the tower reads; empty where it reads none.
        vision_spec: what ``karma.vision.load_vision_encoder`` takes; empty where there is none.
        history_length: the encoder reads the newest this many events of a history.
        event_types: an event type's number in ``encode_histories`` is its place here; any other type is ``len(event_types)``.
        trained_until: ISO 8601, UTC, exclusive: nothing from this instant on influenced the weights or their choice.
        files: sha256 (hex) of every other file in the folder, by name.
        protocol: how the validation targets were held out.
        training_tables: version of each source table that the training data was made from.
        config: the encoder's architecture (``karma.config.EncoderConfig``) under "encoder", the training's under "training".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    space_id: str
    dim: int
    renderer_version: str
    vision_digest: str
    vision_spec: str
    history_length: int
    event_types: tuple[str, ...]
    trained_until: str
    files: dict[str, str]
    metrics: dict[str, float]
    protocol: Literal["time_split", "leave_last_out"]
    training_tables: dict[str, int]
    config: dict[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact folder; only its shape is checked. Raises ArtefactError."""
    path = Path(folder) / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ArtefactError(f"{folder} is no encoder artefact: it has no {MANIFEST}") from None
    except ValidationError as error:
        raise ArtefactError(f"{path} is no manifest: {error}") from None


def artefact_digest(folder: Path) -> str:
    """Hex sha256 of the manifest, which names the sha256 of every other file: one digest for the whole folder."""
    return hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()


def load_encoder(folder: Path, expected_digest: str | None = None) -> ServingEncoder:
    """The encoder of an artefact, in evaluation mode, after every file's digest was checked.

    Args:
        expected_digest: what ``artefact_digest`` must give; None accepts any.

    Raises:
        ArtefactError: a file is missing, was added or changed, or the digest is another one.
    """
    raise NotImplementedError
