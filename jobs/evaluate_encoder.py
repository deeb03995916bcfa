"""evaluate-encoder: what users took first after an encoder's trained_until, foretold by it and by the baselines."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from jobs import upstream
from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import Encoder, encoder_of
from jobs.errors import InputMissingError
from jobs.held_out_figures import held_out_figures
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.train_encoder import write_training_data
from jobs.transforms.label_window import LabelWindow, first_taken
from jobs.visual_features import DEFAULT_VISION
from schemas import names

CODE_VERSION = "4"


@dataclass(frozen=True, kw_only=True)
class EvaluateEncoderArgs(RootArgs):
    """HR@K of an encoder beside the baselines, on the first item of each user in the days after its trained_until."""

    encoder: str
    """Encoder version."""
    window_days: int = names.DEFAULT_LABEL_WINDOW_DAYS
    """Days after trained_until that targets may lie in."""


def evaluate_stage(encoder: Encoder, window: LabelWindow) -> Stage:
    """The stage; its day is the last one of the window."""

    def input_digest(context: Context, ds: date) -> str:
        events = sorted(upstream.outputs_until(context, names.INGEST_EVENTS_JOB, ds).items())
        return digest_of(names.EVALUATE_JOB, CODE_VERSION, encoder.digest, window.days, events)

    return Stage(
        job=names.EVALUATE_JOB, space_id=encoder.space_id, input_digest=input_digest,
        run=lambda context, ds, attempt: _run(context, encoder, window),
    )  # fmt: skip


def _run(context: Context, encoder: Encoder, window: LabelWindow) -> Outcome:
    """Items may be taken again, so none is masked."""
    targets = targets_in(context, window)
    if not targets:
        raise InputMissingError(
            "NO_TARGETS", "nobody took an item in the days after trained_until", table=names.EVENTS,
            expected=f"events from {window.since} on", got="none", hint="events of these days have to be ingested first",
        )  # fmt: skip
    data = known_before(context, window, vision_of(encoder))
    figures = held_out_figures(data, encoder.folder, encoder.digest, targets, mask_seen=False)
    figures["days_not_ingested"] = days_not_ingested(context, window)
    details = {"version": encoder.version, "figures": json.dumps(figures)}
    return Outcome(output_digest=digest_of(encoder.digest, figures), counts={"targets": int(figures["n"])}, details=details)


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
        context = context_of(args, names.EVALUATE_JOB)
        encoder = encoder_of(context, args.encoder)
        window = LabelWindow(since=encoder.trained_until, days=args.window_days)
        row = run_stage(context, evaluate_stage(encoder, window), window.last_day)
        for name, value in json.loads(row.details.get("figures", "{}")).items():
            Console(width=160).print(f"{name:>12}: {value}", highlight=False)
        return exit_code(row)

    return run_main(EvaluateEncoderArgs, body, argv, prog="karma evaluate-encoder")


if __name__ == "__main__":
    sys.exit(main())
