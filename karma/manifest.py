"""What an encoder artefact says about itself, and whether that is true."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from karma.config import SoftmaxConfig
from karma.text import RENDERER_VERSION

MANIFEST = "manifest.json"

CARD = "README.md"
"""What a person reads of an artefact; no vector depends on it."""

ENCODER_CODE_VERSION = "4"
"""Raised whenever the same weights would give other vectors; a golden-vector test guards it."""

TRAINER_VERSION = "6"
"""Raised whenever the same configuration would train another encoder; golden losses guard it."""

CODE_VERSIONS = (ENCODER_CODE_VERSION, RENDERER_VERSION, TRAINER_VERSION)
"""Of all code that a trained encoder depends on."""


class ArtefactError(Exception):
    """Raised when a folder is no artefact, or is not the one that was asked for: the message says which file and why."""


class OtherCodeError(ArtefactError):
    """Raised when an artefact is whole, but belongs to other code, which made other vectors of it."""


class Manifest(BaseModel):
    """What an artefact is. Two artefacts with the same ``space_id`` give vectors that may meet in one dot product.

    Attributes:
        version: name of the folder.
        space_id: digest of all that a vector depends on (``space_id_of``).
        dim: length of every vector.
        renderer_version: of ``karma.text``.
        vision_digest: of the frozen vision encoder whose features the tower reads; empty where it reads none.
        vision_spec: what ``karma.vision.load_vision_encoder`` takes; empty where there is none.
        history_length: the encoder reads the newest this many events of a history.
        event_types: an event type's number in ``encode_histories`` is its place here; any other type is ``len(event_types)``.
        trained_until: ISO 8601, UTC, exclusive: nothing from this instant on influenced the weights or their choice.
        files: sha256 (hex) of every other file in the folder, by name.
        protocol: what the training data leave out: all from a cut in time on, or every user's last event or basket.
        training_tables: version of each source table that the training data was made from.
        data_fingerprint: digest of the training data themselves; empty where the trainer did not say it. No part of the space: the
            weights are.
        config: the encoder's architecture under "encoder", its sizes under "shape", the training's configuration under "training".
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
    data_fingerprint: str = ""
    config: dict[str, Any]

    @property
    def mask_seen(self) -> bool:
        """``SoftmaxConfig.mask_seen`` of its training; False where the manifest does not say how it was trained."""
        repeats = self.config.get("training", {}).get("softmax", {}).get("repeats", True)
        return SoftmaxConfig(repeats=repeats).mask_seen


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact folder; only its shape is checked. Raises ArtefactError."""
    path = Path(folder) / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise ArtefactError(f"{folder} is no encoder artefact: it has no {MANIFEST}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip() for fault in error.errors()[:3]]
        raise ArtefactError(f"{path} is no manifest: {'; '.join(wrong)}") from None


def artefact_digest(folder: Path) -> str:
    """Hex sha256 of the manifest, which names the sha256 of every other file: one digest for the whole folder. Raises ArtefactError."""
    read_manifest(folder)
    return file_digest(Path(folder) / MANIFEST)


def verify(folder: Path, expected_digest: str | None = None) -> Manifest:
    """Check every file of an artefact against its manifest, the manifest against ``expected_digest`` where it is given, and its space.

    Raises:
        ArtefactError: a file is missing, was added, changed or cannot be read, or the digest is another one.
        OtherCodeError: this code would make other vectors of it.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if expected_digest is not None and artefact_digest(folder) != expected_digest:
        raise ArtefactError(f"{folder} has digest {artefact_digest(folder)}, expected {expected_digest}")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {MANIFEST}
    if found != set(manifest.files):
        raise ArtefactError(f"{folder} and its manifest name different files: {', '.join(sorted(found ^ set(manifest.files)))}")
    for name, digest in manifest.files.items():
        try:
            found_digest = file_digest(folder / name)
        except OSError as error:
            raise ArtefactError(f"{folder / name} cannot be read: {error.strerror}") from error
        if found_digest != digest:
            raise ArtefactError(f"{folder / name} was changed: its sha256 is not the manifest's")
    space_id = _space_under_this_code(manifest)
    if space_id != manifest.space_id:
        raise OtherCodeError(f"{folder} belongs to space {manifest.space_id}, but this code would make vectors of space {space_id}")
    return manifest


def _space_under_this_code(manifest: Manifest) -> str:
    files = {name: digest for name, digest in manifest.files.items() if name != CARD}
    encoder = manifest.config.get("encoder", {})
    return space_id_of(files, renderer_version=RENDERER_VERSION, vision_digest=manifest.vision_digest, encoder=encoder)


def file_digest(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def value_digest(*values: object) -> str:
    """Hex sha256 of values that JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def space_id_of(
    files: dict[str, str], *, renderer_version: str, vision_digest: str, encoder: dict[str, Any], code_version: str = ENCODER_CODE_VERSION
) -> str:
    """16 hex digits of all that a vector depends on.

    Weights, tokenizer, model config and collaborative rows by ``files``; history policy (length, event types), pooling, dimension
    by ``encoder``; ties are in the order (event_time, event_id) and every vector is L2-normalised, which the code version covers.
    """
    return value_digest(files, renderer_version, vision_digest, encoder, "l2", "event_time,event_id", code_version)[:16]
