"""train-encoder: events before trained_until -> training data -> karma.training -> a registered artefact."""

import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import upstream
from jobs.cli import RootArgs, context_of, parse_instant, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoder_configuration import configuration, configuration_digest
from jobs.encoders import Encoder, is_lost, open_encoder, register
from jobs.errors import InputMissingError, UsageError
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from jobs.training_processes import train_encoder_of
from jobs.transforms.training import known_until, last_day_before, training_catalogue, training_histories, training_impressions
from jobs.visual_features import DEFAULT_VISION, SAMPLE_VISION, digest_of_vision
from karma.manifest import CODE_VERSIONS
from karma.training import TrainingConfig, TrainingDataError
from karma.training.data import TARGETS, leave_files, lost_files, place, read_meta
from schemas import names

log = logging.getLogger("karma.train")

CODE_VERSION = "1"
_READS = (names.INGEST_EVENTS_JOB, names.INGEST_ITEMS_JOB, names.INGEST_IMPRESSIONS_JOB, names.VISUAL_FEATURES_JOB)
"""The jobs whose days up to the last one before trained_until the training data come from."""


@dataclass(frozen=True, kw_only=True)
class TrainEncoderArgs(RootArgs):
    """Train an encoder on everything before an instant; an artefact of the same data and configuration is kept.

    A run that was stopped goes on from its last validation.
    """

    trained_until: str
    """Nothing at or after this instant (ISO 8601) may influence the encoder."""
    config: Path = Path("conf/encoder/sample.toml")
    """Training configuration."""
    vision: str = DEFAULT_VISION
    """Vision encoder whose features the item tower reads."""
    processes: int = 1
    """Processes that train together, started by Spark: on this machine, or on the cluster's nodes, which then need a shared --root."""


def train_encoder(context: Context, *, config: Path, trained_until: datetime, vision: str = DEFAULT_VISION, processes: int = 1) -> Encoder:
    """Write the training data, train (or find the artefact of the same data and configuration) and register it."""
    refuse_no_events(context, trained_until)
    data, fingerprint = write_training_data(context, trained_until=trained_until, vision=vision)
    log.info("training data %s (%s)", fingerprint, data)
    by_time = TrainingConfig.load(config).model_copy(update={"protocol": "time_split"})
    folder = train_encoder_of(context, by_time, data, processes=processes)
    encoder = open_encoder(folder)
    return register(context, encoder, {name: float(value) for name, value in encoder.manifest.metrics.items()})


def write_training_data(context: Context, *, trained_until: datetime, vision: str, events: DataFrame | None = None) -> tuple[Path, str]:
    """``training/data/<fingerprint>/`` in the layout that karma.training reads; written once a fingerprint.

    ``events`` stand in for the table's where some are held out; impressions, which could show those, are then left out.
    """
    vision_digest = digest_of_vision(vision)
    read = {table: context.tables.version(table) for table in (names.EVENTS, names.ITEMS, names.IMPRESSIONS, names.VISUAL_FEATURES)}
    features = context.tables.read_where(names.VISUAL_FEATURES, {"vision_digest": vision_digest})
    histories = training_histories(context.tables.read(names.EVENTS) if events is None else events, trained_until).persist()
    catalogue = training_catalogue(context.tables.read(names.ITEMS), features, trained_until).persist()
    _refuse_unseen_pictures(catalogue, vision, vision_digest)
    impressions = training_impressions(context.tables.read(names.IMPRESSIONS), trained_until)
    impressions = impressions if events is None else impressions.limit(0)
    digests = [frame_digest(frame, frame.columns) for frame in (histories, catalogue, impressions)]
    fingerprint = digest_of(CODE_VERSION, trained_until.isoformat(), vision_digest, digests)
    folder = context.places.training / "data" / fingerprint[:16]
    if not is_whole(folder):
        draft = folder.with_name(f".{folder.name}.{context.run_id}.draft")  # another run may be writing the same
        histories.write.parquet(str(draft / "histories"))
        impressions.write.parquet(str(draft / "impressions"))
        catalogue.toPandas().to_parquet(draft / "catalogue.parquet", index=False)
        meta = {
            "trained_until": trained_until.isoformat(), "fingerprint": fingerprint, "tables": read,
            "vision_spec": vision, "vision_digest": vision_digest,
        }  # fmt: skip
        leave_files(draft)
        if (targets := folder / TARGETS).is_file():
            shutil.copy(targets, draft)
        (draft / "meta.json").write_text(json.dumps(meta, indent=2))
        place(draft, folder, is_there=lambda: is_whole(folder))
    histories.unpersist()
    catalogue.unpersist()
    return folder, fingerprint


