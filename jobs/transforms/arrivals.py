"""When a row may arrive: on its landing day within the allowed lateness, or, in a bulk load, on the day on which it happened."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.transforms.days import as_of
from schemas import reasons


class Arrival(Protocol):
    """How a load dates its rows and which times it refuses."""

    def day(self, time: Column) -> Column:
        """The arrival day (ds) of a row that happened at ``time``."""
        ...

    def refusals(self, time: Column) -> list[tuple[Column, str]]:
        """Conditions under which a row that happened at ``time`` is refused, with their reasons."""
        ...


@dataclass(frozen=True, kw_only=True)
class DailyArrival:
    """Rows arrive on ``ds``: those at or after its end are from the future, those older than ``max_lateness_days`` too late.

    Exactly ``max_lateness_days`` before the start of ds is still in time.
    """

    ds: date
    max_lateness_days: int

    def day(self, time: Column) -> Column:
        return F.lit(self.ds)

    def refusals(self, time: Column) -> list[tuple[Column, str]]:
        oldest = as_of(self.ds) - timedelta(days=1 + self.max_lateness_days)
        return [(time >= F.lit(as_of(self.ds)), reasons.FUTURE), (time < F.lit(oldest), reasons.TOO_LATE)]


@dataclass(frozen=True, kw_only=True)
class BulkArrival:
    """A bulk load declares that arrival = event time: ds is the UTC day of each row.

    Attributes:
        first, last: the declared days, both inclusive; None where the load did not declare any.
        now: the job's clock; what happens later is from the future.
    """

    first: date | None
    last: date | None
    now: datetime

    def day(self, time: Column) -> Column:
        return F.to_date(time)

    def refusals(self, time: Column) -> list[tuple[Column, str]]:
        future = (time >= F.lit(self.now), reasons.FUTURE)
        if self.first is None or self.last is None:
            return [future]
        return [future, ((F.to_date(time) < F.lit(self.first)) | (F.to_date(time) > F.lit(self.last)), reasons.OUT_OF_RANGE)]
