"""visual-features: frozen features of the images that landed with a day's items; an image is encoded once."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import active_encoders
from jobs.errors import UsageError
from jobs.landing_images import read_images
from jobs.quarantine import replace_quarantine
from jobs.stage import Context, Outcome, Stage, run_days
from karma.vision import load_vision_encoder
from schemas import names
from udfs.visual_udf import visual_udf

CODE_VERSION = "1"
DEFAULT_VISION = "efficientnet-lite0"
SAMPLE_VISION = "efficientnet-lite0@96"
"""At the size of the sample world's pictures."""


@dataclass(frozen=True, kw_only=True)
class VisualFeaturesArgs(DayArgs):
    """Encode the images of a day that have no features yet."""

    vision: tuple[str, ...] = ()
    """Vision encoders; default: those of the active encoders, else efficientnet-lite0."""


def visual_features_stage(vision: Sequence[str] = ()) -> Stage:
    """The stage, for the vision encoders named, or else those of the active encoders."""
    return Stage(
        job=names.VISUAL_FEATURES_JOB,
        input_digest=lambda context, ds: _input_digest(context, ds, vision),
        run=lambda context, ds, attempt: _run(context, ds, vision),
    )


def digest_of_vision(vision: str) -> str:
    """The digest of the vision encoder that ``vision`` names. Raises UsageError where it names none that can be loaded."""
    try:
        return load_vision_encoder(vision).digest
    except (OSError, ValueError) as error:
        said = f"{vision}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise UsageError(
            "NO_VISION_ENCODER", "--vision names none that can be loaded", expected=f"such as {DEFAULT_VISION}", got=said,
            hint="efficientnet-lite0, with @PIXELS where the features were made so (a demo's: @96); else a folder or hub id",
        ) from error  # fmt: skip


def _specs(context: Context, vision: Sequence[str]) -> list[str]:
    """Sorted; an active encoder that reads no image asks for none."""
    active = active_encoders(context)
    used = {encoder.manifest.vision_spec for encoder in active} - {""} if active else {DEFAULT_VISION}
    return sorted(set(vision) or used)


def _input_digest(context: Context, ds: date, vision: Sequence[str]) -> str:
    digests = [digest_of_vision(spec) for spec in _specs(context, vision)]
    return digest_of(names.VISUAL_FEATURES_JOB, CODE_VERSION, digests, upstream.settled(context, names.INGEST_ITEMS_JOB, ds).output_digest)


def _run(context: Context, ds: date, vision: Sequence[str]) -> Outcome:
    images = read_images(context, ds)
    counts = {"encoded": 0, "quarantined": 0}
    with ExitStack() as kept:
        looks = [_encode(context, kept, spec, images, counts) for spec in _specs(context, vision)]
        if looks:  # one write for all encoders: each would replace what the one before it refused
            refused = reduce(DataFrame.unionByName, [_refused(look.rows, ds, context.run_id) for look in looks])
            replace_quarantine(context, refused, names.VISUAL_FEATURES_JOB, names.VISUAL_FEATURES, ds, counts["quarantined"])
    encoded = [look.digest for look in looks]
    landed = upstream.settled(context, names.INGEST_ITEMS_JOB, ds).output_digest
    return Outcome(output_digest=digest_of(encoded, landed), counts=counts, details={"vision": ",".join(encoded)})


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What one vision encoder made of the new images: rows of image_sha256, vision_digest, features, reason."""

    digest: str
    rows: DataFrame


def _encode(context: Context, kept: ExitStack, spec: str, images: DataFrame, counts: dict[str, int]) -> _Look:
    """Encode the new images with ``spec``, append those that could be decoded, and count both kinds. ``kept`` holds the frame."""
    digest = digest_of_vision(spec)
    known = context.tables.read_where(names.VISUAL_FEATURES, {"vision_digest": digest}).select("image_sha256")
    new = images.join(known, "image_sha256", "left_anti")
    spread = new.repartition(context.spark.sparkContext.defaultParallelism)
    rows = spread.select("image_sha256", F.lit(digest).alias("vision_digest"), visual_udf(spec)("image").alias("_v"))
    rows = rows.select("image_sha256", "vision_digest", "_v.features", "_v.reason").persist()
    kept.callback(rows.unpersist)
    tally = {} if new.isEmpty() else _tally(rows)  # on a day without new images no worker loads the encoder
    counts["encoded"] += tally.get(False, 0)
    counts["quarantined"] += tally.get(True, 0)
    if tally.get(False):
        good = rows.where(F.col("reason").isNull()).select("image_sha256", "vision_digest", "features")
        context.tables.insert_new(good, names.VISUAL_FEATURES, {"vision_digest": digest})
    return _Look(digest=digest, rows=rows)


def _tally(rows: DataFrame) -> dict[bool, int]:
    """Rows by whether they were refused."""
    return {bool(row["bad"]): row["count"] for row in rows.groupBy(F.col("reason").isNotNull().alias("bad")).count().collect()}


def _refused(rows: DataFrame, ds: date, run_id: str) -> DataFrame:
    return rows.where(F.col("reason").isNotNull()).select(
        F.lit(names.VISUAL_FEATURES_JOB).alias("job"),
        F.lit(names.VISUAL_FEATURES).alias("table"),
        F.lit(ds).alias("ds"),
        F.col("image_sha256").alias("source_file"),
        F.lit(0).cast("bigint").alias("row_number"),
        "reason",
        F.lit(run_id).alias("run_id"),
        F.to_json(F.struct("image_sha256", "vision_digest")).alias("row"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma visual-features``."""

    def body(args: VisualFeaturesArgs) -> int:
        days = args.days
        context = context_of(args, names.VISUAL_FEATURES_JOB, recompute=args.recompute)
        return run_days(context, [visual_features_stage(args.vision)], days)

    return run_main(VisualFeaturesArgs, body, argv, prog="karma visual-features")


if __name__ == "__main__":
    sys.exit(main())
