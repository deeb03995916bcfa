"""Facts made by hand: a whole run of four items and three users, and variations of it."""

from dataclasses import replace
from typing import Any

import numpy as np

from jobs.report.clouds import cloud_of, interest_map
from jobs.report.facts import (
    Arrival,
    Cost,
    Coverage,
    Difference,
    Facts,
    Gate,
    Heading,
    Histories,
    Judged,
    Line,
    Person,
    Refused,
    Slice,
    Snapshot,
)

HOSTILE = "<img src=x onerror=alert(1)></script>"
METHODS = {
    "popularity": {"HR@10": 0.125, "HR@50": 0.25, "HR@200": None},
    "encoder": {"HR@10": 0.5, "HR@50": 0.75, "HR@200": None},
}


def vectors(n: int, dim: int = 8, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    drawn = np.random.default_rng(seed).normal(size=(n, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def facts(*, users: int = 3, items: int = 4, title: str = "A film", **changes: Any) -> Facts:
    """A run in which everything went well; ``changes`` replace whole parts of it."""
    interests, contents = vectors(users), vectors(items, seed=1)
    lengths = np.arange(1, users + 1)
    whole = Facts(
        heading=Heading(
            users=users, items=items, events=1234, impressions=5678, spaces=("0123456789abcdef",),
            published_days=("2026-02-08", "2026-02-09"),
            encoder="small-1", trained_until="2026-01-31 00:00 UTC", ran_at="2026-03-01 00:00 UTC",
        ),
        arrivals=(
            Arrival(table="events", read=1236, accepted=1234, refused=2, also={"late": 3}),
            Arrival(table="items", read=items, accepted=items, refused=0),
        ),
        refused=(Refused(table="events", reason="malformed_row", rows=2, place="events.jsonl, row 1234", row="broken"),),
        gates=(
            Gate(
                ds="2026-02-09", job="validate", verdict="passed", reason="", rows=users, failed=(),
                rules={"passed": 22, "not_applicable": 16},
                data_docs="../data_docs/index.html",
            ),
        ),
        coverage=Coverage(
            snapshots=(
                Snapshot(ds="2026-02-08", users=users, with_vector=users, encoded=users),
                Snapshot(ds="2026-02-09", users=users, with_vector=users, encoded=1),
            ),
            items=items, with_image=1, with_title=items, with_category=0, with_price=0, with_vector=items,
            reasons={"joined": 378, "no_history": 0, "not_published": 462}, expected=420, expected_with_vector=378, derived=840,
        ),
        histories=Histories(lengths=lengths, users=np.ones(users, np.int64), read=2),
        clouds=(cloud_of("interests", interests, users), cloud_of("items", contents, items)),
        area=interest_map(
            interests, contents, lengths=lengths, user_ids=[f"u{n}" for n in range(users)], newest=[(title,)] * users,
            titles=[title] * items, all_users=users, all_items=items,
        ),
        judged=Judged(
            whole=Slice(name="all targets", n=40, rates=METHODS), dropped=1, corpus=100, seen_items="masked",
            differences=(Difference(baseline="popularity", cut="HR@50", mean=0.5, low=0.25, high=0.75),),
            groups=(("Slices", (Slice(name="cold items", n=12, rates=METHODS),)),),
        ),
        validation={"validation_hr_50": 0.5},
        people=(
            Person(
                user_id="u0", history_len=1, history=(Line(text=f"click: {title}", image=True),),
                nearest=(Line(text=title, image=False, cosine=0.91, taken=True),),
            ),
        ),
        cost=Cost(seconds={"ingest": 5.2, "day 2026-02-08": 34.0}, encoded=4, encoding_seconds=2.0, machine=(("Python", "3.11"),)),
        places=(("summary", "../summary.json"),),
    )  # fmt: skip
    return replace(whole, **changes)
