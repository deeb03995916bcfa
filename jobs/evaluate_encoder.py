"""evaluate-encoder: what users took first after an encoder's trained_until, foretold by it and by the baselines; and its page."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from jobs import upstream
from jobs.ablation_set import TARGETS, leave_targets
from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoder_measures import Shown, measures_of
from jobs.encoders import Encoder, encoder_of, refuse_unusable
from jobs.errors import InputMissingError, UsageError
from jobs.held_out_figures import figures_of, judge
from jobs.knowledge_measures import knowledge_of
from jobs.ledger import LedgerRow
from jobs.report.encoder_facts import EncoderHeading
from jobs.report.write_encoder import encoder_page, write_encoder_report
from jobs.showing.held_out import print_held_out, print_measures
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.train_encoder import write_training_data
from jobs.transforms.label_window import LabelWindow, first_taken, shown_to
from jobs.visual_features import DEFAULT_VISION
from karma.evaluation.decodability import STEPS
from karma.manifest import file_digest
from schemas import names

CODE_VERSION = "8"
_LEFT = "left"
"""Key of the ledger's details: digests of page and targets, by their paths below the root."""


@dataclass(frozen=True, kw_only=True)
class EvaluateEncoderArgs(RootArgs):
    """An encoder beside the baselines, on the first item of each user in the days after its trained_until: figures and a page."""

    encoder: str
    """Encoder version."""
    window_days: int = names.DEFAULT_LABEL_WINDOW_DAYS
    """Days after trained_until that targets may lie in."""
    probe_steps: int = STEPS
    """Training steps of the decoder that tells decodability; 0 leaves that measure out."""
    recompute: bool = False
    """Judge again though nothing changed. A page or targets that are gone, or of another window, are made again anyway."""


def evaluate_stage(encoder: Encoder, window: LabelWindow, probe_steps: int = STEPS) -> Stage:
    """The stage; its day is the last one of the window."""

    def input_digest(context: Context, ds: date) -> str:
        shown = sorted(upstream.outputs_until(context, names.INGEST_IMPRESSIONS_JOB, ds).items())
        read = [*upstream.judged_on(context, window), shown]
        return digest_of(names.EVALUATE_JOB, CODE_VERSION, encoder.digest, window.days, probe_steps, read)

    return Stage(
        job=names.EVALUATE_JOB, space_id=encoder.space_id, input_digest=input_digest,
        run=lambda context, ds, attempt: _run(context, encoder, window, probe_steps),
    )  # fmt: skip


def _run(context: Context, encoder: Encoder, window: LabelWindow, probe_steps: int) -> Outcome:
    refuse_unusable(encoder)
    taken = first_taken(context.tables.read(names.EVENTS), window).persist()
    rows = {row["user_id"]: row for row in taken.toLocalIterator()}
    if not rows:
        raise InputMissingError(
            "NO_TARGETS", "nobody took an item in the days after trained_until", table=names.EVENTS,
            expected=f"events from {window.since} on", got="none", hint="events of these days have to be ingested first",
        )  # fmt: skip
    data = known_before(context, window, vision_of(encoder))
    targets = {user: row["item_id"] for user, row in rows.items()}
    queries = {user: row["query"] for user, row in rows.items() if row["query"] is not None}
    leave_targets(data, targets, queries)
    shown = shown_to(taken, context.tables.read(names.IMPRESSIONS), window).toPandas()
    taken.unpersist()
    judged = judge(data, encoder.folder, encoder.digest, targets, mask_seen=encoder.manifest.mask_seen, queries=queries)
    knowledge, sinks = knowledge_of(judged, steps=probe_steps)
    impressions = Shown(user_ids=list(shown.user_id), item_ids=list(shown.item_id), clicked=list(shown.clicked))
    taken_at = {user: row["taken_at"] for user, row in rows.items()}
    figures = {**figures_of(judged), **measures_of(judged, data, taken_at, impressions), **knowledge}
    figures["days_not_ingested"] = days_not_ingested(context, window)
    page = encoder_page(context.places.report, encoder.version)
    heading = _heading(context, encoder, window, figures["days_not_ingested"])
    write_encoder_report(page, heading, figures, judged, sinks, context.places.training / encoder.version)
    left = {str(path.relative_to(context.places.root)): file_digest(path) for path in (page, data / TARGETS)}
    details = {"version": encoder.version, "figures": json.dumps(figures), _LEFT: json.dumps(left)}
    return Outcome(output_digest=digest_of(encoder.digest, figures), counts={"targets": int(figures["n"])}, details=details)


def _left_by(row: LedgerRow | None, root: Path) -> bool:
    """Whether page and targets are those that ``row`` left. Windows share both: a later evaluation over another one replaces them."""
    left: dict[str, str] = json.loads(row.details.get(_LEFT, "{}")) if row else {}
    return bool(left) and all((root / path).is_file() and file_digest(root / path) == digest for path, digest in left.items())


def _heading(context: Context, encoder: Encoder, window: LabelWindow, not_ingested: list[str]) -> EncoderHeading:
    return EncoderHeading(
        version=encoder.version,
        space_id=encoder.space_id,
        trained_until=encoder.trained_until.strftime("%Y-%m-%d %H:%M UTC"),
        window=f"the {window.days} days to {window.end:%Y-%m-%d}",
        not_ingested=tuple(not_ingested),
        ran_at=context.run_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def vision_of(encoder: Encoder) -> str:
    """The vision encoder whose features it reads; where it reads none, whichever."""
    return encoder.manifest.vision_spec or DEFAULT_VISION


def known_before(context: Context, window: LabelWindow, vision: str) -> Path:
    """The training data folder of everything before the window."""
    return write_training_data(context, trained_until=window.since, vision=vision)[0]


def targets_in(context: Context, window: LabelWindow) -> dict[str, str]:
    """By user the item that was taken first in the window."""
    return {row["user_id"]: row["item_id"] for row in first_taken(context.tables.read(names.EVENTS), window).toLocalIterator()}


def days_not_ingested(context: Context, window: LabelWindow) -> list[str]:
    """Days of the window whose events are not, or not yet, in the table: who decides by the figures should know."""
    rows = context.ledger.standings(names.INGEST_EVENTS_JOB, until=window.last_day)
    days = [window.last_day - timedelta(days=back) for back in reversed(range(window.days))]
    return [day.isoformat() for day in days if day not in rows or not rows[day].settled]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma evaluate-encoder``."""

    def body(args: EvaluateEncoderArgs) -> int:
        if args.probe_steps < 0:
            raise UsageError("NOT_A_COUNT", "--probe-steps counts steps", expected="0 or more", got=args.probe_steps)
        context = context_of(args, names.EVALUATE_JOB, recompute=args.recompute)
        encoder = encoder_of(context, args.encoder)
        window = LabelWindow(since=encoder.trained_until, days=args.window_days)
        if not _left_by(context.ledger.state(names.EVALUATE_JOB, window.last_day, encoder.space_id), Path(context.places.root)):
            context = replace(context, recompute=True)
        row = run_stage(context, evaluate_stage(encoder, window, args.probe_steps), window.last_day)
        console = Console(width=160)
        if figures := json.loads(row.details.get("figures", "{}")):
            print_held_out(console, figures, "What users took first")
            print_measures(console, figures)
        if (page := encoder_page(context.places.report, encoder.version)).is_file():
            console.print(f"report: {page}", soft_wrap=True, markup=False)
        return exit_code(row)

    return run_main(EvaluateEncoderArgs, body, argv, prog="karma evaluate-encoder")


if __name__ == "__main__":
    sys.exit(main())
