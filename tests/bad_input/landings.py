"""Landing partitions, and words on the command line, that cannot be meant: what lies there, and how the job must end."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENT = {"user_id": "u1", "event_time": NOON, "event_type": "click", "item_id": "i1"}
HEADER = "user_id,event_time,event_type,item_id\n"
LINE = "u1,2026-03-10T12:00:00Z,click,i1\n"
WHERE = ("table: events", f"partition: ds={DAY}")
SAYS = ("expected: ", "got: ", "Hint: ")


@dataclass(frozen=True)
class Landing:
    """One case.

    Attributes:
        lands: puts the files there.
        outcome: how ingest-events must end.
        says: what its message must hold, beside code and SAYS.
        arguments: in place of ``--ds``; ``{root}`` is the root folder.
    """

    lands: Callable[[Warehouse], object]
    outcome: str
    says: tuple[str, ...] = WHERE
    arguments: tuple[str, ...] = ("--ds", str(DAY))


def _files(**contents: str | bytes) -> Callable[[Warehouse], object]:
    """Files by name; ``__`` stands for the dot."""

    def write(warehouse: Warehouse) -> None:
        folder = warehouse.land(names.EVENTS, [])
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def _good(warehouse: Warehouse) -> object:
    return warehouse.land(names.EVENTS, [EVENT])


def _cut(text: str) -> bytes:
    whole = gzip.compress(text.encode())
    return whole[: len(whole) // 2]


_MANY_LINES = HEADER + "".join(f"u{n * 7919 % 10_007},2026-03-10T12:00:00Z,click,i{n * 104_729 % 997}\n" for n in range(2000))

KINDS: dict[str, list[Landing]] = {
    "a missing column": [
        Landing(
            lambda warehouse, format=format: warehouse.land(
                names.EVENTS, [{"userid": "u1", "event_time": NOON, "event_type": "click", "item_id": "i1"}], format=format
            ),
            "exit 1 MISSING_COLUMN",
            (*WHERE, "column: user_id", "expected: user_id", "did you mean 'userid'?"),
        )
        for format in ("parquet", "json", "csv")
    ],
    "a column of a wrong type": [
        Landing(
            lambda warehouse: warehouse.land(names.EVENTS, [{**EVENT, "user_id": ["u1"]}]),
            "exit 1 WRONG_TYPE",
            (*WHERE, "column: user_id", "expected: string", "got: array<string>"),
        )
    ],
    "two columns of one name": [
        Landing(_files(a__csv="user_id,user_id\n1,2\n"), "exit 1 DUPLICATE_COLUMN", (*WHERE, "column: user_id")),
        Landing(_files(a__csv="user_id,User_ID\n1,2\n"), "exit 1 DUPLICATE_COLUMN", (*WHERE, "column: User_ID, user_id")),
        Landing(_files(a__jsonl='{"user_id": 1, "User_ID": 2}'), "exit 1 DUPLICATE_COLUMN", (*WHERE, "column: User_ID, user_id")),
    ],
    "a header that is not UTF-8": [Landing(_files(a__csv="user_id,event_type\n1,click\n".encode("utf-16")), "exit 1 NOT_UTF8")],
    "a file cut short": [
        Landing(_files(a__csv__gz=_cut(_MANY_LINES)), "exit 1 UNREADABLE_FILE"),
        Landing(_files(a__parquet="this is no Parquet file"), "exit 1 UNREADABLE_FILE"),
    ],
    "a file of an unknown format": [Landing(_files(a__xlsx="x"), "exit 1 UNKNOWN_FORMAT", (*WHERE, "got: a.xlsx"))],
    "files of several formats": [Landing(_files(a__jsonl="{}", b__csv="x"), "exit 1 MIXED_FORMATS", (*WHERE, "got: csv, json"))],
    "a colon in a file name": [Landing(_files(**{"a:b.csv": HEADER}), "exit 1 FILE_NAME", (*WHERE, "got: a:b.csv"))],
    "a day without its marker": [
        Landing(
            lambda warehouse: warehouse.land(names.EVENTS, [EVENT], marker=False),
            "exit 4 NO_SUCCESS_MARKER",
            (*WHERE, f"ds={DAY}/_SUCCESS"),
        )
    ],
    "a source that is not there": [
        Landing(
            _good, "exit 4 NO_SOURCE", ("table: events", "nowhere.csv"), ("--ds", str(DAY), "--source", "{root}/nowhere.csv")
        ),
        Landing(
            lambda warehouse: (warehouse.root / "unfinished").mkdir(), "exit 4 NO_SOURCE", ("table: events", "got: an empty folder"),
            ("--ds", str(DAY), "--source", "{root}/unfinished"),
        ),
    ],
    "a day that is no date": [
        Landing(_good, "exit 2 NOT_A_DAY", (f"got: '{day}'", "expected: YYYY-MM-DD"), ("--ds", day)) for day in ("10.03.2026", "2026-02-30")
    ],
    "a mapping that does not fit": [
        Landing(
            lambda warehouse: (warehouse.root / "mapping.toml").write_text('[events]\nuser = "u"\n'),
            "exit 2 BAD_MAPPING",
            ("events takes no column 'user'",),
            ("--ds", str(DAY), "--mapping", "{root}/mapping.toml"),
        )
    ],
}  # fmt: skip

EMPTY_DAYS: dict[str, list[Callable[[Warehouse], object]]] = {
    "an empty day": [lambda warehouse: warehouse.land(names.EVENTS, []), _files(a__csv=HEADER)],
}
