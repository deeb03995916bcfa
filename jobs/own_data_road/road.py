"""The road in its order: land, ingest, look, judge leave-last-out, train by time, derive impressions, run the days."""

import logging
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from jobs import upstream
from jobs.bulk_load import bulk_load
from jobs.day import DayOptions, run_day
from jobs.digests import digest_of
from jobs.encoders import Encoder, encoder_of
from jobs.errors import InputMissingError, UsageError
from jobs.ingest import IngestOptions
from jobs.landing import BULK
from jobs.ledger import LedgerRow
from jobs.mapping import Mapping
from jobs.own_data_road.derived_impressions import SEED, derived_impressions
from jobs.own_data_road.landing import land_empty_day, land_files, land_frame, land_items, withdraw_empty_day
from jobs.own_data_road.leave_last_out import LeaveLastOut, leave_last_out_stage
from jobs.own_data_road.targets import read_targets
from jobs.publish import Publication
from jobs.stage import Context, run_stage
from jobs.steps import Steps, refuse_unsettled
from jobs.train_encoder import train_stage
from jobs.transforms.days import as_of
from jobs.transforms.histories import distinct_events
from jobs.transforms.training import last_day_before
from jobs.visual_features import DEFAULT_VISION, visual_features_stage
from schemas import names

log = logging.getLogger("karma.own_data")

