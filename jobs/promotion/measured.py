"""Measures the evidence: both encoders read the same histories and rank the same targets, which neither has seen."""

from dataclasses import asdict
from typing import Literal

from jobs.encoders import Encoder
from jobs.evaluate_encoder import days_not_ingested, known_before, targets_in, vision_of
from jobs.held_out_figures import HeldOutTargets, Judgement, Ranks, difference_of_hits, rankable_targets
from jobs.knowledge_measures import decodability_of
from jobs.promotion.evidence import Cloud, Comparison, Evidence, Interval, validation_clouds
from jobs.stage import Context
from jobs.transforms.label_window import LabelWindow
from karma.artefact import load_encoder
from karma.evaluation.decodability import STEPS
from karma.evaluation.evaluate import Evaluation, evaluate_targets
from karma.evaluation.ranks import CUTOFFS, hit_rate
from schemas.promotion_rules import USERS

PROBE_STEPS = STEPS


def measure(context: Context, candidate: Encoder, champion: Encoder, window: LabelWindow) -> Evidence:
    """The evidence for ``candidate``. Raises InputMissingError where image features that an encoder reads are missing.

    Args:
        window: begins when both were trained; what lies before it is what both read, whatever they were trained on.
    """
    targets = targets_in(context, window)
    visions = {vision_of(candidate), vision_of(champion)}
    read = {vision: rankable_targets(known_before(context, window, vision), targets) for vision in visions}
    clouds, own = validation_clouds(candidate.manifest), read[vision_of(candidate)]
    if not own.users:
        why = f"none of {len(targets)} targets since {window.since} can be ranked"
        return Evidence(candidate=candidate.version, champion=champion.version, clouds=clouds, not_compared=why)
    found, others = _evaluated(candidate, own), _evaluated(champion, read[vision_of(champion)])
    return Evidence(
        candidate=candidate.version,
        champion=champion.version,
        clouds=(*clouds, *_window_clouds(found)),
        comparison=_comparison(found, others.ranks, window, days_not_ingested(context, window)),
        decodability=_decodability(candidate, own, found),
    )


def _evaluated(encoder: Encoder, read: HeldOutTargets) -> Evaluation:
    """Items may be taken again, so none is masked."""
    return evaluate_targets(load_encoder(encoder.folder, encoder.digest), read.catalogue, read.histories, read.items, mask_seen=False)


def _window_clouds(found: Evaluation) -> tuple[Cloud, ...]:
    spectra = {"items": found.items, "interests": found.users}
    return tuple(
        Cloud(
            of=of,  # type: ignore[arg-type]
            where="label window",
            vectors=shape.vectors,
            effective_rank=shape.effective_rank,
            mean_cosine=shape.mean_cosine,
        )
        for of, shape in spectra.items()
        if shape is not None
    )


def _comparison(found: Evaluation, others: Ranks, window: LabelWindow, missing: list[str]) -> Comparison:
    corpus, ranks = found.corpus_size, {"candidate": found.ranks, "champion": others}
    judged = [k for k in CUTOFFS if k < corpus] if len(others) > 1 else []
    return Comparison(
        since=window.since.isoformat(),
        window_days=window.days,
        days_not_ingested=tuple(missing),
        users=len(others),
        corpus=corpus,
        hit_rates={who: {k: hit_rate(of, k, corpus) for k in CUTOFFS} for who, of in ranks.items()},
        differences={k: Interval(**asdict(difference_of_hits(found.ranks, others, k))) for k in judged},
    )


def _decodability(encoder: Encoder, read: HeldOutTargets, found: Evaluation) -> Interval | Literal["not_measured"]:
    """What a probe decoder saves with a user's own interest vector; not measured on fewer users than a promotion needs."""
    if not USERS.passes(len(read.users)):
        return "not_measured"
    serving = load_encoder(encoder.folder, encoder.digest)
    told = decodability_of(Judgement(held_out=read, encoder=serving, found=found, ranks={}, dropped=0), steps=PROBE_STEPS)
    return Interval(mean=told["mean"], low=told["low"], high=told["high"], users=told["n"]) if told["n"] else "not_measured"
