"""Digests of a frozen encoder: weights files and every constant that shapes its input or its output."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path


def encoder_digest(files: Iterable[Path], constants: Mapping[str, object]) -> str:
    """Hex sha256 over the names and contents of ``files`` and over ``constants`` (JSON)."""
    parts = {path.name: _sha256(path) for path in files}
    return hashlib.sha256(json.dumps([parts, constants], sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
