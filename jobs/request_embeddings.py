"""request-embeddings: the requests of a day as vectors, each read last in the history that its user had at that instant."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from jobs import gate, upstream
from jobs.bulk_load import bulk_exit_code, bulk_load
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoders import Encoder, stages_of_spaces
from jobs.errors import InputMissingError, SupersededError
from jobs.gate.verdict import refuse_blocked
from jobs.ingest import IngestOptions, ingest_stage
from jobs.interest_encoding import DEFAULT_TOKEN_BUDGET, check_token_budget, encoded, observed, refuse_short_histories
from jobs.mapping import Mapping, load_mapping
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.histories import known_events, known_events_since
from jobs.transforms.interest_inputs import INPUTS_VERSION
from jobs.transforms.item_versions import versions_known
from jobs.transforms.request_inputs import request_inputs, requests_of, with_reasons
from jobs.user_histories import base_day
from schemas import gate_rules, names
from schemas.contracts import CONTRACTS

CODE_VERSION = "1"

_ASKED = ("request_id", "user_id", "request_time", "query")
_IDENTITY = (*_ASKED, "fingerprint", "history_len", "last_event_time", "trained_until", "missing_reason")
"""What makes two runs of a day the same (P3); vectors follow from it within the promised cosine."""
_SOURCES = (names.INGEST_REQUESTS_JOB, names.INGEST_IMPRESSIONS_JOB)


@dataclass(frozen=True, kw_only=True)
class RequestEmbeddingsArgs(DayArgs):
    """Encode the requests of a day: those of the table requests, and those that its impressions answer."""

    requests: str | None = None
    """File or folder of requests (request_id, user_id, request_time, query) to ingest first, as `karma ingest-requests --source` does:
    in place of all that the table held of the day. With --ds-from and --ds-to each row belongs to its own day (UTC)."""
    mapping: str | None = None
    """TOML file that names the columns of --requests (conf/mapping/example.toml); default: the contract's own names."""
    encoder: str | None = None
    """Encoder version; default: every active one."""
    allow_trained_after: bool = False
    """Keep vectors of an encoder trained until after the request; missing_reason still says trained_after."""
    token_budget: int = DEFAULT_TOKEN_BUDGET
    """Padded tokens of one forward pass."""


@dataclass(frozen=True, kw_only=True)
class RequestPolicy:
    """How requests are encoded.

    Attributes:
        allow_trained_after: keep vectors of an encoder trained until after the request, marked.
        token_budget: padded tokens of one forward pass.
    """

    allow_trained_after: bool = False
    token_budget: int = DEFAULT_TOKEN_BUDGET


def request_embeddings_stage(encoder: Encoder, policy: RequestPolicy) -> Stage:
    """The stage for one encoder's space: stage, gate, replace (ds, space). What a request may read: ``request_inputs``."""
    return Stage(
        job=names.REQUEST_EMBEDDINGS_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder, policy),
        run=lambda context, ds, attempt: _run(context, ds, encoder, policy, attempt),
    )


def _input_digest(context: Context, ds: date, encoder: Encoder, policy: RequestPolicy) -> str:
    """Nothing that arrived after ``ds`` was known to its requests, so later days change nothing here."""
    _refuse_no_requests(context, ds)
    upstream.settled(context, names.ITEM_EMBEDDINGS_JOB, ds, encoder.space_id)
    return digest_of(
        names.REQUEST_EMBEDDINGS_JOB,
        CODE_VERSION,
        INPUTS_VERSION,
        gate_rules.VERSION,
        encoder.digest,
        policy.allow_trained_after,
        [sorted(upstream.outputs_until(context, job, ds).items()) for job in _SOURCES],
        upstream.events_digest(context, ds),
        upstream.items_digest(context, ds),
    )


def _refuse_no_requests(context: Context, ds: date) -> None:
    """Raises InputMissingError where a source of the day's requests did not settle, or none ever came."""
    came = [job for job in _SOURCES if context.ledger.standing(job, ds)]
    for job in came:
        upstream.settled(context, job, ds)
    if not came:
        raise InputMissingError(
            "NO_REQUESTS", "nothing says what was asked on this day", table=names.REQUESTS, partition=f"ds={ds}",
            expected=" or ".join(_SOURCES), got="no ledger row", hint="--requests FILE, or ingest the day's impressions",
        )  # fmt: skip


def _run(context: Context, ds: date, encoder: Encoder, policy: RequestPolicy, attempt: int) -> Outcome:
    requests = requests_of(context.tables.read(names.REQUESTS), context.tables.read(names.IMPRESSIONS), ds).persist()
    inputs = _inputs(context, ds, encoder, requests)
    inputs = with_reasons(inputs, encoder.trained_until, policy.allow_trained_after).persist()
    try:
        count, digest = frame_digest(inputs, _IDENTITY)
        outcome = Outcome(output_digest=digest_of(encoder.digest, digest), counts=_counts(inputs, count))
        where: Where = {"ds": ds, "space_id": encoder.space_id}
        standing = context.tables.read_where(names.REQUEST_EMBEDDINGS, where)
        if count and not context.recompute and frame_digest(standing, _IDENTITY) == (count, digest):
            return replace(outcome, status=names.UNCHANGED)
        staged, tokens = _staged(context, ds, encoder, inputs, policy.token_budget)
        verdict = gate.check_requests(
            context.spark,
            staged=staged,
            requests=requests,
            space_id=encoder.space_id,
            ds=ds,
            dimension=encoder.manifest.dim,
            docs_dir=context.places.data_docs,
            allow_trained_after=policy.allow_trained_after,
        )
        refuse_blocked(verdict, names.REQUEST_EMBEDDINGS, f"ds={ds}, space_id={encoder.space_id}")
        details = {"data_docs": str(verdict.docs), "staged_run_id": context.run_id}
        version = _published(context, ds, encoder, staged, attempt)
    finally:
        inputs.unpersist()
        requests.unpersist()
    return replace(outcome, counts={**outcome.counts, **tokens}, versions={names.REQUEST_EMBEDDINGS: version}, details=details)


