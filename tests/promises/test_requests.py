"""request-embeddings: vectors of what was asked, with the history of that instant."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import functions as F

from jobs import request_embeddings
from jobs.ingest import IngestOptions, ingest_stage
from jobs.ledger import LedgerRow
from jobs.mapping import ColumnRule, Mapping
from jobs.request_embeddings import RequestPolicy, request_embeddings_stage
from jobs.stage import run_stage
from karma.artefact import load_encoder
from karma.text import render_item
from karma.token_kinds import ITEM, QUERY_ONLY
from schemas import names
from tests.promises.world import ITEMS, USERS, World, base_events, click, day, moment
from tests.tiny import DIM

COLUMNS = ("request_id", "user_id", "request_time", "query")
ASKER = "u02"  # clicks three times on day 0, and once in the night of day 2
NOON = moment(2)
ASKED = [
    ("early", ASKER, moment(2, hour=0.5), "red lamp"),
    ("noon", ASKER, NOON, "blue mug"),
    ("new", "nobody", NOON, "blue mug"),
]
REFUSED = {
    "missing:query": ("silent", ASKER, NOON, ""),
    "missing:request_time": ("timeless", ASKER, "", "mug"),
    "duplicate_request": ("noon", ASKER, NOON, "green jacket"),
    "null_key": ("whose", "", NOON, "mug"),
}


def write_requests(path: Path, rows: list[tuple]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def rows_of(world: World, offset: int) -> dict[str, dict[str, Any]]:
    where = {"ds": day(offset), "space_id": world.encoder.space_id}
    rows = world.context().tables.read_where(names.REQUEST_EMBEDDINGS, where).collect()
    assert len({row["request_id"] for row in rows}) == len(rows)
    return {row["request_id"]: row.asDict() for row in rows}


def state(world: World, offset: int) -> LedgerRow:
    found = world.context().ledger.state(names.REQUEST_EMBEDDINGS_JOB, day(offset), world.encoder.space_id)
    assert found is not None
    return found


def direct(world: World, history: list[str], query: str) -> np.ndarray:
    """The encoder called with the items of a history, all clicked, and a query last."""
    encoder = load_encoder(world.encoder.folder)
    items = encoder.encode_items(history, [render_item(ITEMS[item], "home") for item in history], np.zeros((len(history), 0), np.float32),
                                 np.zeros(len(history), bool))  # fmt: skip
    tokens = np.concatenate([items, np.zeros((1, DIM), np.float32)])[None]
    kinds = np.array([[ITEM] * len(history) + [QUERY_ONLY]])
    types = np.array([encoder.event_type_ids(["click"] * len(history) + ["query"])])
    return encoder.encode_histories(tokens, kinds, types, [[None] * len(history) + [query]])[0]


def clicked(before: Any) -> list[str]:
    events = [event for event in (*base_events(0), *base_events(2)) if event["user_id"] == ASKER and event["event_time"] < before]
    return [event["item_id"] for event in sorted(events, key=lambda event: event["event_time"])]


def test_a_file_of_requests_becomes_vectors_of_what_was_known_then(world: World) -> None:
    where = ["--root", str(world.root), "--ds", day(2).isoformat()]
    file = write_requests(world.root / "asked.csv", [*ASKED, *REFUSED.values()])
    file.write_text(file.read_text(encoding="utf-8").replace("request_time", "asked_at", 1), encoding="utf-8")
    mapping = world.root / "mapping.toml"
    mapping.write_text('[requests]\nrequest_time = "asked_at"\n', encoding="utf-8")
    assert request_embeddings.main([*where, "--requests", str(file), "--mapping", str(mapping)]) == names.EXIT_DONE
    tables = world.context().tables
    counts = world.context().ledger.state(names.INGEST_REQUESTS_JOB, day(2)).counts
    assert (counts["read"], counts["accepted"], counts["quarantined"]) == (7, 3, 4)
    refused = tables.read_where(names.QUARANTINE, {"table": names.REQUESTS, "ds": day(2)}).collect()
    assert {row["reason"]: row["row_number"] for row in refused} == dict(zip(REFUSED, range(3, 7), strict=True))

    first = rows_of(world, 2)
    histories = {"early": clicked(ASKED[0][2]), "noon": clicked(NOON), "new": []}
    assert [len(histories[request]) for request in ("early", "noon", "new")] == [3, 4, 0]
    for request, _, time, query in ASKED:
        row = first[request]
        assert (row["request_time"], row["query"], row["missing_reason"]) == (time.replace(tzinfo=None), query, None)
        assert row["history_len"] == len(histories[request])
        assert float(np.array(row["embedding"]) @ direct(world, histories[request], query)) >= 0.99999, request
    assert first["new"]["last_event_time"] is None

    def again(*more: dict[str, Any]) -> str:
        """The status after a rerun, with ``more`` events that day 2 brought."""
        if more:
            world.land(names.EVENTS, 2, [*base_events(2), *more])
            run_stage(world.context(), ingest_stage(names.EVENTS), day(2))
        assert request_embeddings.main(where) == names.EXIT_DONE
        return state(world, 2).status

    version = tables.version(names.REQUEST_EMBEDDINGS)
    assert again() == names.UNCHANGED
    future = [click("now", ASKER, "i00", NOON), click("later", ASKER, "i00", moment(2, hour=13))]
    assert again(*future) == names.UNCHANGED
    assert (tables.version(names.REQUEST_EMBEDDINGS), rows_of(world, 2)) == (version, first)
    assert again(*future, click("before", ASKER, "i00", moment(2, hour=11))) == names.DONE
    assert {request for request, row in rows_of(world, 2).items() if row["fingerprint"] != first[request]["fingerprint"]} == {"noon"}


def test_impressions_ask_too_and_every_null_has_its_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that was trained until 18:00, when all are shown an item on day 1 without having typed anything."""
    asked = [("q1-u00", moment(1, hour=17)), ("before", moment(1, hour=17.9)), ("at", moment(1, hour=18))]
    world.land(names.REQUESTS, 1, [{"request_id": name, "user_id": ASKER, "request_time": time, "query": "mug"} for name, time in asked])
    run_stage(world.context(), ingest_stage(names.REQUESTS), day(1))
    monkeypatch.setattr("jobs.encoders.Encoder.trained_until", moment(1, hour=18))
    stage = request_embeddings_stage(world.encoder, RequestPolicy())
    honest = request_embeddings.encoded
    with monkeypatch.context() as broken:
        zeros = F.transform("embedding", lambda x: (x * 0).cast("float"))
        broken.setattr(request_embeddings, "encoded", lambda *args: honest(*args).withColumn("embedding", zeros))
        assert run_stage(world.context(), stage, day(1)).status == names.BLOCKED
    assert rows_of(world, 1) == {}
    row = run_stage(world.context(), stage, day(1))
    assert (row.status, row.counts["requests"], row.counts["encoded"]) == (names.DONE, len(USERS) + 2, 1)
    reasons = {"before": names.TRAINED_AFTER, "q1-u00": names.TRAINED_AFTER, "at": None}
    found = rows_of(world, 1)
    assert {name: row["missing_reason"] for name, row in found.items()} == {
        **{f"q1-{user}": names.NO_QUERY for user in USERS}, **reasons,
    }  # fmt: skip
    assert {name for name, row in found.items() if row["embedding"] is not None} == {"at"}


def test_several_days_of_one_file_are_a_bulk_of_exactly_these_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(request_embeddings, "bulk_load", lambda context, table, options: loads.append((table, options)) or [])
    mapping = Mapping(requests={"query": ColumnRule(column="typed")})
    assert request_embeddings._ingested(world.context(), "asked.csv", mapping, [day(0), day(1), day(2)]) == names.EXIT_DONE
    assert loads == [(names.REQUESTS, IngestOptions(mapping=mapping, source="asked.csv", bulk=True, first=day(0), last=day(2)))]


def test_without_any_requests_the_ledger_says_so(world: World) -> None:
    assert request_embeddings.main(["--root", str(world.root), "--ds", day(2).isoformat()]) == names.EXIT_INPUT_MISSING
    assert "NO_REQUESTS" in (state(world, 2).reason or "")
