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
from jobs.encoders import Encoder, encoder_of
from jobs.errors import GateBlockedError
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.item_versions import versions_known
from schemas import names
from udfs.item_tower_udf import item_tower_udf
from udfs.shipping import ship_folder

CODE_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class ItemEmbeddingsArgs(DayArgs):
    """Encode the item contents known by the end of a day that have no vector in the encoder's space."""

    encoder: str | None = None
    """Encoder version; default: the only active one."""


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
    return digest_of(names.ITEM_EMBEDDINGS_JOB, CODE_VERSION, encoder.digest, upstream.items_digest(context, ds))


def _run(context: Context, ds: date, encoder: Encoder) -> Outcome:
    contents = versions_known(context.tables.read(names.ITEMS), ds).select("content_hash", "item_id", "title", "category", "image_sha256")
    needed = contents.dropDuplicates(["content_hash"]).persist()
    try:
        total, digest = frame_digest(needed, ["content_hash"])
        held = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id}).select("content_hash")
        new = needed.join(held, "content_hash", "left_anti").persist()
        encoded = new.count()
        if encoded:
            _encode_gate_append(context, ds, encoder, new)
        new.unpersist()
    finally:
        needed.unpersist()
    return Outcome(output_digest=digest, counts={"contents": total, "encoded": encoded, "kept": total - encoded})


def _encode_gate_append(context: Context, ds: date, encoder: Encoder, new: DataFrame) -> None:
    where: Where = {"space_id": encoder.space_id, "run_id": context.run_id}
    context.tables.replace(_encoded(context, encoder, new), names.ITEM_EMBEDDINGS_STAGED, where)
    staged = context.tables.read_where(names.ITEM_EMBEDDINGS_STAGED, where)
    verdict = gate.check_items(
        context.spark, staged=staged, expected_hashes=new.select("content_hash"), space_id=encoder.space_id, ds=ds,
        dimension=encoder.manifest.dim, docs_dir=context.places.data_docs,
    )  # fmt: skip
    if not verdict.passed:
        raise GateBlockedError(
            "GATE_BLOCKED", verdict.failures_in_words(), table=names.ITEM_EMBEDDINGS, partition=f"ds={ds}, space_id={encoder.space_id}",
            hint=f"Data Docs: {verdict.docs}",
        )  # fmt: skip
    context.tables.insert_new(staged.drop("run_id"), names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})


def _encoded(context: Context, encoder: Encoder, contents: DataFrame) -> DataFrame:
    """Staged rows of ``contents``: item text and visual features through the item tower, once a row."""
    features = context.tables.read_where(names.VISUAL_FEATURES, {"vision_digest": encoder.manifest.vision_digest})
    tower = item_tower_udf(ship_folder(context.spark, encoder.folder, encoder.digest))
    spread = contents.join(features.select("image_sha256", "features"), "image_sha256", "left")
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
        return run_days(context, item_embeddings_stage(encoder_of(context, args.encoder)), days)

    return run_main(ItemEmbeddingsArgs, body, argv, prog="karma item-embeddings")


if __name__ == "__main__":
    sys.exit(main())
