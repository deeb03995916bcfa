"""evaluate-encoder: what users took first after an encoder's trained_until, foretold by it and by the baselines; and its page."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from rich.console import Console

from jobs import upstream
from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoder_measures import Shown, measures_of
from jobs.encoders import Encoder, encoder_of
from jobs.errors import InputMissingError, UsageError
from jobs.held_out_figures import figures_of, judge
from jobs.knowledge_measures import knowledge_of
from jobs.report.encoder_facts import EncoderHeading
from jobs.report.write_encoder import encoder_page, write_encoder_report
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.train_encoder import write_training_data
from jobs.transforms.histories import distinct_events
from jobs.transforms.training import last_day_before
from jobs.visual_features import DEFAULT_VISION
from karma.evaluation.decodability import STEPS
from schemas import names

CODE_VERSION = "4"
DEFAULT_WINDOW_DAYS = 28


@dataclass(frozen=True, kw_only=True)
class EvaluateEncoderArgs(RootArgs):
    """An encoder beside the baselines, on the first item of each user in the days after its trained_until: figures and a page."""

    encoder: str
    """Encoder version."""
    window_days: int = DEFAULT_WINDOW_DAYS
    """Days after trained_until that targets may lie in."""
    probe_steps: int = STEPS
    """Training steps of the decoder that tells decodability; 0 leaves that measure out."""
    recompute: bool = False
    """Judge again though nothing changed, and write the page anew."""


def first_taken(events: DataFrame, encoder: Encoder, window_days: int) -> DataFrame:
    """user_id, item_id, taken_at (microseconds since 1970 UTC): each user's first item event, by (event_time, event_id), in the window."""
    items = distinct_events(events).where(inside("event_time", encoder, window_days) & F.col("item_id").isNotNull())
    first = items.groupBy("user_id").agg(F.min(F.struct("event_time", "event_id", "item_id")).alias("first"))
    return first.select("user_id", "first.item_id", F.unix_micros("first.event_time").alias("taken_at"))


def shown_to(users: DataFrame, impressions: DataFrame, encoder: Encoder, window_days: int) -> DataFrame:
    """user_id, item_id, clicked: the impressions of ``users`` in the window."""
    of_window = impressions.where(inside("impression_time", encoder, window_days))
    return of_window.join(users.select("user_id"), "user_id", "left_semi").select("user_id", "item_id", "clicked")


def inside(time: str, encoder: Encoder, window_days: int) -> Column:
    """Whether the column ``time`` lies in ``[trained_until, trained_until + window)``."""
    begin, end = encoder.trained_until, encoder.trained_until + timedelta(days=window_days)
    return (F.col(time) >= F.lit(begin)) & (F.col(time) < F.lit(end))


def evaluate_stage(encoder: Encoder, window_days: int, probe_steps: int = STEPS) -> Stage:
    """The stage; its day is the last one of the window. Raises UsageError where there is no day in it."""
    if window_days < 1:
        raise UsageError("NO_WINDOW", "targets lie in days", column="--window-days", expected=">= 1", got=window_days)

    def input_digest(context: Context, ds: date) -> str:
        read = [sorted(upstream.outputs_until(context, job, ds).items()) for job in (names.INGEST_EVENTS_JOB, names.INGEST_IMPRESSIONS_JOB)]
        return digest_of(names.EVALUATE_JOB, CODE_VERSION, encoder.digest, window_days, probe_steps, read)

    return Stage(
        job=names.EVALUATE_JOB, space_id=encoder.space_id, input_digest=input_digest,
        run=lambda context, ds, attempt: _run(context, encoder, window_days, probe_steps),
    )  # fmt: skip


def last_day(encoder: Encoder, window_days: int) -> date:
    """The last day of the window."""
    return last_day_before(encoder.trained_until + timedelta(days=window_days))


def _run(context: Context, encoder: Encoder, window_days: int, probe_steps: int) -> Outcome:
    """Histories and catalogue are those of the training data; items may be taken again, so none is masked."""
    vision = encoder.manifest.vision_spec or DEFAULT_VISION
    data, _ = write_training_data(context, trained_until=encoder.trained_until, vision=vision)
    taken = first_taken(context.tables.read(names.EVENTS), encoder, window_days).persist()
    targets = {row["user_id"]: (row["item_id"], row["taken_at"]) for row in taken.toLocalIterator()}
    if not targets:
        raise InputMissingError(
            "NO_TARGETS", "nobody took an item in the days after trained_until", table=names.EVENTS,
            expected=f"events from {encoder.trained_until} on", got="none", hint="events of these days have to be ingested first",
        )  # fmt: skip
    shown = shown_to(taken, context.tables.read(names.IMPRESSIONS), encoder, window_days).toPandas()
    taken.unpersist()
    judged = judge(data, encoder.folder, encoder.digest, {user: item for user, (item, _) in targets.items()}, mask_seen=False)
    taken_at = {user: at for user, (_, at) in targets.items()}
    knowledge, sinks = knowledge_of(judged, steps=probe_steps)
    impressions = Shown(user_ids=list(shown.user_id), item_ids=list(shown.item_id), clicked=list(shown.clicked))
    figures = {**figures_of(judged, {}), **measures_of(judged, data, taken_at, impressions), **knowledge}
    figures["days_not_ingested"] = [day.isoformat() for day in _days_not_ingested(context, encoder, window_days)]
    page = encoder_page(context.places.report, encoder.version)
    heading = _heading(context, encoder, window_days, figures["days_not_ingested"])
    write_encoder_report(page, heading, figures, judged, sinks, context.places.training / encoder.version)
    details = {"version": encoder.version, "figures": json.dumps(figures)}
    return Outcome(output_digest=digest_of(encoder.digest, figures), counts={"targets": int(figures["n"])}, details=details)


def _heading(context: Context, encoder: Encoder, window_days: int, not_ingested: list[str]) -> EncoderHeading:
    first, last = encoder.trained_until, encoder.trained_until + timedelta(days=window_days)
    return EncoderHeading(
        version=encoder.version,
        space_id=encoder.space_id,
        trained_until=first.strftime("%Y-%m-%d %H:%M UTC"),
        window=f"the {window_days} days to {last:%Y-%m-%d}",
        not_ingested=tuple(not_ingested),
        ran_at=context.run_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def _days_not_ingested(context: Context, encoder: Encoder, window_days: int) -> list[date]:
    """Days of the window whose events are not, or not yet, in the table: who decides by the figures should know."""
    last = last_day(encoder, window_days)
    rows = context.ledger.standings(names.INGEST_EVENTS_JOB, until=last)
    days = [last - timedelta(days=back) for back in reversed(range(window_days))]
    return [day for day in days if day not in rows or not rows[day].settled]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma evaluate-encoder``."""

    def body(args: EvaluateEncoderArgs) -> int:
        context = context_of(args, names.EVALUATE_JOB, recompute=args.recompute)
        encoder = encoder_of(context, args.encoder)
        row = run_stage(context, evaluate_stage(encoder, args.window_days, args.probe_steps), last_day(encoder, args.window_days))
        console = Console(width=160)
        for name, value in json.loads(row.details.get("figures", "{}")).items():
            console.print(f"{name:>12}: {value}", highlight=False)
        if (page := encoder_page(context.places.report, encoder.version)).is_file():
            console.print(f"{'report':>12}: {page}", soft_wrap=True, markup=False)
        return exit_code(row)

    return run_main(EvaluateEncoderArgs, body, argv, prog="karma evaluate-encoder")


if __name__ == "__main__":
    sys.exit(main())
