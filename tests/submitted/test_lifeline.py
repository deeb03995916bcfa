"""A driver whose JVM is killed ends by itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.house.tree import ROOT

# Stands for the JVM of spark-submit: starts the driver and waits for it.
_PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], *sys.argv[2:]])"
_DRIVER = """
import os, pathlib, sys, time
if sys.argv[2] == "watched":
    from jobs.lifeline import end_with_parent
    end_with_parent()
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
"""


def wait_until(condition) -> bool:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + 20
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    return bool(condition())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def driver_of_a_killed_jvm(note: Path, how: str) -> int:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, _DRIVER, str(note), how], cwd=ROOT)
    assert wait_until(lambda: note.exists() and note.read_text())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    return int(note.read_text())


def test_it_ends_with_the_jvm(tmp_path: Path) -> None:
    driver = driver_of_a_killed_jvm(tmp_path / "pid", "watched")
    assert wait_until(lambda: not is_alive(driver))


def test_without_a_lifeline_it_would_not(tmp_path: Path) -> None:
    """The trap itself, so that the test above can fail."""
    driver = driver_of_a_killed_jvm(tmp_path / "pid", "left alone")
    try:
        time.sleep(1.5)
        assert is_alive(driver)
    finally:
        os.kill(driver, signal.SIGKILL)
