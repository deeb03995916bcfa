"""spark-submit and all it starts, as one group that ends as a whole.

The provider's kill reaches the JVM alone. The Python driver, a child of that JVM, would go on, and could still write.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Called in the child before it becomes spark-submit: on Linux it is killed when the task's process is, by whatever means."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_group(leader: subprocess.Popen[str]) -> None:
    """End the group of ``leader``: asked first, so that the JVM removes its scratch files, then killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGTERM)
        ends = time.monotonic() + GRACE_SECONDS
        while leader.poll() is None and time.monotonic() < ends:
            time.sleep(0.1)
        os.killpg(leader.pid, signal.SIGKILL)
