"""Where the jobs are and where they work: read from the environment of the Airflow processes, so that no DAG names a place."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One deployment. Every value comes from the variable named beside it; the defaults fit a local Airflow.

    Attributes:
        home: KARMA_HOME, folder or URI of the project, as spark-submit sees it.
        root: KARMA_ROOT, folder of encoders, Data Docs and shards, as the driver sees it.
        warehouse: KARMA_WAREHOUSE, folder or URI of the tables.
        landing: KARMA_LANDING, the landing zone.
        verdicts: KARMA_VERDICTS, folder or URI where a run leaves its verdict; driver and worker must both reach it.
        spark_submit: KARMA_SPARK_SUBMIT, the program.
        spark_conf: KARMA_SPARK_CONF, a properties file for it (``karma submit-conf`` writes one for this machine).
        py_files: KARMA_PY_FILES, the project as a zip where the driver does not run on this machine.
        training_config: KARMA_TRAINING_CONFIG.
        landing_wait: KARMA_LANDING_WAIT_HOURS, how long after the end of its day an input is waited for.
        poll: KARMA_POLL_SECONDS, how often the landing zone is looked at.
        late: KARMA_LATE_HOURS, a run that takes longer than this raises the alert.
        retry_delay: KARMA_RETRY_DELAY_SECONDS.
        alerts: KARMA_ALERTS, the file that alerts are appended to.
    """

    home: str
    root: str
    warehouse: str
    landing: str
    verdicts: str
    spark_submit: str
    spark_conf: str | None
    py_files: str | None
    training_config: str
    landing_wait: timedelta
    poll: timedelta
    late: timedelta
    retry_delay: timedelta
    alerts: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises ValueError where a number is none."""
        home = environ.get("KARMA_HOME", str(_PROJECT))
        root = environ.get("KARMA_ROOT", f"{_PROJECT}/var/airflow/world")
        return cls(
            home=home,
            root=root,
            warehouse=environ.get("KARMA_WAREHOUSE", f"{root}/warehouse"),
            landing=environ.get("KARMA_LANDING", f"{root}/landing"),
            verdicts=environ.get("KARMA_VERDICTS", f"{root}/verdicts"),
            spark_submit=environ.get("KARMA_SPARK_SUBMIT", f"{_PROJECT}/.venv/bin/spark-submit"),
            spark_conf=environ.get("KARMA_SPARK_CONF"),
            py_files=environ.get("KARMA_PY_FILES"),
            training_config=environ.get("KARMA_TRAINING_CONFIG", f"{home}/conf/encoder/sample.toml"),
            landing_wait=timedelta(hours=float(environ.get("KARMA_LANDING_WAIT_HOURS", "10"))),
            poll=timedelta(seconds=float(environ.get("KARMA_POLL_SECONDS", "60"))),
            late=timedelta(hours=float(environ.get("KARMA_LATE_HOURS", "8"))),
            retry_delay=timedelta(seconds=float(environ.get("KARMA_RETRY_DELAY_SECONDS", "300"))),
            alerts=environ.get("KARMA_ALERTS", f"{_PROJECT}/var/airflow/alerts.log"),
        )


SETTINGS = Settings.of(os.environ)
