import os
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from udfs.shipping import _pack, ship_file, ship_folder


def _folder(root: Path) -> Path:
    (root / "model" / "sub").mkdir(parents=True)
    (root / "model" / "b.txt").write_text("b")
    (root / "model" / "a.txt").write_text("a")
    (root / "model" / "sub" / "c.bin").write_bytes(b"\x00" * 2_000)
    return root / "model"


def test_equal_folders_give_equal_zips(tmp_path: Path) -> None:
    first, second = _folder(tmp_path / "one"), _folder(tmp_path / "two")
    os.utime(second / "a.txt", (1, 2_000_000_000))
    (second / "b.txt").chmod(0o600)

    zips = [_pack(first, tmp_path / "1.zip").read_bytes(), _pack(second, tmp_path / "2.zip").read_bytes()]

    assert zips[0] == zips[1]
    assert {entry.compress_type for entry in zipfile.ZipFile(tmp_path / "1.zip").infolist()} == {zipfile.ZIP_STORED}


def test_a_shipped_folder_is_unpacked_and_shipped_once(spark: SparkSession, tmp_path: Path) -> None:
    folder = _folder(tmp_path)

    first = ship_folder(spark, folder, "ab" * 32)
    archives = spark.sparkContext.listArchives
    second = ship_folder(spark, folder, "ab" * 32)

    assert first == second
    assert spark.sparkContext.listArchives == archives
    files = {path.relative_to(first.path()).as_posix(): path.read_bytes() for path in first.path().rglob("*") if path.is_file()}
    assert files == {"a.txt": b"a", "b.txt": b"b", "sub/c.bin": b"\x00" * 2_000}


def test_a_worker_finds_what_was_shipped(spark: SparkSession, tmp_path: Path) -> None:
    folder, file = ship_folder(spark, _folder(tmp_path), "cd" * 32), tmp_path / "vectors.bin"
    file.write_bytes(b"vectors")
    shipped = ship_file(spark, file, "ef" * 32)

    def read(_: int) -> tuple[str, bytes]:
        return (folder.path() / "a.txt").read_text(), shipped.path().read_bytes()

    assert spark.sparkContext.parallelize([0, 1], 2).map(read).collect() == [("a", b"vectors")] * 2


def test_a_file_of_the_same_name_with_another_content_is_another_file(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"old")
    old = ship_file(spark, path, "01" * 32)
    path.unlink()
    path.write_bytes(b"new")
    new = ship_file(spark, path, "02" * 32)
    again = ship_file(spark, path, "02" * 32)

    assert (old.path().read_bytes(), new.path().read_bytes()) == (b"old", b"new")
    assert new == again


def test_nothing_to_ship(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ship_folder(spark, tmp_path / "absent", "ab" * 32)
    with pytest.raises(FileNotFoundError):
        ship_file(spark, tmp_path / "absent.bin", "ab" * 32)
