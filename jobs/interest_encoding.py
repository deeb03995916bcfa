"""Inputs of the encoder -> vectors, by the interest UDF: what the jobs of interests and of requests share."""

from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from jobs.encoders import Encoder, refuse_unusable
from jobs.errors import InputMissingError, JobError, UsageError
from jobs.stage import Context
from schemas import names
from udfs.interest_udf import UNKNOWN_ITEM, interest_udf
from udfs.item_vectors import ItemVectorsFile
from udfs.shipping import ShippedFile, ship_file, ship_folder

DEFAULT_TOKEN_BUDGET = 1024


def check_token_budget(tokens: int) -> int:
    """``tokens`` itself. Raises UsageError where not even one would fit."""
    if tokens < 1:
        raise UsageError("NO_TOKENS", "--token-budget holds no token", expected="1 or more", got=tokens)
    return tokens


def encoded(context: Context, encoder: Encoder, inputs: DataFrame, key: str, token_budget: int) -> DataFrame:
    """``inputs`` with embedding, tokens and padded_tokens.

    Args:
        inputs: ``key`` (spreads the rows over the workers), content_hashes, event_types, queries, as ``encoder_inputs`` makes them.

    Raises:
        InputMissingError: ITEM_VECTORS_MISSING, a content has no published vector.
        JobError: as ``refuse_unusable``.
    """
    refuse_unusable(encoder)
    vectors = _vectors_of(context, encoder, inputs)
    encode = interest_udf(ship_folder(context.spark, encoder.folder, encoder.digest), vectors, token_budget=token_budget)
    spread = inputs.repartition(context.spark.sparkContext.defaultParallelism, key)
    return spread.withColumn("_e", encode("content_hashes", "event_types", "queries")).select(
        "*", "_e.embedding", "_e.tokens", "_e.padded_tokens"
    )


def observed(rows: DataFrame, observation: Observation) -> DataFrame:
    """Counts rows and tokens on the way; unlike an accumulator it does not count a task's retry twice."""
    sums = [F.sum(name).alias(name) for name in ("tokens", "padded_tokens")]
    return rows.observe(observation, F.count(F.lit(1)).alias("encoded"), *sums)


def refuse_short_histories(n_max: int, encoder: Encoder, ds: date) -> None:
    """Histories shorter than the encoder reads would be vectors of another history policy in the same space (P2)."""
    if n_max < encoder.manifest.history_length:
        raise JobError(
            "HISTORIES_TOO_SHORT",
            "the histories keep fewer events than the encoder reads",
            table=names.USER_HISTORIES,
            partition=f"ds={ds}",
            expected=f">= {encoder.manifest.history_length}",
            got=n_max,
            hint=f"karma user-histories --ds {ds} --n-max {encoder.manifest.history_length}",
        )


def _vectors_of(context: Context, encoder: Encoder, inputs: DataFrame) -> ShippedFile:
    """The item vectors that ``inputs`` reads, as one file that every node maps into memory.

    Raises InputMissingError ITEM_VECTORS_MISSING: a content has no published vector.
    """
    wanted = inputs.select(F.explode("content_hashes").alias("content_hash")).where(F.col("content_hash") != UNKNOWN_ITEM).distinct()
    held = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})
    rows = wanted.join(held, "content_hash", "left").select("content_hash", "embedding").toArrow()
    missing = [row for row, vector in zip(rows["content_hash"], rows["embedding"], strict=True) if not vector.is_valid]
    if missing:
        raise InputMissingError(
            "ITEM_VECTORS_MISSING",
            "histories hold items without a vector",
            table=names.ITEM_EMBEDDINGS,
            partition=f"space_id={encoder.space_id}",
            expected="a vector for every content",
            got=f"{len(missing)} without, such as {missing[0]}",
            hint="karma item-embeddings",
        )
    context.places.node_files.mkdir(parents=True, exist_ok=True)
    path, digest = ItemVectorsFile.build(context.places.node_files, rows["content_hash"], rows["embedding"], encoder.manifest.dim)
    return ship_file(context.spark, path, digest)