DERIVED_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A user's files and what to do with them.

    Attributes:
        label_days: the last days with events that the published encoder does not see.
        days: the last days that are published; at most ``label_days``.
        baskets: the last basket of a user is held out whole, and items may be taken again.
        error_budget: the share of a source's rows that may be refused.
    """

    events: Path
    items: Path
    images: Path | None = None
    impressions: Path | None = None
    targets: Path | None = None
    mapping: Mapping = field(default_factory=Mapping)
    config: Path
    vision: str = DEFAULT_VISION
    label_days: int = 28
    days: int = 7
    baskets: bool = False
    error_budget: float = names.DEFAULT_ERROR_BUDGET


@dataclass(frozen=True, kw_only=True)
class Span:
    """The days of a set: the first and the last with an accepted event (inclusive), those published, and the instant of the split."""

    first: date
    last: date
    published: tuple[date, ...]
    trained_until: datetime


@dataclass(frozen=True, kw_only=True)
class Travelled:
    """What the road led to: the published encoder, the final ledger rows in their order, and the seconds of each step."""

    span: Span
    encoder: Encoder
    rows: list[LedgerRow]
    seconds: dict[str, float]

    def row(self, job: str) -> LedgerRow | None:
        """The first ledger row of ``job``, or None."""
        return next((row for row in self.rows if row.job == job), None)


def travel(context: Context, plan: Plan) -> Travelled:
    """Run the whole road; what is settled with the same inputs is left as it is. Raises JobError where a step does not settle."""
    walk = _Walk(context=context, plan=plan)
    with walk.steps.step("land"):
        _land(context, plan)
    with walk.steps.step("ingest"):
        span = walk.ingest()
    with walk.steps.step("visual features"):
        walk.settled(run_stage(context, visual_features_stage((plan.vision,)), span.first))
    if plan.targets is not None:
        with walk.steps.step("leave-last-out encoder and its figures"):
            walk.judge(span, plan.targets)
    with walk.steps.step("time-split encoder"):
        encoder = walk.train(span)
    with walk.steps.step("impressions"):
        walk.ingest_impressions(span)
    options = DayOptions(ingest=IngestOptions(mapping=plan.mapping), publication=Publication(mode="simulated"))
    for day in span.published:
        with walk.steps.step(f"day {day}"):
            walk.settled(*run_day(context, options, day, [encoder]))
    return Travelled(span=span, encoder=encoder, rows=walk.rows, seconds=walk.steps.seconds)


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """One walk along the road: what it works with, and the final ledger rows so far."""

    context: Context
    plan: Plan
    steps: Steps = field(default_factory=Steps)
    rows: list[LedgerRow] = field(default_factory=list)

    def settled(self, *rows: LedgerRow) -> LedgerRow:
        """Keep ``rows`` and return the last one. Raises JobError where one did not settle."""
        refuse_unsettled(rows)
        self.rows.extend(rows)
        return rows[-1]

    def ingest(self) -> Span:
        """Load events and items. All items arrive with the first event, so that every day sees them."""
        bulk = IngestOptions(mapping=self.plan.mapping, bulk=True, error_budget=self.plan.error_budget)
        self.settled(*bulk_load(self.context, names.EVENTS, bulk))
        span = span_of(self.context, self.plan)
        self.settled(*bulk_load(self.context, names.ITEMS, replace(bulk, bulk_ds=span.first)))
        return span

    def judge(self, span: Span, targets: Path) -> None:
        """Train without the targets, and rank them."""
        plan = self.plan
        held_out = LeaveLastOut(
            targets=read_targets(self.context, targets, plan.mapping),
            items_day=span.first,
            config=plan.config,
            vision=plan.vision,
            baskets=plan.baskets,
        )
        self.settled(run_stage(self.context, leave_last_out_stage(held_out), span.last))

    def train(self, span: Span) -> Encoder:
        """The encoder that is published."""
        stage = train_stage(self.plan.config, span.trained_until, self.plan.vision)
        trained = self.settled(run_stage(self.context, stage, last_day_before(span.trained_until)))
        return encoder_of(self.context, trained.details["version"])

    def ingest_impressions(self, span: Span) -> None:
        """Load the given impressions, or the derived ones; a published day without any is an empty day."""
        mapping = self.plan.mapping if self.plan.impressions else Mapping()
        _land_impressions(self.context, self.plan, span)
        options = IngestOptions(mapping=mapping, bulk=True, error_budget=self.plan.error_budget)
        self.settled(*bulk_load(self.context, names.IMPRESSIONS, options))
        _land_empty_days(self.context, span)


def _land(context: Context, plan: Plan) -> None:
    land_files(context, names.EVENTS, plan.events)
    if plan.images is None:
        land_files(context, names.ITEMS, plan.items)
    else:
        land_items(context, plan.items, plan.images, plan.mapping)


def span_of(context: Context, plan: Plan) -> Span:
    """Raises InputMissingError: no event was accepted; UsageError: the days asked for do not fit those of the events."""
    states = context.ledger.states(names.INGEST_EVENTS_JOB)
    with_events = [ds for ds, row in states.items() if row.counts.get("written")]
    if not with_events:
        read = sum(row.counts.get("read", 0) for row in states.values())
        raise InputMissingError(
            "NO_EVENTS", "no event was accepted", table=names.EVENTS, partition=BULK, expected="one accepted event at least",
            got=f"{read} rows read, all of them refused" if read else "no rows",
            hint="quarantine holds the refused rows with their reasons" if read else f"look into {plan.events}",
        )  # fmt: skip
    first, last = min(with_events), max(with_events)
    if not 1 <= plan.days <= plan.label_days:
        raise UsageError("DAYS_OUTSIDE", "the published days lie within the label days", expected=f"1 to {plan.label_days}", got=plan.days)
    trained_until = as_of(last) - timedelta(days=plan.label_days)
    if trained_until <= as_of(first) - timedelta(days=1):
        raise UsageError(
            "NOTHING_TO_TRAIN_ON", "all events lie in the label days", expected=f"fewer than {(last - first).days + 1} days",
            got=plan.label_days, hint="--label-days",
        )  # fmt: skip
    published = tuple(last - timedelta(days=back) for back in reversed(range(plan.days)))
    return Span(first=first, last=last, published=published, trained_until=trained_until)


def _land_impressions(context: Context, plan: Plan, span: Span) -> None:
    """The given ones, or else those derived from the events since ``trained_until``."""
    if plan.impressions is not None:
        land_files(context, names.IMPRESSIONS, plan.impressions)
        return
    digest = digest_of("derived", DERIVED_VERSION, SEED, span.trained_until.isoformat(), upstream.events_digest(context, span.last))
    derived = derived_impressions(distinct_events(context.tables.read(names.EVENTS)), span.trained_until)
    land_frame(derived, digest, context.places.landing_bulk(names.IMPRESSIONS))


def _land_empty_days(context: Context, span: Span) -> None:
    """The bulk is all there is: a published day that it does not cover is an empty day, and says so."""
    for table, job in ((names.ITEMS, names.INGEST_ITEMS_JOB), (names.IMPRESSIONS, names.INGEST_IMPRESSIONS_JOB)):
        standing = context.ledger.standings(job)
        for day in span.published:
            if day not in standing:
                land_empty_day(context, table, day)
            elif standing[day].details.get("load") == BULK:
                withdraw_empty_day(context, table, day)
