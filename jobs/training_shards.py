"""training-shards: the ranking features of a day as sorted Parquet files with a manifest, for trainers that read no Delta."""

import hashlib
import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from jobs import upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoders import Encoder, stages_of_spaces
from jobs.errors import JobError, UsageError
from jobs.stage import Context, Outcome, Stage, run_days
from schemas import names
from schemas.contracts import CONTRACTS

CODE_VERSION = "1"
DEFAULT_ROWS_PER_SHARD = 1_000_000
SORTED_BY = ("user_id", "impression_time", "request_id", "item_id")
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class TrainingShardsArgs(DayArgs):
    """Write the ranking features of a day as shards under <root>/training/shards/ds=.../space_id=.../."""

    encoder: str | None = None
    """Encoder version, which names the space; default: every active one, a space each."""
    rows_per_shard: int = DEFAULT_ROWS_PER_SHARD
    """Rows of a file, on average: all rows of a user are in one."""


def training_shards_stage(encoder: Encoder, rows_per_shard: int = DEFAULT_ROWS_PER_SHARD) -> Stage:
    """The stage for one encoder's space. Raises UsageError where a shard would hold no row."""
    if rows_per_shard < 1:
        raise UsageError("NO_ROWS", "a shard holds rows", column="--rows-per-shard", expected=">= 1", got=rows_per_shard)
    return Stage(
        job=names.TRAINING_SHARDS_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder, rows_per_shard),
        run=lambda context, ds, attempt: _run(context, ds, encoder, rows_per_shard),
    )


def _input_digest(context: Context, ds: date, encoder: Encoder, rows_per_shard: int) -> str:
    features = upstream.settled(context, names.RANKING_FEATURES_JOB, ds, encoder.space_id)
    return digest_of(names.TRAINING_SHARDS_JOB, CODE_VERSION, rows_per_shard, features.output_digest)


def _run(context: Context, ds: date, encoder: Encoder, rows_per_shard: int) -> Outcome:
    features = context.tables.read_where(names.RANKING_FEATURES, {"ds": ds, "space_id": encoder.space_id}).persist()
    try:
        rows, digest = frame_digest(features, CONTRACTS[names.RANKING_FEATURES].names)
        folder = context.places.training / "shards" / f"ds={ds}" / f"space_id={encoder.space_id}"
        shards = max(1, math.ceil(rows / rows_per_shard))
        facts = {"ds": ds.isoformat(), "space_id": encoder.space_id, "rows": rows, "fingerprint": digest, "sorted_by": SORTED_BY}
        write_shards(features, folder, shards, facts)
    finally:
        features.unpersist()
    return Outcome(output_digest=digest, counts={"rows": rows, "shards": shards}, details={"folder": str(folder)})


def write_shards(features: DataFrame, folder: Path, shards: int, facts: dict[str, Any]) -> None:
    """Write ``folder`` anew: ``shards`` files, all rows of a user in one, and a manifest of ``facts`` and files.

    It is built beside its place and moved there, so that a reader finds the old shards, none, or the new ones; never a mixture.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    spread = features.repartition(shards, "user_id").sortWithinPartitions(*SORTED_BY)
    spread.write.option("compression", "zstd").parquet(f"file://{draft.absolute()}")
    files = [_renamed(path, number) for number, path in enumerate(sorted(draft.glob("part-*.parquet")))]
    if sum(int(file["rows"]) for file in files) != facts["rows"]:
        raise JobError(
            "SHARDS_INCOMPLETE", "the shards do not hold every row", table=names.RANKING_FEATURES, expected=facts["rows"], got=files,
            hint="executors write to the folder itself: on a cluster it must be one that every node mounts",
        )  # fmt: skip
    for leftover in (*draft.glob("_*"), *draft.glob(".*.crc")):
        leftover.unlink()
    (draft / MANIFEST).write_text(json.dumps({**facts, "files": files}, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _renamed(path: Path, number: int) -> dict[str, Any]:
    """Give a shard the name of its number; its entry in the manifest."""
    shard = path.rename(path.with_name(f"shard-{number:05}.parquet"))
    sha256 = hashlib.sha256(shard.read_bytes()).hexdigest()
    return {"name": shard.name, "rows": pq.read_metadata(shard).num_rows, "sha256": sha256}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma training-shards``."""

    def body(args: TrainingShardsArgs) -> int:
        days = args.days
        context = context_of(args, names.TRAINING_SHARDS_JOB, recompute=args.recompute)
        stages = stages_of_spaces(
            context, names.TRAINING_SHARDS_JOB, args.encoder, lambda encoder: training_shards_stage(encoder, args.rows_per_shard)
        )
        return run_days(context, stages, days)

    return run_main(TrainingShardsArgs, body, argv, prog="karma training-shards")


if __name__ == "__main__":
    sys.exit(main())
