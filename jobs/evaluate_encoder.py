"""evaluate-encoder: what users took first after an encoder's trained_until, foretold by it and by the baselines."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from jobs import upstream
from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import Encoder, encoder_of
from jobs.errors import InputMissingError, UsageError
from jobs.held_out_figures import held_out_figures
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.train_encoder import write_training_data
from jobs.transforms.histories import distinct_events
from jobs.transforms.training import last_day_before
from jobs.visual_features import DEFAULT_VISION
from schemas import names

CODE_VERSION = "3"
DEFAULT_WINDOW_DAYS = 28


@dataclass(frozen=True, kw_only=True)
class EvaluateEncoderArgs(RootArgs):
    """HR@K of an encoder beside the baselines, on the first item of each user in the days after its trained_until."""

    encoder: str
    """Encoder version."""
    window_days: int = DEFAULT_WINDOW_DAYS
    """Days after trained_until that targets may lie in."""


def first_taken(events: DataFrame, encoder: Encoder, window_days: int) -> DataFrame:
    """user_id, item_id: each user's first item event, by (event_time, event_id), in ``[trained_until, trained_until + window)``."""
    begin, end = encoder.trained_until, encoder.trained_until + timedelta(days=window_days)
    inside = (F.col("event_time") >= F.lit(begin)) & (F.col("event_time") < F.lit(end)) & F.col("item_id").isNotNull()
    first = F.min(F.struct("event_time", "event_id", "item_id")).getField("item_id")
    return distinct_events(events).where(inside).groupBy("user_id").agg(first.alias("item_id"))


def evaluate_stage(encoder: Encoder, window_days: int) -> Stage:
    """The stage; its day is the last one of the window. Raises UsageError where there is no day in it."""
    if window_days < 1:
        raise UsageError("NO_WINDOW", "targets lie in days", column="--window-days", expected=">= 1", got=window_days)

    def input_digest(context: Context, ds: date) -> str:
        events = sorted(upstream.outputs_until(context, names.INGEST_EVENTS_JOB, ds).items())
        return digest_of(names.EVALUATE_JOB, CODE_VERSION, encoder.digest, window_days, events)

    return Stage(
        job=names.EVALUATE_JOB, space_id=encoder.space_id, input_digest=input_digest,
        run=lambda context, ds, attempt: _run(context, encoder, window_days),
    )  # fmt: skip


def last_day(encoder: Encoder, window_days: int) -> date:
    """The last day of the window."""
    return last_day_before(encoder.trained_until + timedelta(days=window_days))


def _run(context: Context, encoder: Encoder, window_days: int) -> Outcome:
    """Histories and catalogue are those of the training data; items may be taken again, so none is masked."""
    vision = encoder.manifest.vision_spec or DEFAULT_VISION
    data, _ = write_training_data(context, trained_until=encoder.trained_until, vision=vision)
    rows = first_taken(context.tables.read(names.EVENTS), encoder, window_days).toLocalIterator()
    targets = {row["user_id"]: row["item_id"] for row in rows}
    if not targets:
        raise InputMissingError(
            "NO_TARGETS", "nobody took an item in the days after trained_until", table=names.EVENTS,
            expected=f"events from {encoder.trained_until} on", got="none", hint="events of these days have to be ingested first",
        )  # fmt: skip
    figures = held_out_figures(data, encoder.folder, encoder.digest, targets, mask_seen=False)
    figures["days_not_ingested"] = [day.isoformat() for day in _days_not_ingested(context, encoder, window_days)]
    details = {"version": encoder.version, "figures": json.dumps(figures)}
    return Outcome(output_digest=digest_of(encoder.digest, figures), counts={"targets": int(figures["n"])}, details=details)


def _days_not_ingested(context: Context, encoder: Encoder, window_days: int) -> list[date]:
    """Days of the window whose events are not, or not yet, in the table: who decides by the figures should know."""
    last = last_day(encoder, window_days)
    rows = context.ledger.standings(names.INGEST_EVENTS_JOB, until=last)
    days = [last - timedelta(days=back) for back in reversed(range(window_days))]
    return [day for day in days if day not in rows or not rows[day].settled]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma evaluate-encoder``."""

    def body(args: EvaluateEncoderArgs) -> int:
        context = context_of(args, names.EVALUATE_JOB)
        encoder = encoder_of(context, args.encoder)
        row = run_stage(context, evaluate_stage(encoder, args.window_days), last_day(encoder, args.window_days))
        for name, value in json.loads(row.details.get("figures", "{}")).items():
            Console(width=160).print(f"{name:>12}: {value}", highlight=False)
        return exit_code(row)

    return run_main(EvaluateEncoderArgs, body, argv, prog="karma evaluate-encoder")


if __name__ == "__main__":
    sys.exit(main())
