"""Files and folders that every node needs, by Spark's own distribution of files; found again on a worker by name and digest."""

import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyspark import SparkFiles
from pyspark.sql import SparkSession

_DIGEST_DIGITS = 16
# A zip stores a time a file; one fixed time makes equal folders equal zips.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class ShippedFile:
    """A file or folder that the driver handed to Spark. It travels inside a UDF; the bytes do not.

    Attributes:
        name: under which Spark keeps it on every node; it holds a part of the digest, so two contents never share a name.
        digest: what the content must have; who opens it checks this before the first use.
    """

    name: str
    digest: str

    def path(self) -> Path:
        """Where it lies on this node: call it on a worker, or on the driver in local mode."""
        return Path(SparkFiles.get(self.name))


def ship_folder(spark: SparkSession, folder: Path, digest: str) -> ShippedFile:
    """Send ``folder`` to every node, where it is unpacked; a second call with the same content does nothing.

    Args:
        digest: of the folder, as its reader defines it (``karma.artefact.artefact_digest`` for an encoder).

    Raises:
        FileNotFoundError: there is no such folder, or it holds no file.
    """
    name = f"{folder.name}-{digest[:_DIGEST_DIGITS]}.zip"
    if name not in _names(spark.sparkContext.listArchives):
        spark.sparkContext.addArchive(str(_pack(folder, _spool() / name)))
    return ShippedFile(name=name, digest=digest)


def ship_file(spark: SparkSession, path: Path, digest: str) -> ShippedFile:
    """Send the file at ``path`` to every node; a second call with the same content does nothing.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = f"{path.stem}-{digest[:_DIGEST_DIGITS]}{path.suffix}"
    if name not in _names(spark.sparkContext.listFiles):
        spark.sparkContext.addFile(str(_under_name(path, _spool() / name)))
    return ShippedFile(name=name, digest=digest)


def _names(uris: list[str]) -> set[str]:
    return {uri.rsplit("/", 1)[-1] for uri in uris}


@cache
def _spool() -> Path:
    """A folder of this driver process: Spark reads from it whenever a new executor asks, until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="karma-shipping-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _pack(folder: Path, target: Path) -> Path:
    """``folder`` as a zip, uncompressed: weights do not shrink. Equal folders give equal bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"no such folder, or nothing in it: {folder}")
    with zipfile.ZipFile(target, "w", compression=zipfile.ZIP_STORED) as archive:
        for path in files:
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=_EPOCH)
            info.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as entry:
                shutil.copyfileobj(source, entry)
    return target


def _under_name(path: Path, target: Path) -> Path:
    """``path`` under another name: a hard link where the disk allows it, else a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target
