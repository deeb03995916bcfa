"""The label window: the days after an encoder was trained, and what each user took first in them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.errors import UsageError
from jobs.transforms.histories import distinct_events
from jobs.transforms.ranking import distinct_impressions
from jobs.transforms.training import last_day_before

LONGEST = 3660


@dataclass(frozen=True, kw_only=True)
class LabelWindow:
    """``[since, since + days)``. Raises UsageError where there is no day in it, or more than LONGEST."""

    since: datetime
    days: int

    def __post_init__(self) -> None:
        if not 1 <= self.days <= LONGEST:
            raise UsageError("NO_WINDOW", "targets lie in days", column="--window-days", expected=f"1 to {LONGEST}", got=self.days)

    @property
    def end(self) -> datetime:
        """Exclusive."""
        return self.since + timedelta(days=self.days)

    @property
    def last_day(self) -> date:
        """The last day (UTC) that holds an instant of the window."""
        return last_day_before(self.end)


def first_taken(events: DataFrame, window: LabelWindow) -> DataFrame:
    """Each user's first item event in the window, by (event_time, event_id), of those that had arrived by its last day: user_id, item_id,
    taken_at (microseconds since 1970 UTC), query (what was typed in the event's own row; null where nothing was).

    An event that arrives later changes no figure: it is the same whenever it is measured.
    """
    arrived = events.where(F.col("ds") <= F.lit(window.last_day))
    items = distinct_events(arrived).where(_inside("event_time", window) & F.col("item_id").isNotNull())
    first = items.groupBy("user_id").agg(F.min(F.struct("event_time", "event_id", "item_id", "query")).alias("first"))
    return first.select("user_id", "first.item_id", F.unix_micros("first.event_time").alias("taken_at"), "first.query")


def shown_to(users: DataFrame, impressions: DataFrame, window: LabelWindow) -> DataFrame:
    """user_id, item_id, clicked: the impressions of ``users`` in the window that had arrived by its last day, once each."""
    arrived = impressions.where(F.col("ds") <= F.lit(window.last_day))
    of_window = distinct_impressions(arrived).where(_inside("impression_time", window))
    return of_window.join(users.select("user_id"), "user_id", "left_semi").select("user_id", "item_id", "clicked")


def _inside(time: str, window: LabelWindow) -> Column:
    return (F.col(time) >= F.lit(window.since)) & (F.col(time) < F.lit(window.end))
