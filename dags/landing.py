"""The wait for an input: it holds no slot, and it ends at a deadline whatever happens."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context, ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dags.days import DAY, DAY_FORMAT, OfADay
from dags.settings import SETTINGS
from schemas import names


def has_landed(marker: str) -> bool:
    return ObjectStoragePath(marker if "://" in marker else f"file://{marker}").exists()


def last_moment(day: str) -> datetime:
    """Until when the input of ``day`` is waited for (UTC): an old day's moment is over, so its wait ends at once.

    Raises AirflowFailException where ``day`` is none, or has not begun: its wait would keep one of the DAG's runs until then.
    """
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
            raise ValueError
        begins = datetime.strptime(day, DAY_FORMAT).replace(tzinfo=UTC)
        until = begins + timedelta(days=1) + SETTINGS.landing_wait
    except (ValueError, OverflowError):
        raise AirflowFailException(f"the run knows no day (YYYY-MM-DD), it has {day!r}: trigger it with one") from None
    if begins > datetime.now(UTC):
        raise AirflowFailException(f"{day} has not begun (UTC): trigger the run with a day that has")
    return until


class MarkerTrigger(BaseTrigger):
    """Looks for ``marker`` until it is there or ``until`` (ISO 8601) has passed; says which."""

    def __init__(self, marker: str, until: str, poll_seconds: float) -> None:
        super().__init__()
        self.marker, self.until, self.poll_seconds = marker, until, poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "dags.landing.MarkerTrigger", {"marker": self.marker, "until": self.until, "poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        landed = await asyncio.to_thread(has_landed, self.marker)
        while not landed and datetime.now(UTC) < datetime.fromisoformat(self.until):
            await asyncio.sleep(self.poll_seconds)
            landed = await asyncio.to_thread(has_landed, self.marker)
        yield TriggerEvent(landed)


class LandingWait(OfADay, BaseOperator):
    """Waits for the success marker of a table's landing partition.

    It succeeds at the deadline as well: the job after it then finds its input missing, and that is what the ledger has to say.
    """

    template_fields = ("day",)

    def __init__(self, *, table: str, **kwargs: Any) -> None:
        super().__init__(task_id=f"wait-{table}", pool="default_pool", **kwargs)  # it never runs Spark
        self.table = table
        self.day = DAY

    def execute(self, context: Context) -> bool:
        until, marker = last_moment(self.day), f"{SETTINGS.landing}/{self.table}/ds={self.day}/{names.SUCCESS_MARKER}"
        if not has_landed(marker):
            trigger = MarkerTrigger(marker, until.isoformat(), SETTINGS.poll.total_seconds())
            self.log.info("%s is not there: waiting until %s", marker, until)
            self.defer(trigger=trigger, method_name="resume")
        return True

    def resume(self, context: Context, event: bool) -> bool:
        if not event:
            self.log.warning("%s of %s has not landed in time: the day will be %s", self.table, self.day, names.MISSING_INPUT)
        return event
