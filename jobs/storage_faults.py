"""What a store says when it takes no more: a full disk, a place that is read-only. Told from the words of an error.

Spark, Delta and delta-rs pass the system's words on, each in an exception of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.errors import JobError

STORAGE_FULL, NOT_WRITABLE = "STORAGE_FULL", "NOT_WRITABLE"

_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_REFUSED = ("Read-only file system", "Permission denied", "AccessDenied", "Access Denied")


def storage_fault(error: BaseException, table: str | None = None, place: str | None = None) -> JobError | None:
    """The JobError that ``error`` stands for; None where it says nothing of the store.

    Args:
        table, place: what was written and where, as far as it is known; else it may have been Spark's scratch folder, and words
            of a refusal stand for nothing.
    """
    said = f"{error} {getattr(error, '_stackTrace', '')}"
    where = place or "the warehouse and Spark's scratch folder"
    if full := _first(_FULL, said):
        hint = f"make room in {where} and run it again: nothing is published half"
        return JobError(STORAGE_FULL, "the disk is full", table=table, expected=f"room in {where}", got=full, hint=hint)
    if place and (refused := _first(_REFUSED, said)):  # elsewhere the same words are said of what cannot be read
        hint = "mount it for writing, or give this user the right to write; nothing was written"
        return JobError(
            NOT_WRITABLE, "the place cannot be written", table=table, expected=f"write access to {where}", got=refused, hint=hint
        )
    return None


def _first(words: tuple[str, ...], said: str) -> str | None:
    return next((word for word in words if word in said), None)


@contextmanager
def writing(table: str, place: str) -> Iterator[None]:
    """What a store says against a write of ``table`` at ``place``, as a JobError that names both. Other errors pass as they are."""
    try:
        yield
    except JobError:
        raise
    except Exception as error:
        fault = storage_fault(error, table, place)
        if fault is None:
            raise
        raise fault from error
