"""A killed task leaves nothing that can still write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dags.process_group import end_group, end_with_parent

# spark-submit is a JVM that starts a Python driver. This one ignores a polite request, as a busy one may.
_JVM = """
import subprocess, sys
driver = "import os, pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
driver += "pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
subprocess.run([sys.executable, "-c", driver, sys.argv[1]])
"""


def wait_until(condition: Callable[[], object]) -> bool:
    ends = time.monotonic() + 20
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    return bool(condition())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def submitted(note: Path) -> tuple[subprocess.Popen[str], int]:
    jvm = subprocess.Popen([sys.executable, "-c", _JVM, str(note)], text=True, process_group=0, preexec_fn=end_with_parent)
    assert wait_until(lambda: note.exists() and note.read_text())
    return jvm, int(note.read_text())


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_the_driver_ends_with_the_group(tmp_path: Path) -> None:
    jvm, driver = submitted(tmp_path / "pid")
    end_group(jvm)
    assert wait_until(lambda: not is_alive(driver))
    assert jvm.wait() == -signal.SIGTERM


@linux
def test_killing_spark_submit_alone_leaves_the_driver(tmp_path: Path) -> None:
    """What the provider does: the trap itself, so that the test above can fail."""
    jvm, driver = submitted(tmp_path / "pid")
    jvm.kill()
    jvm.wait()
    assert is_alive(driver)
    os.killpg(jvm.pid, signal.SIGKILL)


@linux
def test_spark_submit_ends_when_the_tasks_process_is_killed(tmp_path: Path) -> None:
    program = """
import subprocess, sys, time
from dags.process_group import end_with_parent
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], process_group=0, preexec_fn=end_with_parent)
time.sleep(60)
"""
    note = tmp_path / "pid"
    jvm = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    task = subprocess.Popen([sys.executable, "-c", program, jvm, str(note)])
    assert wait_until(lambda: note.exists() and note.read_text())
    task.kill()
    task.wait()
    assert wait_until(lambda: not is_alive(int(note.read_text())))


def test_a_group_that_is_gone_is_no_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""], text=True, process_group=0)
    gone.wait()
    end_group(gone)
