"""Users a second through the interest UDF, and what padding wastes, at several token budgets.

    python -m benchmarks.udf_throughput --root var/demo

Reads the newest histories and the encoder of a finished demo; writes nothing under the root. Copies of the users make a run long
enough to measure. The first pass, which starts the workers and loads the encoder, is shown apart.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from jobs.cli import RootArgs, context_of, run_main
from jobs.encoders import Encoder, encoder_of
from jobs.errors import InputMissingError
from jobs.stage import Context
from jobs.transforms.interest_inputs import UNKNOWN_ITEM, interest_inputs
from jobs.transforms.item_versions import current_versions
from schemas import names
from udfs.interest_udf import interest_udf
from udfs.item_vectors import ItemVectorsFile
from udfs.shipping import ship_file, ship_folder


@dataclass(frozen=True, kw_only=True)
class ThroughputArgs(RootArgs):
    """Measure the interest UDF on the histories of a finished demo."""

    encoder: str | None = None
    """Encoder version; default: the only active one."""
    copies: int = 5
    """How often each user is encoded in a pass."""
    budgets: tuple[int, ...] = (512, 2048, 8192)
    """Token budgets to try."""
    bf16: bool = False
    """Let the encoder compute in bfloat16 where the CPU is good at it."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of all users through the UDF."""

    budget: int
    users: int
    tokens: int
    padded_tokens: int
    seconds: float


def run_pass(inputs: DataFrame, context: Context, encoder: Encoder, vectors: tuple[Path, str], *, budget: int, bf16: bool) -> Pass:
    """Encode ``inputs`` and throw the vectors away."""
    shipped = ship_folder(context.spark, encoder.folder, encoder.digest)
    encode = interest_udf(shipped, ship_file(context.spark, *vectors), token_budget=budget, bf16=bf16)
    observation = Observation()
    encoded = inputs.select(encode("content_hashes", "event_types", "queries").alias("e"))
    sums = [F.sum(f"e.{name}").alias(name) for name in ("tokens", "padded_tokens")]
    began = time.perf_counter()
    # A count would be answered without the UDF; this sink takes every row.
    encoded.observe(observation, F.count("e.embedding").alias("users"), *sums).write.format("noop").mode("overwrite").save()
    return Pass(budget=budget, seconds=time.perf_counter() - began, **observation.get)


def inputs_of(context: Context, encoder: Encoder, copies: int) -> DataFrame:
    """What the encoder reads for every user of the newest day, ``copies`` times, cached. Raises InputMissingError."""
    histories = context.tables.read(names.USER_HISTORIES)
    newest = histories.agg(F.max("ds").alias("ds")).collect()[0]["ds"]
    if newest is None:
        raise InputMissingError(
            "NO_HISTORIES", "nothing to measure", table=names.USER_HISTORIES, hint="run make demo first, or name its --root"
        )
    versions = current_versions(context.tables.read(names.ITEMS), newest)
    inputs = interest_inputs(histories.where(F.col("ds") == newest), versions, encoder.manifest.history_length)
    copied = inputs.crossJoin(context.spark.range(copies)).select("content_hashes", "event_types", "queries")
    spread = copied.repartition(context.spark.sparkContext.defaultParallelism).cache()
    spread.count()
    return spread


def vectors_of(context: Context, encoder: Encoder, inputs: DataFrame, folder: Path) -> tuple[Path, str]:
    """A file of the item vectors that ``inputs`` reads."""
    wanted = inputs.select(F.explode("content_hashes").alias("content_hash")).where(F.col("content_hash") != UNKNOWN_ITEM).distinct()
    held = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})
    rows = held.join(wanted, "content_hash").select("content_hash", "embedding").toArrow()
    return ItemVectorsFile.build(folder, rows["content_hash"], rows["embedding"], encoder.manifest.dim)


def table_of(passes: Sequence[Pass], title: str) -> Table:
    table = Table("token budget", "users", "tokens", "padded / real", "seconds", "users/s", "tokens/s", title=title)
    for one in passes:
        table.add_row(
            str(one.budget), str(one.users), str(one.tokens), f"{one.padded_tokens / max(one.tokens, 1):.3f}", f"{one.seconds:.2f}",
            f"{one.users / one.seconds:,.0f}", f"{one.tokens / one.seconds:,.0f}",
        )  # fmt: skip
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.udf_throughput``."""

    def body(args: ThroughputArgs) -> int:
        context = context_of(args, "udf_throughput")
        encoder = encoder_of(context, args.encoder)
        inputs = inputs_of(context, encoder, args.copies)
        with tempfile.TemporaryDirectory(prefix="karma-benchmark-") as folder:
            vectors = vectors_of(context, encoder, inputs, Path(folder))
            budgets = (args.budgets[0], *args.budgets)
            first, *passes = [run_pass(inputs, context, encoder, vectors, budget=budget, bf16=args.bf16) for budget in budgets]
        console = Console()
        precision = "bf16 where the CPU has it" if args.bf16 else "fp32"
        console.print(table_of(passes, f"Interest UDF, encoder {encoder.version}, {precision}, {context.spark.sparkContext.master}"))
        console.print(f"first pass, with the start of the workers and the load of the encoder: {first.seconds:.1f} s")
        return names.EXIT_DONE

    return run_main(ThroughputArgs, body, argv, prog="python -m benchmarks.udf_throughput")


if __name__ == "__main__":
    sys.exit(main())
