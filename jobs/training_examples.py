"""training-examples: what the trainer reads, from before an instant: written once, with a fingerprint; training then finds it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from jobs.cli import RootArgs, context_of, parse_instant, run_main
from jobs.digests import digest_of
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.train_encoder import is_whole, read_digest, refuse_no_events, write_training_data
from jobs.transforms.training import last_day_before
from jobs.visual_features import DEFAULT_VISION
from schemas import names


@dataclass(frozen=True, kw_only=True)
class TrainingExamplesArgs(RootArgs):
    """Write histories, catalogue and impressions from before an instant under <root>/training/data/<fingerprint>/."""

    trained_until: str
    """Nothing at or after this instant (ISO 8601) is read."""
    vision: str = DEFAULT_VISION
    """Vision encoder whose features the item tower will read."""


def training_examples_stage(trained_until: datetime, vision: str) -> Stage:
    """The stage; its day is the last one that it may read."""

    def run(context: Context, ds: date, attempt: int) -> Outcome:
        refuse_no_events(context, trained_until)
        folder, fingerprint = write_training_data(context, trained_until=trained_until, vision=vision)
        return Outcome(output_digest=fingerprint, details={"folder": str(folder), "fingerprint": fingerprint})

    def input_digest(context: Context, ds: date) -> str:
        lost = _lost_folders(context)  # with this run: what is lost again is written again
        return digest_of(read_digest(context, ds), trained_until.isoformat(), vision, [*lost, context.run_id] if lost else [])

    return Stage(job=names.TRAINING_EXAMPLES_JOB, input_digest=input_digest, run=run)


def _lost_folders(context: Context) -> list[str]:
    """Folders that an earlier run wrote and that are gone: they are written anew, however often."""
    wrote = {row.details["folder"] for row in context.ledger.all_rows(names.TRAINING_EXAMPLES_JOB) if row.settled}
    return sorted(folder for folder in wrote if not is_whole(Path(folder)))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma training-examples``."""

    def body(args: TrainingExamplesArgs) -> int:
        trained_until = parse_instant(args.trained_until, "--trained-until")
        context = context_of(args, names.TRAINING_EXAMPLES_JOB)
        return exit_code(run_stage(context, training_examples_stage(trained_until, args.vision), last_day_before(trained_until)))

    return run_main(TrainingExamplesArgs, body, argv, prog="karma training-examples")


if __name__ == "__main__":
    sys.exit(main())
