"""A user with a million events, who is also 90 % of all events: ingested and cut to the newest ones before any shuffle of histories."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
START_MICROS = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def heavy(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One day: event number n happened n * 50 ms after its start."""
    warehouse = Warehouse(_spark_session, tmp_path_factory.mktemp("heavy"))
    for half in np.array_split(np.arange(OF_ONE + OF_OTHERS), 2):
        numbers = half.tolist()
        events = {
            "event_id": [f"e{number:07d}" for number in numbers],
            "user_id": ["one" if number % 10 else f"u{number // 100}" for number in numbers],
            "event_time": pa.array(START_MICROS + 50_000 * half, pa.timestamp("us", "UTC")),
            "event_type": ["click"] * len(half),
            "item_id": [f"i{number % 1000}" for number in numbers],
        }
        pq.write_table(pa.table(events), warehouse.land(names.EVENTS, []) / f"from-{numbers[0]}.parquet")
    return warehouse


@pytest.mark.parametrize("kind", USERS)
def test_it_is_accepted(kind: str) -> None:
    assert documented()[kind] == USERS[kind]


def test_one_heavy_user_is_ingested_and_remembered_by_the_newest_events(heavy: Warehouse, spark: SparkSession) -> None:
    spark.conf.set("spark.sql.codegen.wholeStage", "true")  # as in a job: the tests' session is for few rows
    spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")
    where = ["--root", str(heavy.root), "--ds", str(DAY)]
    assert ingest_events.main(where) == names.EXIT_DONE
    assert user_histories.main(where) == names.EXIT_DONE
    counts = heavy.context.ledger.state(names.INGEST_EVENTS_JOB, DAY).counts  # type: ignore[union-attr]
    assert counts["read"] == OF_ONE + OF_OTHERS == counts["accepted"] + counts["quarantined"]
    histories = heavy.context.tables.read(names.USER_HISTORIES)
    (one,) = histories.where("user_id = 'one'").select("event_ids").collect()
    newest = [number for number in range(OF_ONE + OF_OTHERS) if number % 10][-N_MAX:]
    assert list(one["event_ids"]) == [f"e{number:07d}" for number in newest]
    others = histories.where("user_id <> 'one'").selectExpr("count(*) AS n", "sum(size(event_ids)) AS events").first()
    assert others is not None
    assert tuple(others) == (11_112, OF_OTHERS)

    # Each task keeps a user's newest events before they are shuffled to one place.
    plan = full_histories(heavy.context.tables.read(names.EVENTS), DAY, N_MAX)._jdf.queryExecution().executedPlan().toString()
    assert "WindowGroupLimit" in plan
