"""Which day a run processes, and what every DAG says about its tasks.

A nightly run of day D + 1 processes D (its partition key); a backfill's partition key is the day itself; by hand a person names the
day. A run that knows none fails: ``ds`` is then undefined, and an undefined name is an error in a template.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, AsyncCallback, Context, CronPartitionTimetable, DeadlineAlert, DeadlineReference, Param
from airflow.sdk.exceptions import AirflowFailException
from jinja2 import Environment, UndefinedError

from dags.alerts import tell_failed, tell_late
from dags.settings import SETTINGS
from schemas import names

DAY_FORMAT = "%Y-%m-%d"
DAY = "{{ params.day or partition_key or ds }}"
RECOMPUTE = "{{ '--recompute' if params.recompute else '--no-recompute' }}"
DAY_ARGS = ("--ds", DAY, RECOMPUTE)
# What a backfill publishes was readable from the end of its day on, as declared; what a night or a person publishes, from now on.
PUBLICATION = f"{{{{ '{names.SIMULATED}' if dag_run.run_type == 'backfill' else '{names.LIVE}' }}}}"

NIGHTLY = CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format=DAY_FORMAT)
WEEKLY = CronPartitionTimetable("0 4 * * 1", timezone="UTC", key_format=DAY_FORMAT)

INTEREST_EMBEDDINGS = Asset(names.INTEREST_EMBEDDINGS, uri=f"karma://{names.INTEREST_EMBEDDINGS}")
"""Published days of interest embeddings; a partition is a day."""

POOL = "spark"
"""Bounds the Spark sessions that run at once; where the store does not arbitrate between writers (local disks, S3) it has one slot."""


class OfADay:
    """A task that works on the day of its run; goes before the operator among the bases.

    Raises AirflowFailException, so that no retry follows, where the run knows no day.
    """

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        try:
            super().render_template_fields(context, jinja_env)  # type: ignore[misc]
        except UndefinedError as error:
            raise AirflowFailException(f"the run knows no day ({error}): trigger it with one") from error


def day_params() -> dict[str, Param]:
    """What a person, or a backfill's --dag-run-conf, may say."""
    return {
        "day": Param(None, type=["null", "string"], format="date", description="The day (YYYY-MM-DD); empty: the run's own."),
        "recompute": Param(False, type="boolean", description="Run settled days again, and replace live publications."),
    }


def flow(schedule: object, *, late: timedelta = SETTINGS.late, priority: int = 1, **params: Param) -> dict[str, Any]:
    """The arguments that all DAGs share: one home for owner, retries, time limits and the alerts.

    Args:
        late: a run that is not over this long after it was queued raises the alert.
        priority: of its tasks for a slot of the pool. Airflow's own rule, by the tasks that follow, lets the early stages of a long
            backfill go before the last ones of a night.
    """
    return {
        "schedule": schedule,
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "catchup": False,  # holes are filled by `airflow backfill create`, where a person says which
        "max_active_runs": 4,  # a backfill goes on beside the night's run; the pool bounds the sessions
        "params": {**day_params(), **params},
        "default_args": {
            "owner": "karma",
            "pool": POOL,
            "retries": 2,
            "retry_delay": SETTINGS.retry_delay,
            "execution_timeout": timedelta(hours=2),
            "weight_rule": "absolute",
            "priority_weight": priority,
        },
        "deadline": DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=late, callback=AsyncCallback(tell_late)),
        "on_failure_callback": tell_failed,
        "tags": ["karma"],
    }
