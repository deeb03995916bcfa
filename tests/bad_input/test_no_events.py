"""No events at all: own data says so, and a daily run publishes an empty day."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import own_data
from schemas import names
from tests.bad_input.kinds import NOTHING
from tests.bad_input.outcomes import documented, ended
from tests.promises.world import World, base_events
from tests.tiny import tiny_encoder

CONFIG = Path(__file__).resolve().parents[2] / "conf" / "encoder" / "sample.toml"


BAD = "u1,2026-03-10,hover,i1\n"


@pytest.mark.parametrize(
    ("lines", "kind", "said"),
    [
        ("", "no events at all", ("expected: one accepted event at least", "got: no rows")),
        (BAD, "no events at all", ("expected: one accepted event at least", "got: 1 rows read, all of them refused")),
        (BAD * 101, "too many refused rows", ("expected: at most 10.0% of 101 rows", "got: 101 (100.0%): unknown_event_type 101")),
    ],
)
def test_own_data_names_the_events(
    spark: SparkSession, tmp_path: Path, lines: str, kind: str, said: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "events.csv").write_text("user_id,event_time,event_type,item_id\n" + lines)
    (tmp_path / "items.csv").write_text("item_id,title\ni1,Lamp\n")
    files = ["--events", str(tmp_path / "events.csv"), "--items", str(tmp_path / "items.csv"), "--config", str(CONFIG)]
    code = own_data.main(["--out", str(tmp_path / "out"), *files])
    assert ended(code, caplog.text) == NOTHING[kind] == documented()[kind]
    for words in ("table: events", *said, "Hint: "):
        assert words in caplog.text


def test_an_empty_first_day_is_published_empty_and_the_next_one_is_whole(spark: SparkSession, tmp_path: Path) -> None:
    world = World(spark, tmp_path)
    world.add_encoder(tiny_encoder(tmp_path / "encoders", "tiny"))
    world.land_day(0)
    world.land_day(1, events=base_events(1))
    empty = world.run(0)
    assert world.statuses(empty) <= {*names.SETTLED}
    assert documented()["an empty first day"] == NOTHING["an empty first day"] == "accepted"
    assert empty[names.INGEST_EVENTS_JOB].counts["read"] == 0
    assert world.snapshot(0) == {}
    assert world.statuses(world.run(1)) == {names.DONE}
    assert len(world.snapshot(1)) == 10
