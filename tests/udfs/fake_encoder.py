"""An encoder small enough to check by hand, with the calls of ``karma.serving.ServingEncoder`` that the UDFs make.

A module of its own, because workers import the loaders below by name.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DIM = 4
EVENT_TYPES = ("query", "click", "purchase")


class WrongDigestError(Exception):
    """Raised where the folder is not the one that was asked for."""


class FakeEncoder:
    """Every event adds to the vector by its place, kind, type and query; padding adds nothing."""

    dim = DIM

    def event_type_ids(self, event_types: Sequence[str]) -> list[int]:
        return [EVENT_TYPES.index(name) if name in EVENT_TYPES else len(EVENT_TYPES) for name in event_types]

    def encode_items(self, item_ids: Sequence[str], texts: Sequence[str], visual: np.ndarray, has_visual: np.ndarray) -> np.ndarray:
        rows = [_noise(f"{item}|{text}") for item, text in zip(item_ids, texts, strict=True)]
        for row in np.flatnonzero(has_visual):
            rows[row] = rows[row] + visual[row].sum() + 1
        return _unit(np.array(rows, np.float32).reshape(-1, DIM))

    def encode_histories(
        self, vectors: np.ndarray, kinds: np.ndarray, event_types: np.ndarray, queries: Sequence[Sequence[str | None]]
    ) -> np.ndarray:
        return _unit(np.stack([self._one(vectors[row], kinds[row], event_types[row], queries[row]) for row in range(len(kinds))]))

    def _one(self, vectors: np.ndarray, kinds: np.ndarray, event_types: np.ndarray, queries: Sequence[str | None]) -> np.ndarray:
        total = np.zeros(DIM)
        for step in np.flatnonzero(kinds):
            token = vectors[step] + _noise(f"{kinds[step]}") + 3 * _noise(f"{event_types[step]}") + 5 * _noise(f"{queries[step]}")
            total += (step + 1) * token
        return total


def make_folder(folder: Path, log: Path) -> str:
    """A folder that ``load_fake`` opens, and its digest. Every load appends its process id to ``log``."""
    folder.mkdir(parents=True)
    (folder / "fake.json").write_text(json.dumps({"log": str(log)}))
    (folder / "nested").mkdir()
    (folder / "nested" / "weights.bin").write_bytes(bytes(range(256)))
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "fake.json").read_bytes() + (folder / "nested" / "weights.bin").read_bytes()).hexdigest()


def load_fake(folder: Path, digest: str) -> FakeEncoder:
    if digest_of(folder) != digest:
        raise WrongDigestError(f"{folder} is not {digest}")
    log = json.loads((folder / "fake.json").read_text())["log"]
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    return FakeEncoder()


def _noise(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=DIM)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)).astype(np.float32)
