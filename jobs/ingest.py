"""Ingest of a landing partition: what the stages of events, items, impressions and requests share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cli import DayArgs, context_of, parse_day, run_main
from jobs.digests import digest_of, frame_digest
from jobs.error_budget import check_budget, refuse_over_budget
from jobs.errors import UsageError
from jobs.landing import BULK, Landed, Partition, content_digest, find_partition, has_landed, reading
from jobs.landing_images import LANDING, MAPPING, digests_of, has_image_files, named_image_files
from jobs.ledger import LedgerRow
from jobs.mapping import IMAGE, Mapping, load_mapping
from jobs.mended import mended_digest, read_landed
from jobs.quarantine import refused_rows, replace_quarantine
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tally import Tally, check_nothing_lost, tally_days
from jobs.transforms.arrivals import Arrival, DailyArrival
from jobs.transforms.arriving_events import judge_events
from jobs.transforms.arriving_impressions import judge_impressions
from jobs.transforms.arriving_items import UNCHANGED_VERSION, judge_items
from jobs.transforms.arriving_requests import judge_requests
from jobs.transforms.contract_check import VERDICT, check
from jobs.upstream import outputs_until
from schemas import names
from schemas.contracts import CONTRACTS

CODE_VERSION = "1"
"""Part of every input digest: raise it when the same files would give other rows."""

JOB_OF = {
    names.EVENTS: names.INGEST_EVENTS_JOB,
    names.ITEMS: names.INGEST_ITEMS_JOB,
    names.IMPRESSIONS: names.INGEST_IMPRESSIONS_JOB,
    names.REQUESTS: names.INGEST_REQUESTS_JOB,
}


def check_lateness(days: int) -> int:
    """``days`` itself. Raises UsageError where every row would be too late."""
    if days < 0:
        raise UsageError("NOT_A_COUNT", "--max-lateness-days counts days", expected="0 or more", got=days)
    return days


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How a source is to be read.

    Attributes:
        mapping: the source's names of the contract's columns.
        max_lateness_days: an event, impression or request older than this before the start of its ds is too late.
        bulk: arrival = event time (``jobs.bulk_load``); these options are then read by that.
        bulk_ds: the arrival day of all items of a bulk load.
        first, last: the days that a bulk load declares, both inclusive.
        source: a file or folder to read in place of the landing partition; it needs no success marker.
        error_budget: the share of the rows read that may be refused (``jobs.error_budget``). A settled day stays settled under another one.
    """

    mapping: Mapping = field(default_factory=Mapping)
    max_lateness_days: int = names.DEFAULT_MAX_LATENESS_DAYS
    bulk: bool = False
    bulk_ds: date | None = None
    first: date | None = None
    last: date | None = None
    source: str | None = None
    error_budget: float = names.DEFAULT_ERROR_BUDGET


def ingest_stage(table: str, options: IngestOptions | None = None) -> Stage:
    """The stage that brings the landing partition of a day into ``table`` (events, items, impressions or requests).

    Accepted rows replace that day's rows of the table, refused rows that day's rows of this job in quarantine.
    """
    chosen = options or IngestOptions()
    return Stage(
        job=JOB_OF[table],
        input_digest=lambda context, ds: _input_digest(context, table, chosen, ds),
        run=lambda context, ds, attempt: _run(context, table, chosen, ds, attempt),
    )


def _bulk_loaded(context: Context, table: str, options: IngestOptions, ds: date, attempt: int | None = None) -> LedgerRow | None:
    """The ledger row of a day that a bulk load brought and that has no landing partition of its own: its rows stand as they are.

    ``attempt``: the one that asks, where it has begun.
    Raises UsageError BULK_DAY where a partition or a source would replace them (for items, that is the whole catalogue) and no
    recompute was asked for.
    """
    state = context.ledger.standing(JOB_OF[table], ds, before=attempt)
    if not (state and state.settled and state.details.get("load") == BULK):
        return None
    if not options.source and not has_landed(context.spark, context.places, table, ds):
        return state
    if not context.recompute:
        raise UsageError(
            "BULK_DAY", "a bulk load brought this day's rows, and an input of the day would replace them all", table=table,
            partition=f"ds={ds}", expected="no landing partition of its own", got=options.source or f"{names.SUCCESS_MARKER} in ds={ds}",
            hint="put the rows into the bulk and load it again, or say --recompute to replace them",
        )  # fmt: skip
    return None


