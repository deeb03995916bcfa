"""Files of the landing zone through Hadoop's FileSystem, so that a URI of any store that Spark reads works."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

_DIGEST_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file.

    Attributes:
        name: its path relative to the folder that was listed.
        path: its qualified path.
        size: bytes.
    """

    name: str
    path: str
    size: int


def _path(spark: SparkSession, path: str) -> tuple[Any, Any]:
    jvm: Any = spark._jvm
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path, hadoop_path.getFileSystem(spark._jsc.hadoopConfiguration())


def exists(spark: SparkSession, path: str) -> bool:
    hadoop_path, file_system = _path(spark, path)
    return bool(file_system.exists(hadoop_path))


def children(spark: SparkSession, path: str) -> list[str] | None:
    """The names in the folder ``path``; empty where there is nothing, None where it is a file."""
    hadoop_path, file_system = _path(spark, path)
    if not file_system.exists(hadoop_path):
        return []
    if file_system.getFileStatus(hadoop_path).isFile():
        return None
    return sorted(str(entry.getPath().getName()) for entry in file_system.listStatus(hadoop_path))


def size_below(spark: SparkSession, folder: str, name: str) -> int | None:
    """The bytes of the file ``name`` below ``folder``; None where it is none, or leads out of the folder."""
    if not name or name.startswith("/") or ".." in name.split("/") or ":" in name:
        return None
    hadoop_path, file_system = _path(spark, f"{folder}/{name}")
    status = file_system.getFileStatus(hadoop_path) if file_system.exists(hadoop_path) else None
    return int(status.getLen()) if status is not None and status.isFile() else None


def qualified(spark: SparkSession, path: str) -> str:
    """``path`` with scheme and authority."""
    hadoop_path, file_system = _path(spark, path)
    return str(file_system.makeQualified(hadoop_path).toString())


def uri_path(spark: SparkSession, path: str) -> str:
    """The path part of ``path`` as a URI spells it (a blank is ``%20``), as in Spark's ``_metadata.file_path``."""
    hadoop_path, file_system = _path(spark, path)
    return str(file_system.makeQualified(hadoop_path).toUri().getRawPath())


def literal(path: str) -> str:
    """``path`` for Spark's readers, which take ``[ ] { } * ?`` for patterns: each stands for itself."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)


def list_files(spark: SparkSession, path: str) -> list[StoredFile]:
    """All files below the folder ``path``, or ``path`` itself where it is a file; by name. Empty where there is nothing."""
    hadoop_path, file_system = _path(spark, path)
    if not file_system.exists(hadoop_path):
        return []
    status = file_system.getFileStatus(hadoop_path)
    base = status.getPath() if status.isDirectory() else status.getPath().getParent()
    prefix = len(str(base.toString()).rstrip("/")) + 1
    found, entries = [], file_system.listFiles(hadoop_path, True)
    while entries.hasNext():
        entry = entries.next()
        full = str(entry.getPath().toString())
        found.append(StoredFile(name=full[prefix:], path=full, size=int(entry.getLen())))
    return sorted(found, key=lambda file: file.name)


def content_digests(spark: SparkSession, files: list[StoredFile]) -> list[str]:
    """A digest of each file's bytes: the store's checksum where it keeps one, else sha256, streamed through the driver."""
    with ThreadPoolExecutor(_DIGEST_THREADS) as threads:
        return list(threads.map(lambda file: _content_digest(spark, file), files))


def _content_digest(spark: SparkSession, file: StoredFile) -> str:
    hadoop_path, file_system = _path(spark, file.path)
    checksum = file_system.getFileChecksum(hadoop_path)
    if checksum is not None:
        return str(checksum.toString())
    jvm: Any = spark._jvm
    stream = file_system.open(hadoop_path)
    try:
        return str(jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a small file, in place of one that is there."""
    hadoop_path, file_system = _path(spark, path)
    stream = file_system.create(hadoop_path, True)
    try:
        stream.write(bytearray(text.encode()))
    finally:
        stream.close()


def first_line(spark: SparkSession, file: StoredFile) -> str:
    """The first line of a text file that is not blank, decompressed by its extension; empty where it has none."""
    jvm: Any = spark._jvm
    hadoop_path, file_system = _path(spark, file.path)
    codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(spark._jsc.hadoopConfiguration()).getCodec(hadoop_path)
    stream = file_system.open(hadoop_path)
    try:
        line = jvm.org.apache.hadoop.io.Text()
        reader = jvm.org.apache.hadoop.util.LineReader(codec.createInputStream(stream) if codec else stream)
        while reader.readLine(line) > 0:
            text = str(line.toString()).lstrip("\ufeff")
            if text.strip(" "):
                return text
        return ""
    finally:
        stream.close()
