"""The stages of a day, in order, once. Schedulers and the one-session runs follow this table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from jobs.encoders import Encoder
from jobs.errors import InputMissingError
from jobs.ingest import IngestOptions, ingest_stage
from jobs.interest_embeddings import DEFAULT_TOKEN_BUDGET, interest_embeddings_stage
from jobs.item_embeddings import item_embeddings_stage
from jobs.ledger import LedgerRow
from jobs.publish import Publication, publish_stage
from jobs.ranking_features import JoinPolicy, ranking_features_stage
from jobs.stage import Context, Stage, run_stage, stage_that_ends_with
from jobs.user_histories import user_histories_stage
from jobs.validate import validate_stage
from jobs.visual_features import visual_features_stage
from schemas import names


@dataclass(frozen=True, kw_only=True)
class DayOptions:
    """What the stages of a day may be told; the defaults are those of the single jobs."""

    ingest: IngestOptions = field(default_factory=IngestOptions)
    vision: tuple[str, ...] = ()
    n_max: int = names.DEFAULT_N_MAX
    token_budget: int = DEFAULT_TOKEN_BUDGET
    publication: Publication = field(default_factory=Publication)
    join: JoinPolicy = field(default_factory=JoinPolicy)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One job of a day.

    Attributes:
        job: its name (schemas.names).
        after: the jobs of the same day that it needs settled.
        stage: makes the stage; gets an encoder where ``per_space``, else None.
        per_space: runs once for every active encoder.
    """

    job: str
    after: tuple[str, ...]
    stage: Callable[[DayOptions, Encoder | None], Stage]
    per_space: bool = False


def _of(encoder: Encoder | None) -> Encoder:
    if encoder is None:
        raise ValueError("a step that runs once a space needs an encoder")
    return encoder


DAY: tuple[Step, ...] = (
    Step(job=names.INGEST_EVENTS_JOB, after=(), stage=lambda o, _: ingest_stage(names.EVENTS, o.ingest)),
    Step(job=names.INGEST_ITEMS_JOB, after=(), stage=lambda o, _: ingest_stage(names.ITEMS, o.ingest)),
    Step(job=names.INGEST_IMPRESSIONS_JOB, after=(), stage=lambda o, _: ingest_stage(names.IMPRESSIONS, o.ingest)),
    Step(job=names.VISUAL_FEATURES_JOB, after=(names.INGEST_ITEMS_JOB,), stage=lambda o, _: visual_features_stage(o.vision)),
    Step(
        job=names.ITEM_EMBEDDINGS_JOB, after=(names.INGEST_ITEMS_JOB, names.VISUAL_FEATURES_JOB), per_space=True,
        stage=lambda o, e: item_embeddings_stage(_of(e)),
    ),
    Step(job=names.USER_HISTORIES_JOB, after=(names.INGEST_EVENTS_JOB,), stage=lambda o, _: user_histories_stage(o.n_max)),
    Step(
        job=names.INTEREST_EMBEDDINGS_JOB, after=(names.ITEM_EMBEDDINGS_JOB, names.USER_HISTORIES_JOB), per_space=True,
        stage=lambda o, e: interest_embeddings_stage(_of(e), o.token_budget),
    ),
    Step(job=names.VALIDATE_JOB, after=(names.INTEREST_EMBEDDINGS_JOB,), per_space=True, stage=lambda o, e: validate_stage(_of(e))),
    Step(job=names.PUBLISH_JOB, after=(names.VALIDATE_JOB,), per_space=True, stage=lambda o, e: publish_stage(_of(e), o.publication)),
    Step(
        job=names.RANKING_FEATURES_JOB, after=(names.INGEST_IMPRESSIONS_JOB, names.ITEM_EMBEDDINGS_JOB), per_space=True,
        stage=lambda o, e: ranking_features_stage(_of(e), o.join),
    ),
)  # fmt: skip


def run_day(context: Context, options: DayOptions, ds: date, encoders: Sequence[Encoder], steps: Sequence[Step] = DAY) -> list[LedgerRow]:
    """Run ``steps`` of ``ds`` in order, those of a space once for each of ``encoders``.

    Every step has its ledger row: one whose needs did not settle, or that finds no encoder, says ``missing_input``. Returns the final
    ledger rows.
    """
    return [run_stage(context, stage, ds) for stage in _stages(steps, options, encoders)]


def _stages(steps: Sequence[Step], options: DayOptions, encoders: Sequence[Encoder]) -> Iterator[Stage]:
    for step in steps:
        if not step.per_space:
            yield step.stage(options, None)
        elif encoders:
            yield from (step.stage(options, encoder) for encoder in encoders)
        else:
            error = InputMissingError("NO_ENCODER", "no encoder is active", hint="karma train-encoder makes and registers one")
            yield stage_that_ends_with(error, step.job)