def _input_digest(context: Context, table: str, options: IngestOptions, ds: date) -> str:
    loaded = _bulk_loaded(context, table, options, ds)
    if loaded and loaded.input_digest:
        return loaded.input_digest
    partition = find_partition(context.spark, context.places, table, ds, options.source)
    return load_digest(context, partition, options, ds)


def load_digest(context: Context, partition: Partition, options: IngestOptions, items_ds: date | None) -> str:
    """Digest of all that the rows of a load depend on.

    For items that covers the files that image_ref names, and the versions that arrived before ``items_ds``: whether a version
    says anything new depends on them.
    """
    table, mapping = partition.table, options.mapping
    parts: list[object] = [CODE_VERSION, table, content_digest(context.spark, partition), _mapping_json(table, mapping)]
    parts += [options.max_lateness_days, options.bulk, options.first, options.last]
    mended = mended_digest(context, partition, mapping)
    parts += [mended] if mended else []
    if table == names.ITEMS and items_ds is not None:
        parts += [items_ds, _image_files_digest(context, partition, options) if has_image_files(context) else None]
        parts += [sorted(outputs_until(context, JOB_OF[table], items_ds - timedelta(days=1)).items())]
    return digest_of(*parts)


def _mapping_json(table: str, mapping: Mapping) -> str:
    return mapping.model_dump_json(include={table, "csv"}, exclude_defaults=True)


def _image_files_digest(context: Context, partition: Partition, options: IngestOptions) -> str | None:
    """Digest of the names and contents of the pictures that the items of ``partition`` name; None where they name none."""
    landed = read_landed(context, partition, options.mapping)
    checked = check(landed, partition.table, options.mapping.rules(partition.table))
    files = digests_of(named_image_files(context, checked))
    return None if files is None else frame_digest(files, files.columns)[1]


def _run(context: Context, table: str, options: IngestOptions, ds: date, attempt: int) -> Outcome:
    loaded = _bulk_loaded(context, table, options, ds, attempt)
    if loaded:
        facts = {name: getattr(loaded, name) for name in ("counts", "versions", "details")}
        return Outcome(status=names.UNCHANGED, output_digest=loaded.output_digest or "", **facts)
    partition = find_partition(context.spark, context.places, table, ds, options.source)
    landed = read_landed(context, partition, options.mapping)
    arrival = DailyArrival(ds=ds, max_lateness_days=options.max_lateness_days)
    start = datetime(ds.year, ds.month, ds.day, tzinfo=UTC)
    with judged_rows(context, landed, options, arrival, items_ds=ds, valid_from=start) as judged:
        with reading(partition):
            tally = tally_days(judged, table).get(ds, Tally())
        check_nothing_lost(landed.rows.count(), tally.judged, table, partition.label)
        refused = refused_of(judged, landed, options, context.run_id)
        replace_quarantine(context, refused, JOB_OF[table], table, ds, tally.quarantined)
        refuse_over_budget(tally, options.error_budget, table, partition.label, load_details(partition, options))
        version = context.tables.replace(written_of(judged, table), table, {"ds": ds})
    details = load_details(partition, options)
    return Outcome(output_digest=tally.digest, counts=tally.counts, versions={table: version}, details=details)


@contextmanager
def judged_rows(
    context: Context, landed: Landed, options: IngestOptions, arrival: Arrival, *, items_ds: date, valid_from: datetime
) -> Iterator[DataFrame]:
    """The rows of ``landed`` with their verdicts, computed once: cached while the block runs."""
    table = landed.partition.table
    checked = check(landed, table, options.mapping.rules(table))
    if table == names.EVENTS:
        judged = judge_events(checked, arrival)
    elif table == names.IMPRESSIONS:
        judged = judge_impressions(checked, arrival)
    elif table == names.REQUESTS:
        judged = judge_requests(checked, arrival)
    else:
        earlier = context.tables.read(table).where(F.col("ds") < F.lit(items_ds)) if context.tables.exists(table) else None
        judged = judge_items(checked, items_ds, valid_from, digests_of(named_image_files(context, checked)), earlier)
    judged.persist()
    try:
        yield judged
    finally:
        judged.unpersist()


