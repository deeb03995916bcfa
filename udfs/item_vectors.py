"""Item vectors by content hash, in one file that every worker of a node maps into memory and shares.

The file is two .npy arrays, one after the other: the content hashes as 32 raw bytes each, sorted, and the vectors in that order.
Equal contents give equal files, whatever the order they came in.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Vectors = npt.NDArray[np.float32]
# Fixed 32 bytes compare byte by byte; numpy drops trailing zeros only when a key is read as a Python value, which is never done.
Keys = npt.NDArray[np.bytes_]

_HASH_BYTES = 32
_NAMED = 5


class ItemVectorsError(Exception):
    """Raised when a file of item vectors cannot be made or is not the one that was asked for."""


class MissingVectorsError(KeyError):
    """Raised when content hashes have no vector; ``missing`` holds them all, the message names some."""

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(self.missing)

    def __str__(self) -> str:
        more = f" and {len(self.missing) - _NAMED} more" if len(self.missing) > _NAMED else ""
        return f"no item vector for content hash {', '.join(self.missing[:_NAMED])}{more}"


class ItemVectorsFile:
    """Reader of one file; ``build`` writes it."""

    def __init__(self, keys: Keys, vectors: Vectors) -> None:
        self._keys = keys
        self._vectors = vectors

    @staticmethod
    def build(folder: Path, content_hashes: pa.ChunkedArray | pa.Array, vectors: pa.ChunkedArray | pa.Array, dim: int) -> tuple[Path, str]:
        """Write the vectors into a file under ``folder`` and return its path and digest (hex sha256 of the file).

        Args:
            content_hashes: n strings of 64 hex digits; one that stands twice must have the same vector twice.
            vectors: n lists of ``dim`` floats.

        Raises:
            ItemVectorsError: a hash is no sha256, a vector is null or not of ``dim`` floats, or one hash has two vectors.
        """
        keys, rows = _keys(content_hashes.to_pylist()), _matrix(vectors, dim)
        if len(keys) != len(rows):
            raise ItemVectorsError(f"{len(keys)} content hashes for {len(rows)} vectors")
        order = np.argsort(keys, kind="stable")
        keys, rows = _without_repeats(keys[order], rows[order])
        staged = folder / f".item_vectors.{os.getpid()}.staged"
        with staged.open("wb") as file:
            np.lib.format.write_array(file, keys, allow_pickle=False)
            np.lib.format.write_array(file, rows, allow_pickle=False)
        digest = _digest(staged)
        return staged.replace(folder / f"item_vectors-{digest[:16]}.npys"), digest

    @classmethod
    def open(cls, path: Path, digest: str) -> Self:
        """Map the file into memory, after its digest was checked. Raises ItemVectorsError where it is another one."""
        found = _digest(path)
        if found != digest:
            raise ItemVectorsError(f"{path} has digest {found}, expected {digest}")
        with path.open("rb") as file:
            return cls(_mapped(file, path), _mapped(file, path))

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def dim(self) -> int:
        return int(self._vectors.shape[1])

    def lookup(self, content_hashes: Sequence[str]) -> Vectors:
        """The vectors of ``content_hashes``, float32 [n, dim]. Raises MissingVectorsError, or ItemVectorsError on what is no hash."""
        keys = _keys(content_hashes)
        places = np.searchsorted(self._keys, keys)
        found = np.zeros(len(keys), bool)
        inside = places < len(self._keys)
        found[inside] = self._keys[places[inside]] == keys[inside]
        if not found.all():
            raise MissingVectorsError([text for text, there in zip(content_hashes, found, strict=True) if not there])
        return np.asarray(self._vectors[places], np.float32)


def _keys(content_hashes: Sequence[str]) -> Keys:
    odd = [text for text in content_hashes if not isinstance(text, str) or len(text) != 2 * _HASH_BYTES]
    if odd:
        raise ItemVectorsError(f"not a content hash of {2 * _HASH_BYTES} hex digits: {odd[0]!r}")
    try:
        raw = bytes.fromhex("".join(content_hashes))
    except ValueError as error:
        raise ItemVectorsError(f"a content hash is not hexadecimal: {error}") from None
    if len(raw) != _HASH_BYTES * len(content_hashes):
        raise ItemVectorsError("a content hash holds white space")
    return np.frombuffer(raw, dtype=f"S{_HASH_BYTES}")


def _matrix(vectors: pa.ChunkedArray | pa.Array, dim: int) -> Vectors:
    lists = vectors.combine_chunks() if isinstance(vectors, pa.ChunkedArray) else vectors
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    if lists.null_count or (lengths != dim).any():
        raise ItemVectorsError(f"a vector is null or not of {dim} floats")
    rows: Vectors = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dim)
    return rows


def _without_repeats(keys: Keys, rows: Vectors) -> tuple[Keys, Vectors]:
    """Sorted keys, each once. Raises ItemVectorsError where one key has two vectors."""
    again = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    if not np.array_equal(rows[again], rows[again - 1]):
        raise ItemVectorsError("a content hash has two different vectors")
    return np.delete(keys, again), np.delete(rows, again, axis=0)


def _mapped(file: BinaryIO, path: Path) -> np.ndarray:
    """The .npy array at the file's position, which moves to its end."""
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    start = file.tell()
    file.seek(start + dtype.itemsize * int(np.prod(shape)))
    if not np.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
