"""The gate of item embeddings: the new vectors of one space."""

from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.gate.rules import FrameFacts, cloud_rules, count_rules, row_rules, vector_rules
from jobs.gate.scalars import count_if, examples, materialised, null_columns, scalar_frame
from jobs.gate.session import Gate, Judged, run_gate
from jobs.gate.verdict import Verdict
from karma.evaluation.spectrum import Moments
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.gate_rules import ITEM_RULES, ITEMS, ItemRules
from udfs.vector_statistics import moments_by_cloud

_CONTRACT = CONTRACTS[names.ITEM_EMBEDDINGS_STAGED]


def check_items(
    spark: SparkSession,
    *,
    staged: DataFrame,
    contents: DataFrame,
    space_id: str,
    dimension: int,
    docs_dir: Path,
    ds: date,
    rules: ItemRules = ITEM_RULES,
) -> Verdict:
    """Judge one staged run of item vectors.

    Args:
        staged: rows of one (space, run), contract item_embeddings_staged.
        contents: content_hash, each once: exactly what this run had to encode; with title, category, image_sha256, which it read.
        dimension: of the space's vectors.
        docs_dir: folder under which the Data Docs are built, whatever the verdict.
        ds: the day whose run this is; names the Data Docs.

    Raises:
        SpaceMixError: staged holds rows of another space.
    """
    gate = Gate(
        spark=spark, contract=_CONTRACT, frames=(ITEMS,), space_id=space_id, ds=ds, docs_dir=docs_dir, rules=rules
    )  # fmt: skip

    def judged() -> Judged:
        scalars = _scalars(staged, contents).transform(materialised)
        cloud = moments_by_cloud(staged.select(F.lit(True).alias("cloud"), F.col("embedding").alias("vector")), dimension)[True]
        facts = _facts(scalars, cloud)
        declared = count_rules(facts, rules) + row_rules(facts, rules) + vector_rules(facts, rules, dimension)
        return Judged(rules=declared + cloud_rules(facts, rules), batches={ITEMS: scalars.where("is_staged")})

    return run_gate(gate, staged, judged)


def _scalars(staged: DataFrame, contents: DataFrame) -> DataFrame:
    # Items of equal content have equal vectors, and should: what tells two of them apart is what the item tower read.
    read = contents.select("content_hash", F.to_json(F.struct("title", "category", "image_sha256")).alias("identity"))
    rows = staged.join(read, "content_hash", "left").select(
        F.col("content_hash").alias("key"),
        "identity",
        F.col("embedding").alias("vector"),
        F.lit(None).cast("array<float>").alias("previous_vector"),
        null_columns(_CONTRACT).alias("null_columns"),
    )
    return scalar_frame(rows, contents.select(F.col("content_hash").alias("key")), ["null_columns"])


def _facts(scalars: DataFrame, cloud: Moments) -> FrameFacts:
    staged, expected = F.col("is_staged"), F.col("is_expected")
    counts = scalars.agg(
        count_if(staged).alias("rows"),
        count_if(expected & F.col("first_of_key")).alias("expected"),
        count_if(expected & ~staged).alias("missing"),
        count_if(staged & ~expected).alias("extra"),
        count_if(staged & F.col("shares_vector")).alias("shared"),
    ).collect()[0]
    return FrameFacts(
        frame=ITEMS, rows=counts["rows"], expected_rows=counts["expected"], missing=counts["missing"], extra=counts["extra"],
        shared=counts["shared"], moments=cloud,
        missing_examples=examples(scalars, expected & ~staged, counts["missing"]),
        extra_examples=examples(scalars, staged & ~expected, counts["extra"]),
    )  # fmt: skip