def refuse_no_events(context: Context, trained_until: datetime) -> None:
    """Raises InputMissingError NO_EVENTS where no event had come before the instant."""
    if known_until(context.tables.read(names.EVENTS), trained_until).isEmpty():
        raise InputMissingError(
            "NO_EVENTS", "no event that had arrived by then lies before the instant", table=names.EVENTS,
            expected=f"events before {trained_until.isoformat()}", got="none", hint="name a later --trained-until, or ingest those days",
        )  # fmt: skip


def is_whole(folder: Path) -> bool:
    """Whether training data were written to ``folder`` to their end, and lie there still."""
    try:
        read_meta(folder)
    except TrainingDataError:
        return False
    return not lost_files(folder)


def _refuse_unseen_pictures(catalogue: DataFrame, vision: str, vision_digest: str) -> None:
    """A catalogue with pictures of which none has features would train an encoder that reads no image, in silence."""
    pictures, seen = catalogue.agg(F.count("image_sha256"), F.count("features")).collect()[0]
    if pictures and not seen:
        raise InputMissingError(
            "VISUAL_FEATURES_MISSING",
            "no picture of the catalogue has features of this vision encoder",
            table=names.VISUAL_FEATURES,
            partition=f"vision_digest={vision_digest}",
            expected=f"features of {pictures} pictures",
            got="none",
            hint=f"karma visual-features --vision {vision}, for the days that brought them; or name the --vision that was used"
            f" (a demo's: {SAMPLE_VISION})",
        )


def read_digest(context: Context, ds: date) -> list[list[tuple[date, str]]]:
    """What the training data of days up to ``ds`` are made from, for an input digest."""
    return [sorted(upstream.outputs_until(context, job, ds).items()) for job in _READS]


def _lost_artefacts(context: Context) -> list[str]:
    """Active versions of which a file is lost or changed: training makes them anew, however often."""
    active = context.tables.rows(names.ENCODER_VERSIONS, [("status", "=", names.ACTIVE)])
    return sorted(str(row["version"]) for row in active if is_lost(context.places.encoders / row["version"], row["artefact_digest"]))


def train_stage(config: Path, trained_until: datetime, vision: str, processes: int = 1) -> Stage:
    """Training as a stage of the ledger; its day is the last one that it may read."""

    def run(context: Context, ds: date, attempt: int) -> Outcome:
        encoder = train_encoder(context, config=config, trained_until=trained_until, vision=vision, processes=processes)
        details = {"version": encoder.version, "space_id": encoder.space_id}
        return Outcome(output_digest=encoder.digest, details=details)

    def input_digest(context: Context, ds: date) -> str:
        read = read_digest(context, ds)
        lost = _lost_artefacts(context)  # with this run: what is lost again is made again
        trainer = [CODE_VERSION, *CODE_VERSIONS]
        return digest_of(
            trainer,
            configuration_digest(config),
            trained_until.isoformat(),
            vision,
            processes,
            read,
            [*lost, context.run_id] if lost else [],
        )

    return Stage(job=names.TRAIN_ENCODER_JOB, input_digest=input_digest, run=run)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma train-encoder``."""

    def body(args: TrainEncoderArgs) -> int:
        trained_until = parse_instant(args.trained_until, "--trained-until")
        if args.processes < 1:
            raise UsageError("NOT_A_COUNT", "--processes counts processes", expected="1 or more", got=args.processes)
        stage = train_stage(configuration(args.config), trained_until, args.vision, args.processes)
        context = context_of(args, names.TRAIN_ENCODER_JOB)
        return exit_code(run_stage(context, stage, last_day_before(trained_until)))

    return run_main(TrainEncoderArgs, body, argv, prog="karma train-encoder")


if __name__ == "__main__":
    sys.exit(main())
