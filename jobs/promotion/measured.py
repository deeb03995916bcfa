"""Measures the evidence: both encoders read the same histories and rank the same targets, which neither has seen.

Items that the users had before are neither candidates nor targets where both were trained without them as negatives.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.encoders import Encoder
from jobs.evaluate_encoder import days_not_ingested, known_before, targets_in, vision_of
from jobs.held_out_figures import ENCODER, HeldOutTargets, Judgement, Ranks, difference_of_hits, interval, policy, rankable_targets
from jobs.knowledge_measures import decodability_of, measured_users
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
    mask_seen = candidate.manifest.mask_seen and champion.manifest.mask_seen
    read = {vision: rankable_targets(known_before(context, window, vision), targets).ranked(mask_seen) for vision in visions}
    clouds, own = validation_clouds(candidate.manifest), read[vision_of(candidate)]
    if not own.users:
        why = f"none of {len(targets)} targets since {window.since} can be ranked"
        return Evidence(candidate=candidate.version, champion=champion.version, clouds=clouds, not_compared=why)
    judged, beside = _judged(candidate, own, mask_seen), _judged(champion, read[vision_of(champion)], mask_seen)
    return Evidence(
        candidate=candidate.version,
        champion=champion.version,
        clouds=(*clouds, *_window_clouds(judged.found)),
        comparison=_comparison(judged.found, beside.found.ranks, window, days_not_ingested(context, window)),
        **decodability_beside(judged, beside),
    )


def _judged(encoder: Encoder, read: HeldOutTargets, mask_seen: bool) -> Judgement:
    serving = load_encoder(encoder.folder, encoder.digest)
    found = evaluate_targets(serving, read.catalogue, read.histories, read.items, mask_seen)
    return Judgement(held_out=read, known=read, encoder=serving, found=found, ranks={ENCODER: found.ranks}, dropped=0)


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
        seen_items=policy(found.mask_seen),
        hit_rates={who: {k: hit_rate(of, k, corpus) for k in CUTOFFS} for who, of in ranks.items()},
        differences={k: Interval(**asdict(difference_of_hits(found.ranks, others, k))) for k in judged},
    )


def decodability_beside(candidate: Judgement, champion: Judgement) -> dict[str, Any]:
    """The fields ``decodability`` and ``decodability_difference`` of Evidence; neither where it is not measured.

    A probe is asked about half of the judged users at most, those whose target has a title (the other half trains it). Where these are
    fewer than USERS asks, nothing is measured: it takes twice as many users with a target.

    Args:
        candidate, champion: on the same targets.
    """
    found = decodability_of(candidate, steps=PROBE_STEPS) if USERS.passes(measured_users(candidate)) else None
    others = found and decodability_of(champion, steps=PROBE_STEPS, strangers=found.strangers)
    if found is None or others is None:
        return {}
    return {"decodability": _interval(found.shuffled, found.own), "decodability_difference": _interval(found.gains, others.gains)}


def _interval(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Interval:
    """Of a - b over users, [n] each."""
    return Interval(**interval(a, b), users=len(a))