def _inputs(context: Context, ds: date, encoder: Encoder, requests: DataFrame) -> DataFrame:
    """``request_inputs`` of the day. Events from before its oldest request come out of the newest histories that hold them."""
    oldest = requests.agg(F.to_date(F.min("request_time")).alias("ds")).collect()[0]["ds"] or ds
    events = context.tables.read(names.EVENTS)
    held = [row for row in context.ledger.standings(names.USER_HISTORIES_JOB, until=oldest - timedelta(days=1)).values() if row.settled]
    n_max = int(held[-1].details["n_max"]) if held else names.DEFAULT_N_MAX
    base_ds = base_day(context, ds, n_max, before=oldest)
    if base_ds is None:
        known = known_events(events, ds)
    else:
        refuse_short_histories(n_max, encoder, base_ds)
        histories = context.tables.read_where(names.USER_HISTORIES, {"ds": base_ds})
        known = known_events_since(histories, base_ds, events, ds)
    items = versions_known(context.tables.read(names.ITEMS), ds)
    return request_inputs(requests, known, items, encoder.manifest.history_length)


def _counts(inputs: DataFrame, requests: int) -> dict[str, int]:
    """The ledger's counts: requests, how many of them have no history, and how many no vector or a mark, by reason."""
    alone = F.count_if((F.col("history_len") == 0) & F.col("fingerprint").isNotNull()).alias("without_history")
    reasons = inputs.groupBy("missing_reason").agg(F.count(F.lit(1)).alias("n"), alone).collect()
    by_reason = {row["missing_reason"]: int(row["n"]) for row in reasons if row["missing_reason"]}
    return {"requests": requests, "without_history": sum(int(row["without_history"]) for row in reasons), **by_reason}


def _staged(context: Context, ds: date, encoder: Encoder, inputs: DataFrame, token_budget: int) -> tuple[DataFrame, dict[str, int]]:
    """The rows, staged under this run and read back at the version written; and what was encoded for them."""
    usable = F.col("fingerprint").isNotNull()
    rows = inputs.where(~usable).withColumn("embedding", F.lit(None).cast("array<float>"))
    to_encode, observation = inputs.where(usable), Observation()
    anything = not to_encode.isEmpty()
    if anything:
        anew = observed(encoded(context, encoder, to_encode, "request_id", token_budget), observation)
        rows = anew.select(*rows.columns).unionByName(rows)
    facts = {"ds": F.lit(ds), "space_id": F.lit(encoder.space_id), "run_id": F.lit(context.run_id)}
    rows = rows.withColumns(facts).select(*CONTRACTS[names.REQUEST_EMBEDDINGS_STAGED].names)
    where: Where = {"ds": ds, "space_id": encoder.space_id, "run_id": context.run_id}
    version = context.tables.replace(rows, names.REQUEST_EMBEDDINGS_STAGED, where)
    tokens = {name: int(value) for name, value in observation.get.items()} if anything else {"encoded": 0}
    return context.tables.read_where(names.REQUEST_EMBEDDINGS_STAGED, where, version=version), tokens


def _published(context: Context, ds: date, encoder: Encoder, staged: DataFrame, attempt: int) -> int:
    """Replace the day's rows by the staged ones. Raises SupersededError where a later attempt has written them."""
    rows = staged.withColumn("created_at", F.lit(context.now())).select(*CONTRACTS[names.REQUEST_EMBEDDINGS].names)
    once = (f"{names.REQUEST_EMBEDDINGS_JOB}/{ds}/{encoder.space_id}", attempt)
    version = context.tables.replace(rows, names.REQUEST_EMBEDDINGS, {"ds": ds, "space_id": encoder.space_id}, once=once)
    if version is None:
        raise SupersededError(
            "SUPERSEDED", "a newer attempt at this day exists", table=names.REQUEST_EMBEDDINGS,
            partition=f"ds={ds}, space_id={encoder.space_id}", expected=f"attempt {attempt}", got="a later attempt has written the day",
            hint="wait for it where it is at work; a rerun says whether its rows are up to date",
        )  # fmt: skip
    return version


def _ingested(context: Context, source: str, mapping: Mapping, days: Sequence[date]) -> int:
    """Bring ``source`` into the table of requests; the exit code. One day takes it whole, of several each takes its own."""
    if len(days) == 1:
        return run_days(context, [ingest_stage(names.REQUESTS, IngestOptions(mapping=mapping, source=source))], days)
    options = IngestOptions(mapping=mapping, source=source, bulk=True, first=days[0], last=days[-1])
    return bulk_exit_code(bulk_load(context, names.REQUESTS, options))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma request-embeddings``."""

    def body(args: RequestEmbeddingsArgs) -> int:
        days = args.days
        policy = RequestPolicy(allow_trained_after=args.allow_trained_after, token_budget=check_token_budget(args.token_budget))
        mapping = load_mapping(args.mapping)
        context = context_of(args, names.REQUEST_EMBEDDINGS_JOB, recompute=args.recompute)
        if args.requests and (code := _ingested(context, args.requests, mapping, days)) != names.EXIT_DONE:
            return code
        stages = stages_of_spaces(
            context, names.REQUEST_EMBEDDINGS_JOB, args.encoder, lambda encoder: request_embeddings_stage(encoder, policy)
        )
        return run_days(context, stages, days)

    return run_main(RequestEmbeddingsArgs, body, argv, prog="karma request-embeddings")


if __name__ == "__main__":
    sys.exit(main())
