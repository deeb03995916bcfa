"""Gathers the facts of a finished road: aggregates from Spark, and samples that a driver can hold whatever the size of the tables."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.encoders import Encoder
from jobs.own_data_road.road import Travelled
from jobs.report import from_summary, sampled
from jobs.report.clouds import cloud_of, interest_map
from jobs.report.facts import Cost, Coverage, Facts, Heading, Histories, Refused, Snapshot
from jobs.report.people import people_of
from jobs.stage import Context
from jobs.transforms.item_versions import current_versions
from karma.precision import training_device, wants_bf16
from schemas import names

ROW_SHOWN = 240
"""Characters of a refused row."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is read: the tables of a context in one space, as of the last published day."""

    context: Context
    encoder: Encoder
    days: tuple[date, ...]

    @property
    def last(self) -> date:
        return self.days[-1]

    def interests(self) -> DataFrame:
        """Published rows of the last day."""
        return self.context.tables.read_where(names.INTEREST_EMBEDDINGS, {"ds": self.last, "space_id": self.encoder.space_id})

    def histories(self) -> DataFrame:
        """User histories of the last day."""
        return self.context.tables.read_where(names.USER_HISTORIES, {"ds": self.last})

    def items(self) -> DataFrame:
        """Items as the last day sees them: contract ITEMS and ``embedding``, null where no vector is published."""
        vectors = self.context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": self.encoder.space_id})
        versions = current_versions(self.context.tables.read(names.ITEMS), self.last)
        return versions.join(vectors.select("content_hash", "embedding"), "content_hash", "left")


def gather(context: Context, travelled: Travelled, summary: Mapping[str, Any], page: Path) -> Facts:
    """All that the page shows. ``summary``: what summary.json holds; ``page``: where the page will lie, for relative paths."""
    encoder = travelled.encoder
    source = Source(context=context, encoder=encoder, days=travelled.span.published)
    coverage, histories = _coverage(source, summary["join"]), _histories(source)
    users = sampled.users(source.interests(), source.histories())
    items = sampled.items(source.items())
    titles = sampled.titles(source.items(), users.newest)
    vectors = sampled.stacked(users.embedding, encoder.manifest.dim), sampled.stacked(items.embedding, encoder.manifest.dim)
    totals = coverage.snapshots[-1].with_vector, coverage.with_vector
    area = interest_map(
        *vectors, lengths=users.history_len.to_numpy(np.int64), user_ids=list(users.user_id),
        newest=[sampled.in_titles(row, titles) for row in users.newest], titles=sampled.shown(items.title),
        all_users=totals[0], all_items=totals[1],
    ) if len(users) + len(items) else None  # fmt: skip
    figures = summary["metrics"].get("leave_last_out")
    return Facts(
        heading=_heading(source, summary, users=totals[0], items=coverage.items),
        arrivals=from_summary.arrivals(summary["ingested"]),
        refused=_refused(context),
        gates=from_summary.gates(summary["gates"], page),
        coverage=coverage,
        histories=histories,
        clouds=tuple(cloud_of(*cloud) for cloud in zip(("interests", "items"), vectors, totals, strict=True)),
        area=area,
        judged=from_summary.judged(figures) if figures else None,
        validation=dict(sorted(encoder.manifest.metrics.items())),
        people=people_of(users, source.histories(), source.items()),
        cost=_cost(source, travelled.seconds),
        places=tuple((name, from_summary.relative(str(place), page)) for name, place in sorted(summary["paths"].items())),
    )


