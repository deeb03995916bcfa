"""The column mapping: what a file may say, and what it may not."""

from pathlib import Path

import pytest

from jobs.errors import UsageError
from jobs.mapping import ColumnRule, Mapping, load_mapping, source_columns
from schemas import names

EXAMPLE = Path(__file__).parents[2] / "conf" / "mapping" / "example.toml"


def test_the_example_says_what_its_comments_say() -> None:
    mapping = load_mapping(str(EXAMPLE))
    assert mapping.events["user_id"] == ColumnRule(column="customer_id")
    assert mapping.events["event_time"] == ColumnRule(column="ts", time="epoch_milliseconds")
    assert mapping.events["event_type"].values["buy"] == names.PURCHASE
    assert mapping.items["valid_from"].zone == "Europe/Paris"
    assert mapping.requests["query"] == ColumnRule(column="search_phrase")
    assert (mapping.csv.delimiter, mapping.csv.multiline) == (";", True)


def test_no_file_maps_every_column_to_itself() -> None:
    assert load_mapping(None) == Mapping()


def test_what_ingest_makes_itself_cannot_be_given() -> None:
    given = {name for table in (names.EVENTS, names.ITEMS, names.IMPRESSIONS, names.REQUESTS) for name in source_columns(table)}
    assert not {"ds", "content_hash", "image_sha256"} & given


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[events]\nuser = "a"', "did you mean 'user_id'"),
        ("[event]", "event"),
        ('[events]\nevent_time = { column = "t", unit = "s" }', "unit"),
        ('[events]\nevent_time = { time = "fortnights" }', "epoch_seconds"),
        ('[events]\nevent_time = { time = "order", step_seconds = 0 }', "step_seconds"),
        ('[events]\nevent_time = { zone = "Mars/Base" }', "Europe/Paris"),
        ('[events]\nuser_id = { column = "a", constant = "b" }', "not both"),
        ('[items]\ncontent_hash = "h"', "items takes no column 'content_hash'"),
        ('[csv]\ndelimiter = "||"', "delimiter"),
        ("[events", "cannot read"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, toml: str, said: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(toml)
    with pytest.raises(UsageError, match="BAD_MAPPING") as raised:
        load_mapping(str(file))
    assert said in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BAD_MAPPING"):
        load_mapping(str(tmp_path / "none.toml"))