def written_of(judged: DataFrame, table: str) -> DataFrame:
    """The rows for the table: those that nothing speaks against."""
    return judged.where(F.col(VERDICT).isNull()).select(*CONTRACTS[table].names)


def refused_of(judged: DataFrame, landed: Landed, options: IngestOptions, run_id: str) -> DataFrame:
    """The rows for quarantine."""
    table = landed.partition.table
    refused = judged.where(F.col(VERDICT).isNotNull() & (F.col(VERDICT) != UNCHANGED_VERSION))
    rule = options.mapping.rules(table).get(IMAGE)
    image = (rule.column if rule else None) or IMAGE
    return refused_rows(refused, landed, job=JOB_OF[table], table=table, run_id=run_id, image=image if table == names.ITEMS else None)


def load_details(partition: Partition, options: IngestOptions) -> dict[str, str]:
    """What the ledger keeps of a load: which partition, in which format, by which mapping."""
    return {LANDING: partition.label, "format": partition.format or "", MAPPING: _mapping_json(partition.table, options.mapping)}


@dataclass(frozen=True, kw_only=True)
class IngestArgs(DayArgs):
    """Bring landed rows into their table; refused rows go to quarantine with a reason."""

    mapping: str | None = None
    """TOML file that names the source's columns (conf/mapping/example.toml); default: the contract's own names."""
    max_lateness_days: int = names.DEFAULT_MAX_LATENESS_DAYS
    """Events, impressions and requests older than this before the start of their ds are too late."""
    error_budget: float = names.DEFAULT_ERROR_BUDGET
    """Share of the rows read that may be refused (100 rows always may); beyond it the load is blocked and nothing of it is accepted."""
    source: str | None = None
    """File or folder to read in place of the landing partition; it needs no success marker."""
    bulk: bool = False
    """Bulk load: every row arrives on its own day (UTC). Reads <landing>/<table>/bulk/, or --source; --ds-from and --ds-to,
    where given, are the days that it may hold."""
    bulk_ds: str | None = None
    """Bulk load of items: the arrival day of all of them; default: --ds-to, or the newest day of the bulk load of events."""

    def options(self) -> IngestOptions:
        """Raises UsageError where the flags exclude each other, or the mapping does not fit."""
        if self.bulk and self.ds is not None:
            raise UsageError("BULK_DAY", "a bulk load has no --ds", expected="--ds-from with --ds-to, or none", got=f"--ds {self.ds}")
        if self.bulk_ds and not self.bulk:
            raise UsageError("BULK_DAY", "--bulk-ds goes with --bulk", expected="--bulk", got=f"--bulk-ds {self.bulk_ds}")
        days = self.days if self.ds_from or self.ds_to else []
        return IngestOptions(
            mapping=load_mapping(self.mapping), bulk=self.bulk, source=self.source,
            max_lateness_days=check_lateness(self.max_lateness_days), error_budget=check_budget(self.error_budget),
            bulk_ds=parse_day(self.bulk_ds, "--bulk-ds") if self.bulk_ds else None,
            first=days[0] if days and self.bulk else None, last=days[-1] if days and self.bulk else None,
        )  # fmt: skip


def ingest_main(table: str, argv: Sequence[str] | None) -> int:
    """The main of every ingest job. Returns the exit code."""
    from jobs.bulk_load import bulk_exit_code, bulk_load  # that module builds on this one

    def body(args: IngestArgs) -> int:
        options = args.options()
        days = [] if args.bulk else args.days
        context = context_of(args, JOB_OF[table], recompute=args.recompute, makes_root=True)
        if args.bulk:
            return bulk_exit_code(bulk_load(context, table, options))
        return run_days(context, [ingest_stage(table, options)], days)

    return run_main(IngestArgs, body, argv, prog=f"karma {JOB_OF[table]}")
