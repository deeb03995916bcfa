"""The leave-last-out encoder: trained without the given targets, for figures alone; never registered, never published."""

import json
import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import upstream
from jobs.ablation_set import leave_targets
from jobs.digests import digest_of, frame_digest
from jobs.encoder_configuration import configuration_digest
from jobs.encoders import open_encoder
from jobs.errors import JobError
from jobs.held_out_figures import held_out_figures
from jobs.stage import Context, Outcome, Stage
from jobs.train_encoder import write_training_data
from jobs.training_processes import train_encoder_of
from jobs.transforms.days import as_of
from jobs.transforms.histories import distinct_events
from karma.config import TrainingConfig
from karma.manifest import CODE_VERSIONS
from schemas import names

log = logging.getLogger("karma.own_data")

CODE_VERSION = "5"
PROTOCOL = "leave_last_out"


@dataclass(frozen=True, kw_only=True)
class LeaveLastOut:
    """What to hold out, and how to train without it.

    Attributes:
        targets: user_id, item_id, cut_time, one row a user.
        items_day: the arrival day of the items.
        baskets: the last basket is held out whole; its item may be one that the user had before, which a configuration without
            ``softmax.repeats`` does not rank.
    """

    targets: DataFrame
    items_day: date
    config: Path
    vision: str
    baskets: bool = False


def without_held_out(events: DataFrame, targets: DataFrame, *, baskets: bool) -> DataFrame:
    """``events`` less what is held out; users without a target keep all of theirs.

    Of a user with a target stay the events with ``event_time <= cut_time`` (inclusive) that are not with the target's
    item; with ``baskets`` those with ``event_time < cut_time`` (exclusive), whatever the item.
    """
    cut = targets.select("user_id", F.col("item_id").alias("_target"), F.col("cut_time").alias("_cut"))
    earlier = F.col("event_time") < F.col("_cut")
    up_to = (F.col("event_time") <= F.col("_cut")) & ~F.col("item_id").eqNullSafe(F.col("_target"))
    kept = F.col("_cut").isNull() | (earlier if baskets else up_to)
    return events.join(cut, "user_id", "left").where(kept).select(*events.columns)


def leave_last_out_stage(plan: LeaveLastOut) -> Stage:
    """Training without the targets and the figures on them, as a stage of the ledger; its day is the last one with an event."""
    return Stage(
        job=names.LEAVE_LAST_OUT_JOB,
        input_digest=lambda context, ds: _input_digest(context, ds, plan),
        run=lambda context, ds, attempt: _run(context, ds, plan),
    )


def _input_digest(context: Context, ds: date, plan: LeaveLastOut) -> str:
    return digest_of(
        names.LEAVE_LAST_OUT_JOB, CODE_VERSION, CODE_VERSIONS, configuration_digest(plan.config), plan.vision, plan.baskets,
        frame_digest(plan.targets, ["user_id", "item_id", "cut_time"]),
        upstream.events_digest(context, ds), upstream.items_digest(context, plan.items_day),
    )  # fmt: skip


def _run(context: Context, ds: date, plan: LeaveLastOut) -> Outcome:
    _refuse_second_targets(plan.targets)
    events = without_held_out(distinct_events(context.tables.read(names.EVENTS)), plan.targets, baskets=plan.baskets)
    data, fingerprint = write_training_data(context, trained_until=as_of(ds), vision=plan.vision, events=events)
    log.info("leave-last-out: training data %s, training starts", fingerprint[:12])
    folder = train_encoder_of(context, held_out_config(plan.config), data)
    encoder = open_encoder(folder)
    targets = {row["user_id"]: row["item_id"] for row in plan.targets.select("user_id", "item_id").toLocalIterator()}
    queries = queries_of(context.tables.read(names.EVENTS), plan.targets)
    leave_targets(data, targets, queries)
    figures = held_out_figures(data, folder, encoder.digest, targets, mask_seen=encoder.manifest.mask_seen, queries=queries)
    details = {"version": encoder.version, "space_id": encoder.space_id, "figures": json.dumps(figures)}
    return Outcome(output_digest=digest_of(encoder.digest, figures), counts={"targets": len(targets)}, details=details)


def queries_of(events: DataFrame, targets: DataFrame) -> dict[str, str]:
    """By user the query of the target's own event (at cut_time, with its item); of several the first by event_id."""
    typed = events.where(F.col("query").isNotNull()).select(
        "user_id", "item_id", F.col("event_time").alias("cut_time"), "event_id", "query"
    )
    asked = targets.join(typed, ["user_id", "item_id", "cut_time"]).groupBy("user_id").agg(F.min_by("query", "event_id").alias("query"))
    return {row["user_id"]: row["query"] for row in asked.toLocalIterator()}


def held_out_config(path: Path) -> TrainingConfig:
    """The configuration in ``path``, under the leave-last-out protocol and a name that says so."""
    config = TrainingConfig.load(path)
    return config.model_copy(update={"protocol": PROTOCOL, "name": f"{config.name}-leave-last-out"})


def _refuse_second_targets(targets: DataFrame) -> None:
    twice = targets.groupBy("user_id").count().where(F.col("count") > 1).limit(1).collect()
    if twice:
        raise JobError(
            "TARGETS_NOT_UNIQUE", "a user has more than one target", table="targets", column="user_id", expected="one row a user",
            got=f"{twice[0]['count']} rows of user {twice[0]['user_id']}", hint="hold out one target a user",
        )  # fmt: skip
