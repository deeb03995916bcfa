"""A user with a million events, who is also 90 % of all events: ingested and cut to the newest ones before any shuffle of histories."""

import time

import pytest
from pyspark.sql import SparkSession

from jobs import ingest_events, user_histories
from jobs.transforms.histories import full_histories
from schemas import names
from tests.bad_input.kinds import USERS
from tests.bad_input.outcomes import documented
from tests.ingest.warehouse import DAY, Warehouse

OF_ONE, OF_OTHERS = 1_000_000, 111_112  # every tenth event is of another user, with ten events each
N_MAX = names.DEFAULT_N_MAX
SECONDS = 60


@pytest.fixture(scope="module")
def heavy(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One day: event number n happened n * 50 ms after its start."""
    warehouse = Warehouse(_spark_session, tmp_path_factory.mktemp("heavy"))
    numbered = _spark_session.range(0, OF_ONE + OF_OTHERS, 1, 4)
    user = "CASE WHEN id % 10 = 0 THEN concat('u', id DIV 100) ELSE 'one' END AS user_id"
    when = f"timestamp_micros(unix_micros(TIMESTAMP'{DAY} 00:00:00') + id * 50000) AS event_time"
    event, item = "format_string('e%07d', id) AS event_id", "concat('i', id % 1000) AS item_id"
    rows = numbered.selectExpr(event, user, when, "'click' AS event_type", item)
    folder = warehouse.land(names.EVENTS, [])
    rows.write.mode("overwrite").parquet(str(folder))
    (folder / names.SUCCESS_MARKER).touch()
    return warehouse


@pytest.mark.parametrize("kind", USERS)
def test_it_is_accepted(kind: str) -> None:
    assert documented()[kind] == USERS[kind]


def test_one_heavy_user_is_ingested_and_remembered_by_the_newest_events(heavy: Warehouse, spark: SparkSession) -> None:
    spark.conf.set("spark.sql.codegen.wholeStage", "true")  # as in a job: the tests' session is for few rows
    spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")
    where, began = ["--root", str(heavy.root), "--ds", str(DAY)], time.monotonic()
    assert ingest_events.main(where) == names.EXIT_DONE
    assert user_histories.main(where) == names.EXIT_DONE
    assert time.monotonic() - began < SECONDS

    counts = heavy.context.ledger.state(names.INGEST_EVENTS_JOB, DAY).counts  # type: ignore[union-attr]
    assert counts["read"] == OF_ONE + OF_OTHERS == counts["accepted"] + counts["quarantined"]
    histories = heavy.context.tables.read(names.USER_HISTORIES)
    (one,) = histories.where("user_id = 'one'").select("event_ids").collect()
    newest = [number for number in range(OF_ONE + OF_OTHERS) if number % 10][-N_MAX:]
    assert list(one["event_ids"]) == [f"e{number:07d}" for number in newest]
    others = histories.where("user_id <> 'one'").selectExpr("count(*) AS n", "sum(size(event_ids)) AS events").first()
    assert others is not None
    assert tuple(others) == (11_112, OF_OTHERS)


def test_a_million_events_never_meet_in_one_task(heavy: Warehouse) -> None:
    """Each task keeps a user's newest events before they are shuffled to one place."""
    plan = full_histories(heavy.context.tables.read(names.EVENTS), DAY, N_MAX)._jdf.queryExecution().executedPlan().toString()
    assert "WindowGroupLimit" in plan
