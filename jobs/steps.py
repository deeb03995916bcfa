"""The steps of a command that does several things: what is being done, how long each took, and a stop where one fails."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jobs.errors import JobError
from jobs.ledger import LedgerRow
from jobs.stage import exit_code

log = logging.getLogger("karma.steps")


class Steps:
    """Says what is being done, and keeps the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The block is the step ``name``; a name that comes again adds up."""
        began = time.monotonic()
        log.info("== %s", name)
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 1)
            log.info("== %s: %.1f s", name, self.seconds[name])


def refuse_unsettled(rows: Sequence[LedgerRow]) -> None:
    """Raises JobError, with the exit code of the stage, where one of ``rows`` did not settle."""
    bad = next((row for row in rows if not row.settled), None)
    if bad is not None:
        error = JobError("STAGE_NOT_DONE", f"{bad.job} of {bad.ds} ended as {bad.status}", got=bad.reason)
        error.exit_code = exit_code(bad)
        raise error
