"""A submitted driver ends with the JVM that submitted it.

spark-submit in client mode is a JVM that starts this Python. Where that JVM is killed (a timeout, a scheduler's clean-up, the machine
running out of memory), Python would go on, and could still write a table through delta-rs while a retry does the same.
"""

import logging
import os
import threading
import time

from schemas import names

log = logging.getLogger("karma.lifeline")

_LOOKS_EVERY_SECONDS = 0.5


def end_with_parent() -> None:
    """From here on this process ends, without any further step, as soon as the process that started it is gone."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOKS_EVERY_SECONDS)
    log.error("the JVM that submitted this driver is gone: ending, nothing more is written")
    os._exit(names.EXIT_FAILED)
