import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.item_vectors import ItemVectorsError, ItemVectorsFile, MissingVectorsError


def _hash(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def _build(folder: Path, rows: dict[str, list[float]] | list[tuple[str, list[float]]], dim: int = 2) -> tuple[Path, str]:
    pairs = list(rows.items()) if isinstance(rows, dict) else rows
    hashes = pa.array([key for key, _ in pairs], pa.string())
    return ItemVectorsFile.build(folder, hashes, pa.array([row for _, row in pairs], pa.list_(pa.float32())), dim)


def test_lookup_gives_each_hash_its_vector(tmp_path: Path) -> None:
    rows = {_hash(n): [float(n), -float(n)] for n in range(50)}
    items = ItemVectorsFile.open(*_build(tmp_path, rows))

    found = items.lookup([_hash(7), _hash(49), _hash(7)])

    assert found.dtype == np.float32
    assert found.tolist() == [[7.0, -7.0], [49.0, -49.0], [7.0, -7.0]]
    assert (len(items), items.dim) == (50, 2)
    assert items.lookup([]).shape == (0, 2)


def test_keys_that_differ_in_their_last_zero_bytes_only(tmp_path: Path) -> None:
    keys = ["ab" * 30 + "0000", "ab" * 30 + "0001", "ab" * 30 + "0100", "00" * 32]
    items = ItemVectorsFile.open(*_build(tmp_path, {key: [float(place), 0.0] for place, key in enumerate(keys)}))

    assert items.lookup(keys)[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(MissingVectorsError):
        items.lookup(["ab" * 30 + "0101"])


@given(st.permutations(range(12)))
def test_the_file_does_not_depend_on_the_order(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    folder = tmp_path_factory.mktemp("vectors")

    path, digest = _build(folder, [(_hash(n), [float(n), 1.0]) for n in order])

    assert (path.read_bytes(), digest) == _sorted_file(folder)


def _sorted_file(folder: Path) -> tuple[bytes, str]:
    path, digest = _build(folder, sorted((_hash(n), [float(n), 1.0]) for n in range(12)))
    return path.read_bytes(), digest


def test_the_digest_follows_keys_and_values(tmp_path: Path) -> None:
    digests = {_build(tmp_path, rows)[1] for rows in ({_hash(1): [1.0, 0.0]}, {_hash(1): [1.0, 0.5]}, {_hash(2): [1.0, 0.0]})}

    assert len(digests) == 3


def test_missing_hashes_are_named(tmp_path: Path) -> None:
    items = ItemVectorsFile.open(*_build(tmp_path, {_hash(1): [1.0, 0.0]}))

    with pytest.raises(MissingVectorsError) as caught:
        items.lookup([_hash(1), *(_hash(f"new{n}") for n in range(9))])

    assert len(caught.value.missing) == 9
    assert _hash("new0") in str(caught.value)
    assert "and 4 more" in str(caught.value)


def test_an_empty_file_has_a_dimension_and_misses_everything(tmp_path: Path) -> None:
    items = ItemVectorsFile.open(*_build(tmp_path, {}, dim=3))

    assert (len(items), items.dim, items.lookup([]).shape) == (0, 3, (0, 3))
    with pytest.raises(MissingVectorsError):
        items.lookup([_hash(1)])


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path, digest = _build(tmp_path, {_hash(1): [1.0, 0.0]})
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    with pytest.raises(ItemVectorsError, match=digest):
        ItemVectorsFile.open(path, digest)


def test_a_repeated_hash_must_repeat_its_vector(tmp_path: Path) -> None:
    items = ItemVectorsFile.open(*_build(tmp_path, [(_hash(1), [1.0, 0.0]), (_hash(1), [1.0, 0.0])]))
    assert len(items) == 1

    with pytest.raises(ItemVectorsError, match="two different"):
        _build(tmp_path, [(_hash(1), [1.0, 0.0]), (_hash(1), [0.0, 1.0])])


@pytest.mark.parametrize("key", ["", "abc", "z" * 64, " " * 64, "ab" * 31 + "\n\n"])
def test_a_key_that_is_no_hash(tmp_path: Path, key: str) -> None:
    with pytest.raises(ItemVectorsError):
        _build(tmp_path, {key: [1.0, 0.0]})


@pytest.mark.parametrize("row", [[1.0], [1.0, 2.0, 3.0], None])
def test_a_vector_of_another_length(tmp_path: Path, row: list[float] | None) -> None:
    with pytest.raises(ItemVectorsError, match="2 floats"):
        _build(tmp_path, [(_hash(1), [1.0, 0.0]), (_hash(2), row)])  # type: ignore[list-item]