def _heading(source: Source, summary: Mapping[str, Any], *, users: int, items: int) -> Heading:
    active = source.context.tables.rows(names.ENCODER_VERSIONS, [("status", "=", names.ACTIVE)])
    return Heading(
        users=users,
        items=items,
        events=summary["rows"][names.EVENTS],
        impressions=summary["rows"][names.IMPRESSIONS],
        spaces=tuple(sorted({row["space_id"] for row in active})),
        published_days=tuple(day.isoformat() for day in source.days),
        encoder=source.encoder.version,
        trained_until=source.encoder.trained_until.strftime("%Y-%m-%d %H:%M UTC"),
        ran_at=source.context.run_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def _refused(context: Context) -> tuple[Refused, ...]:
    """Every table and reason, with the first row of each."""
    first = F.min(F.struct("ds", "source_file", "row_number", F.substring("row", 1, ROW_SHOWN + 1).alias("row"))).alias("first")
    counted = context.tables.read(names.QUARANTINE).groupBy("table", "reason").agg(F.count(F.lit(1)).alias("n"), first)
    return tuple(
        Refused(
            table=row["table"],
            reason=row["reason"],
            rows=row["n"],
            place=f"{row['first']['source_file']}, row {row['first']['row_number']}",
            row=_cut(row["first"]["row"]),
        )
        for row in counted.orderBy("table", "reason").collect()
    )


def _cut(row: str) -> str:
    return row if len(row) <= ROW_SHOWN else f"{row[:ROW_SHOWN]}…"


def _coverage(source: Source, join: Mapping[str, Any]) -> Coverage:
    def filled(column: str) -> Any:
        return F.count_if(F.col(column).isNotNull()).alias(column)

    columns = ("image_sha256", "title", "category", "price", "embedding")
    items = source.items().agg(F.count(F.lit(1)).alias("n"), *map(filled, columns)).collect()[0]
    return Coverage(
        snapshots=_snapshots(source),
        items=items["n"],
        with_image=items["image_sha256"],
        with_title=items["title"],
        with_category=items["category"],
        with_price=items["price"],
        with_vector=items["embedding"],
        reasons=join["by_missing_reason"],
        expected=join["expected"],
        expected_with_vector=join["expected_with_vector"],
        derived=join["derived"],
    )


def _snapshots(source: Source) -> tuple[Snapshot, ...]:
    tables, days = source.context.tables, F.col("ds").isin(list(source.days))
    published = tables.read_where(names.INTEREST_EMBEDDINGS, {"space_id": source.encoder.space_id}).where(days)
    encoded = F.count_if(F.col("encoded_ds") == F.col("ds")).alias("encoded")
    rows = {row["ds"]: row for row in published.groupBy("ds").agg(F.count(F.lit(1)).alias("n"), encoded).collect()}
    users = {row["ds"]: row["count"] for row in tables.read(names.USER_HISTORIES).where(days).groupBy("ds").count().collect()}
    return tuple(
        Snapshot(
            ds=day.isoformat(),
            users=users.get(day, 0),
            with_vector=rows[day]["n"] if day in rows else 0,
            encoded=rows[day]["encoded"] if day in rows else 0,
        )
        for day in source.days
    )


def _histories(source: Source) -> Histories:
    counted = source.interests().groupBy("history_len").count().orderBy("history_len").collect()
    lengths, users = (np.array([row[name] for row in counted], np.int64) for name in ("history_len", "count"))
    return Histories(lengths=lengths, users=users, read=source.encoder.manifest.history_length)


def _cost(source: Source, seconds: Mapping[str, float]) -> Cost:
    """Encoding: of the newest attempt at each published day that did it, this run's or an earlier one's."""
    rows = source.context.ledger.rows(names.INTEREST_EMBEDDINGS_JOB, source.encoder.space_id)
    done = {row.ds: row for row in rows if row.status == names.DONE and row.ds in source.days and row.counts.get("encoded")}
    encoded = sum(row.counts["encoded"] for row in done.values())
    spent = sum(row.durations.get("encode_and_stage", 0.0) for row in done.values())
    return Cost(seconds=dict(seconds), encoded=encoded, encoding_seconds=spent or None, machine=_machine(source.encoder))


def _machine(encoder: Encoder) -> tuple[tuple[str, str], ...]:
    device = training_device()
    wanted = encoder.manifest.config.get("training", {}).get("precision", "auto")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        ("processor", f"{os.cpu_count()} cores, {platform.machine()}"),
        ("memory", f"{memory:.0f} GiB"),
        ("trained on", f"{device.type}, {'bf16' if wants_bf16(wanted, device) else 'fp32'} (asked for: {wanted})"),
        ("Python", platform.python_version()),
        ("torch", torch.__version__),
    )
