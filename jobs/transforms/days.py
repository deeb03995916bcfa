"""The clock of a day: which instants and rows belong to ``ds``. One home for the closure of days (DESIGN 3)."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F


def as_of(ds: date) -> datetime:
    """The end of ``ds``: ds + 1 day, 00:00 UTC. The history of ds holds ``event_time < as_of(ds)``."""
    return datetime(ds.year, ds.month, ds.day, tzinfo=UTC) + timedelta(days=1)


def as_of_column(ds: str = "ds") -> Column:
    """``as_of`` of a DATE column, as a timestamp (the session's time zone is UTC)."""
    return F.date_add(F.col(ds), 1).cast("timestamp")
