"""interest-embeddings: one staged row a user of the day: changed users encoded, the others carried."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from jobs import upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoders import Encoder, stages_of_spaces
from jobs.interest_encoding import DEFAULT_TOKEN_BUDGET, check_token_budget, encoded, observed, refuse_short_histories
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.carry import carried_vectors, neighbours
from jobs.transforms.interest_inputs import INPUTS_VERSION, interest_inputs
from jobs.transforms.item_versions import current_versions
from schemas import names


@dataclass(frozen=True, kw_only=True)
class InterestEmbeddingsArgs(DayArgs):
    """Stage the next-interest embeddings of a day, for the validate job to judge."""

    encoder: str | None = None
    """Encoder version; default: every active one."""
    token_budget: int = DEFAULT_TOKEN_BUDGET
    """Padded history tokens of one forward pass."""


def interest_embeddings_stage(encoder: Encoder, token_budget: int = DEFAULT_TOKEN_BUDGET) -> Stage:
    """The stage for one encoder's space."""
    return Stage(
        job=names.INTEREST_EMBEDDINGS_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder),
        run=lambda context, ds, attempt: _run(context, ds, encoder, token_budget),
    )


def _input_digest(context: Context, ds: date, encoder: Encoder) -> str:
    upstream.settled(context, names.ITEM_EMBEDDINGS_JOB, ds, encoder.space_id)
    histories = upstream.settled(context, names.USER_HISTORIES_JOB, ds)
    refuse_short_histories(int(histories.details["n_max"]), encoder, ds)
    verdicts = context.ledger.rows(names.VALIDATE_JOB, encoder.space_id, until=ds)
    blocked = sum(row.status == names.BLOCKED for row in verdicts if row.ds == ds)  # what the gate refused is staged anew
    items = upstream.items_digest(context, ds)
    return digest_of(names.INTEREST_EMBEDDINGS_JOB, INPUTS_VERSION, encoder.digest, histories.output_digest, items, blocked)


def _run(context: Context, ds: date, encoder: Encoder, token_budget: int) -> Outcome:
    began = time.monotonic()
    inputs = _inputs(context, ds, encoder).persist()
    carried = _carried(context, ds, encoder)
    to_encode = inputs.join(carried.select("user_id", "fingerprint"), ["user_id", "fingerprint"], "left_anti").persist()
    try:
        users, read_digest = frame_digest(inputs, ["user_id", "fingerprint", "history_len", "last_event_time"])
        unknown = inputs.agg(F.sum("unknown_items").alias("n")).collect()[0]["n"] or 0
        kept = _rows(context, encoder, inputs.join(carried, ["user_id", "fingerprint"]))
        where: Where = {"ds": ds, "space_id": encoder.space_id, "run_id": context.run_id}
        staging = time.monotonic()
        tally = {"encoded": 0, "tokens": 0, "padded_tokens": 0}
        if to_encode.isEmpty():
            version = context.tables.replace(kept, names.INTEREST_EMBEDDINGS_STAGED, where)
        else:
            observation = Observation()
            anew = observed(_encoded(context, ds, encoder, to_encode, token_budget), observation)
            version = context.tables.replace(_rows(context, encoder, anew).unionByName(kept), names.INTEREST_EMBEDDINGS_STAGED, where)
            tally = {name: int(value) for name, value in observation.get.items()}
    finally:
        to_encode.unpersist()
        inputs.unpersist()
    counts = {"users": users, "carried": users - tally["encoded"], "unknown_item_tokens": int(unknown), **tally}
    return Outcome(
        output_digest=digest_of(encoder.digest, read_digest),
        counts=counts,
        durations={"inputs": staging - began, "encode_and_stage": time.monotonic() - staging},
        versions={names.INTEREST_EMBEDDINGS_STAGED: version},
        details={"staged_run_id": context.run_id},
    )


def _inputs(context: Context, ds: date, encoder: Encoder) -> DataFrame:
    histories = context.tables.read_where(names.USER_HISTORIES, {"ds": ds})
    versions = current_versions(context.tables.read(names.ITEMS), ds)
    return interest_inputs(histories, versions, encoder.manifest.history_length)


def _carried(context: Context, ds: date, encoder: Encoder) -> DataFrame:
    """Vectors of the neighbouring published snapshots in this space; none on a recompute."""
    published = context.tables.read_where(names.INTEREST_EMBEDDINGS, {"space_id": encoder.space_id})
    days = [] if context.recompute else context.tables.days(names.INTEREST_EMBEDDINGS, encoder.space_id)
    return carried_vectors(published, neighbours(days, ds), encoder.space_id)


def _encoded(context: Context, ds: date, encoder: Encoder, inputs: DataFrame, token_budget: int) -> DataFrame:
    return encoded(context, encoder, inputs, "user_id", token_budget).withColumn("encoded_ds", F.lit(ds))


def _rows(context: Context, encoder: Encoder, frame: DataFrame) -> DataFrame:
    return frame.select(
        "user_id",
        "ds",
        F.lit(encoder.space_id).alias("space_id"),
        F.lit(context.run_id).alias("run_id"),
        "encoded_ds",
        "fingerprint",
        "history_len",
        "last_event_time",
        "as_of",
        "embedding",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma interest-embeddings``."""

    def body(args: InterestEmbeddingsArgs) -> int:
        days, tokens = args.days, check_token_budget(args.token_budget)
        context = context_of(args, names.INTEREST_EMBEDDINGS_JOB, recompute=args.recompute)
        stages = stages_of_spaces(
            context, names.INTEREST_EMBEDDINGS_JOB, args.encoder, lambda encoder: interest_embeddings_stage(encoder, tokens)
        )
        return run_days(context, stages, days)

    return run_main(InterestEmbeddingsArgs, body, argv, prog="karma interest-embeddings")


if __name__ == "__main__":
    sys.exit(main())
