"""item-embeddings: vectors of item contents that the space does not hold yet, gated, then appended."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import gate, upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoders import Encoder, refuse_unusable, stages_of_spaces
from jobs.errors import InputMissingError
from jobs.gate.verdict import refuse_blocked
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.item_versions import versions_known
from schemas import gate_rules, names
from udfs.item_tower_udf import item_tower_udf
from udfs.shipping import ship_folder

CODE_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class ItemEmbeddingsArgs(DayArgs):
    """Encode the item contents known by the end of a day that have no vector in the encoder's space."""

    encoder: str | None = None
    """Encoder version; default: every active one."""


def item_embeddings_stage(encoder: Encoder) -> Stage:
    """The stage for one encoder's space. Vectors are immutable: only new content is encoded."""
    return Stage(
        job=names.ITEM_EMBEDDINGS_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder),
        run=lambda context, ds, attempt: _run(context, ds, encoder),
    )


def _input_digest(context: Context, ds: date, encoder: Encoder) -> str:
    upstream.settled(context, names.VISUAL_FEATURES_JOB, ds)
    pictures = sorted(upstream.outputs_until(context, names.VISUAL_FEATURES_JOB, ds).items())
    items = upstream.items_digest(context, ds)
    return digest_of(names.ITEM_EMBEDDINGS_JOB, CODE_VERSION, gate_rules.VERSION, encoder.digest, items, pictures)


def _run(context: Context, ds: date, encoder: Encoder) -> Outcome:
    contents = versions_known(context.tables.read(names.ITEMS), ds).select("content_hash", "item_id", "title", "category", "image_sha256")
    needed = contents.dropDuplicates(["content_hash"]).persist()
    try:
        total, digest = frame_digest(needed, ["content_hash"])
        held = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id}).select("content_hash")
        new = needed.join(held, "content_hash", "left_anti").persist()
        encoded = new.count()
        if encoded:
            _refuse_unseen_pictures(context, encoder, new)
            _encode_gate_append(context, ds, encoder, new)
        new.unpersist()
    finally:
        needed.unpersist()
    return Outcome(output_digest=digest, counts={"contents": total, "encoded": encoded, "kept": total - encoded})


def _refuse_unseen_pictures(context: Context, encoder: Encoder, contents: DataFrame) -> None:
    """A vector is immutable: an item whose picture was not looked at yet must wait for it.

    Raises InputMissingError where a picture has neither features nor a place in quarantine.
    """
    if not encoder.manifest.vision_digest:
        return
    refused = context.tables.read(names.QUARANTINE).where(F.col("job") == names.VISUAL_FEATURES_JOB)
    pictures = contents.select("image_sha256").where(F.col("image_sha256").isNotNull()).distinct()
    unseen = pictures.join(_features(context, encoder), "image_sha256", "left_anti")
    unseen = unseen.join(refused.select(F.col("source_file").alias("image_sha256")), "image_sha256", "left_anti")
    missing = unseen.count()
    if missing:
        raise InputMissingError(
            "VISUAL_FEATURES_MISSING",
            "pictures of items have no features of this encoder's vision model",
            table=names.VISUAL_FEATURES,
            partition=f"vision_digest={encoder.manifest.vision_digest}",
            expected="features of every picture",
            got=f"{missing} without",
            hint=f"karma visual-features --recompute --vision {encoder.manifest.vision_spec}, for the days that brought them",
        )


def _features(context: Context, encoder: Encoder) -> DataFrame:
    where: Where = {"vision_digest": encoder.manifest.vision_digest}
    return context.tables.read_where(names.VISUAL_FEATURES, where).select("image_sha256", "features")


def _encode_gate_append(context: Context, ds: date, encoder: Encoder, new: DataFrame) -> None:
    where: Where = {"space_id": encoder.space_id, "run_id": context.run_id}
    version = context.tables.replace(_encoded(context, encoder, new), names.ITEM_EMBEDDINGS_STAGED, where)
    staged = context.tables.read_where(names.ITEM_EMBEDDINGS_STAGED, where, version=version)
    verdict = gate.check_items(
        context.spark,
        staged=staged,
        contents=new.select("content_hash", "title", "category", "image_sha256"),
        space_id=encoder.space_id,
        ds=ds,
        dimension=encoder.manifest.dim,
        docs_dir=context.places.data_docs,
    )
    refuse_blocked(verdict, names.ITEM_EMBEDDINGS, f"ds={ds}, space_id={encoder.space_id}")
    context.tables.insert_new(staged.drop("run_id"), names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})


def _encoded(context: Context, encoder: Encoder, contents: DataFrame) -> DataFrame:
    """Staged rows of ``contents``: item text and visual features through the item tower, once a row."""
    refuse_unusable(encoder)
    tower = item_tower_udf(ship_folder(context.spark, encoder.folder, encoder.digest))
    spread = contents.join(_features(context, encoder), "image_sha256", "left")
    spread = spread.repartition(context.spark.sparkContext.defaultParallelism, "content_hash")
    return spread.select(
        "content_hash",
        F.lit(encoder.space_id).alias("space_id"),
        F.lit(context.run_id).alias("run_id"),
        tower("item_id", "title", "category", "features").alias("embedding"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma item-embeddings``."""

    def body(args: ItemEmbeddingsArgs) -> int:
        days = args.days
        context = context_of(args, names.ITEM_EMBEDDINGS_JOB, recompute=args.recompute)
        stages = stages_of_spaces(context, names.ITEM_EMBEDDINGS_JOB, args.encoder, item_embeddings_stage)
        return run_days(context, stages, days)

    return run_main(ItemEmbeddingsArgs, body, argv, prog="karma item-embeddings")


if __name__ == "__main__":
    sys.exit(main())
