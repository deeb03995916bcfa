"""Disks that take no more, and disks that take nothing: real ones where this user may mount, else by what the system offers."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

SMALL, LARGE = 200_000, 64_000_000  # bytes: the ledger's rows fit, the day's events do not


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[bool]:
    """A disk of its own in memory at ``folder``, of ``size`` bytes; False where this user may not mount."""
    folder.mkdir(parents=True)
    done = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, spark: SparkSession) -> Iterator[Callable[[], None]]:
    """``folder`` has no room for a day's events until the function that is given is called.

    A small disk, or, where this user may not mount, a bound on the size of the files that the JVM may write.
    """
    with mounted(folder, SMALL) as done:
        if done:
            yield lambda: subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(folder)], check=True) and None
        else:
            with _files_bounded(spark) as lift:
                yield lift


@contextmanager
def _files_bounded(spark: SparkSession) -> Iterator[Callable[[], None]]:
    if not hasattr(resource, "prlimit"):
        pytest.skip("this user may not mount a disk, and the system has no prlimit")
    jvm = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    before = resource.prlimit(jvm, resource.RLIMIT_FSIZE)

    def lift() -> None:
        resource.prlimit(jvm, resource.RLIMIT_FSIZE, before)

    resource.prlimit(jvm, resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield lift
    finally:
        lift()


@contextmanager
def read_only(folder: Path, fill: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """``folder`` as ``fill`` left it, and closed to writes until the function that is given is called.

    A mount that is read-only, or, for a user whom modes bind, a folder without the right to write.
    """
    with mounted(folder, LARGE) as done:
        fill()
        if done:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            yield lambda: subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True) and None
        elif os.geteuid() == 0:
            pytest.skip("this root may not mount, and no mode binds it")
        else:
            folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
            _set_modes(folders, 0o555)
            try:
                yield lambda: _set_modes(folders, 0o755)
            finally:
                _set_modes(folders, 0o755)


def _set_modes(folders: list[Path], mode: int) -> None:
    for folder in folders:
        folder.chmod(mode)
