"""Bad rows by kind: the outcome and the rows that must come to it. All rows of a table land together."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import names

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
START = datetime(2026, 3, 10, tzinfo=UTC)
SECONDS = 1_773_144_000  # NOON
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Rows:
    """Rows of one table, and the quarantine's reason for each of them, or ACCEPTED."""

    table: str
    reason: str
    rows: tuple[dict[str, Any], ...]


def event(**facts: Any) -> dict[str, Any]:
    given = {"event_id": None, "user_id": "u1", "event_time": NOON, "event_type": "click", "item_id": "i1", "query": None, "value": None}
    return {**given, **facts}


def item(**facts: Any) -> dict[str, Any]:
    given = {"item_id": "i1", "title": "Blue jug", "category": "kitchen", "price": "3.5", "valid_from": None, "image_ref": None}
    return {**given, **facts}


def impression(**facts: Any) -> dict[str, Any]:
    given = {"request_id": "r1", "item_id": "i1", "user_id": "u1", "impression_time": NOON, "query": None}
    return {**given, "position": "1", "clicked": "true", **facts}


def request(**facts: Any) -> dict[str, Any]:
    return {"request_id": "r1", "user_id": "u1", "request_time": NOON, "query": "blue jug", **facts}


def _events(reason: str, *rows: dict[str, Any]) -> Rows:
    return Rows(names.EVENTS, reason, rows)


def _items(reason: str, *rows: dict[str, Any]) -> Rows:
    return Rows(names.ITEMS, reason, rows)


def _impressions(reason: str, *rows: dict[str, Any]) -> Rows:
    return Rows(names.IMPRESSIONS, reason, rows)


def _requests(reason: str, *rows: dict[str, Any]) -> Rows:
    return Rows(names.REQUESTS, reason, rows)


KINDS: dict[str, list[Rows]] = {
    "a null key": [
        _events("null_key", event(user_id=None), event(user_id="  ")),
        _items("null_key", item(item_id=None)),
        _impressions("null_key", impression(request_id=None), impression(item_id=None), impression(user_id=None)),
        _requests("null_key", request(request_id=None), request(request_id="r3", user_id=" ")),
    ],
    "a missing value": [
        _events("missing:event_time", event(event_time=None)),
        _events("missing:event_type", event(event_type="")),
        _impressions("missing:clicked", impression(clicked=None, item_id="i3")),
        _requests("missing:request_time", request(request_id="r4", request_time=None)),
        _requests("missing:query", request(request_id="r5", query=None), request(request_id="r6", query=" ")),
    ],
    "a value of a wrong type": [
        _events("bad_type:event_time", event(event_time="yesterday"), event(event_time="2026-02-30"), event(event_time="10/03/2026")),
        _events("bad_type:value", event(value="four")),
        _items("bad_type:price", item(item_id="i5", price="cheap")),
        _items("bad_type:valid_from", item(item_id="i6", valid_from="soon")),
        _impressions("bad_type:clicked", impression(clicked="2", item_id="i4")),
        _requests("bad_type:request_time", request(request_id="r7", request_time="soon")),
        _impressions("bad_type:position", impression(position="1.5", item_id="i5")),
    ],
    "an unknown event type": [_events("unknown_event_type", event(event_type="hover"))],
    "neither item nor query": [_events("neither_item_nor_query", event(item_id=None), event(item_id="", query=" "))],
    "an event from the future": [
        _events("future", event(event_time=START + timedelta(days=1)), event(event_time=START + timedelta(days=300))),
        _impressions("future", impression(impression_time=START + timedelta(days=1), item_id="i6")),
        _requests("future", request(request_id="r8", request_time=START + timedelta(days=1))),
    ],
    "an event too late": [
        _events("too_late", event(event_time=START - timedelta(days=7, microseconds=1))),
        _impressions("too_late", impression(impression_time=START - timedelta(days=8), item_id="i7")),
        _requests("too_late", request(request_id="r9", request_time=START - timedelta(days=8))),
    ],
    "a duplicate event id": [_events("duplicate_event_id", event(event_id="e1", item_id="i2"), event(event_id="e1", item_id="i3"))],
    "a duplicate item": [
        _items(
            "duplicate_item",
            item(title="Blue jug, again"),
            item(item_id="i4", valid_from=START + timedelta(days=30), title="other"),
        )
    ],
    "a duplicate impression": [_impressions("duplicate_impression", impression(clicked="false"), impression(request_id="r2"))],
    "a duplicate request": [_requests("duplicate_request", request(query="other"), request(request_id="r2"))],
    "broken UTF-8": [
        _events("not_utf8", event(query=b"caf\xe9"), event(user_id=b"\xff\xfe")),
        _items("not_utf8", item(item_id="i7", title=b"Pich\xe9")),
    ],
    "control characters in a key": [
        _events("control_characters", event(user_id="u\x011")),
        _items("control_characters", item(item_id="i\n8")),
    ],
    "control characters in a text": [
        _events(ACCEPTED, event(query="control\tand\x01characters")),
        _items(ACCEPTED, item(item_id="i9", title="Red\x07 jug")),
    ],
    "an unknown item": [_events(ACCEPTED, event(item_id="never-seen", query="both"))],
    "identical events without an id": [_events(ACCEPTED, event(item_id="twice"), event(item_id="twice"))],
    "mixed time zones": [
        _events(
            ACCEPTED,
            event(event_id="z-utc", event_time="2026-03-10T12:00:00Z"),
            event(event_id="z-paris", event_time="2026-03-10T13:00:00+01:00"),
            event(event_id="z-tokyo", event_time="2026-03-10T21:00:00+09:00"),
        )
    ],
    "times as texts": [
        _events(
            ACCEPTED,
            event(event_id="z-text", event_time="2026-03-10 12:00:00"),
            event(event_id="z-micros", event_time="2026-03-10T12:00:00.000000Z"),
        )
    ],
    "times in seconds": [_events(ACCEPTED, event(event_id="z-seconds", event_time=SECONDS))],
    "times in milliseconds": [_events(ACCEPTED, event(event_id="z-milliseconds", event_time=SECONDS * 1000))],
    "a title of 1 MB": [_items(ACCEPTED, item(item_id="i3", title="x" * 1_000_000))],
    "an empty title": [_items(ACCEPTED, item(item_id="i2", title=None), item(item_id="i10", title="  "))],
    "an image that is not there": [_items(ACCEPTED, item(item_id="i11", image_ref="gone.png"))],
}

GOOD = [
    _events(
        ACCEPTED,
        event(event_id="e1"),
        event(event_time=START - timedelta(days=7)),
        event(event_time=START + timedelta(days=1) - timedelta(microseconds=1)),
        event(item_id=None, query="jug", event_type="query"),
    ),
    _items(
        ACCEPTED,
        item(),
        item(item_id="i4", valid_from=START + timedelta(days=30)),
        item(item_id="i1", valid_from=START - timedelta(days=30), title="Jug"),
    ),
    _impressions(ACCEPTED, impression(), impression(item_id="i2", position=None, clicked="0"), impression(request_id="r2")),
    _requests(ACCEPTED, request(), request(request_id="r2", request_time=START - timedelta(days=7))),
]
"""Rows that nothing speaks against, at the edges of what is allowed; the duplicates above repeat some of them."""


def landed(table: str) -> list[tuple[str, dict[str, Any]]]:
    """All rows of ``table`` with the reason for each, in the order in which they land."""
    groups = [*GOOD, *(group for groups in KINDS.values() for group in groups)]
    return [(group.reason, row) for group in groups if group.table == table for row in group.rows]
