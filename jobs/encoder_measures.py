"""What serving weights allow to be measured beside HR@K: age of the vector, JS@K, gAUC, cold items, and the spread of both clouds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from jobs.held_out_figures import BOOTSTRAP_SEED, ENCODER, JUDGED_AT, Judgement, Ranks, differences_of_rates, interval, rates
from karma.evaluation.bootstrap import weighted_mean_interval
from karma.evaluation.cold_items import ScoreBlock, cold_ranks
from karma.evaluation.evaluate import encode_users, seen_items, target_ranks
from karma.evaluation.grouped_auc import grouped_auc
from karma.evaluation.spectrum import Spectrum
from karma.evaluation.title_overlap import js_at_k, title_token_sets
from karma.evaluation.uniformity import uniformity

Vectors = npt.NDArray[np.float32]

AGES = (0, 1, 3, 7, 14)
"""Days that a vector is old when its user takes the target."""
PAIRED_VECTORS = 4_000
"""Vectors of a sample of which all pairs are compared."""
_USERS_AT_ONCE = 128
_MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Impressions of the window, row by row: whose, of which item, and whether it was clicked."""

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    clicked: Sequence[bool]


def measures_of(judged: Judgement, data: Path, taken_at: Mapping[str, int], shown: Shown) -> dict[str, Any]:
    """Figures by the name of the measure; null, or ``n`` 0, where there is nothing to measure.

    Args:
        data: the training data folder that was judged on.
        taken_at: by user, when the target was taken, in microseconds since 1970 UTC.
        shown: impressions of the window.
    """
    return {
        "age": by_age(judged, read_event_times(data), taken_at),
        f"JS@{JUDGED_AT}": title_overlap(judged),
        "gAUC": auc_of_impressions(judged, shown),
        "cold": cold_figures(judged),
        "spread": {
            "interests": spread(judged.found.interest_vectors, judged.found.users),
            "items": spread(judged.found.item_vectors, judged.found.items),
        },
    }


def by_age(judged: Judgement, event_times: Mapping[str, npt.NDArray[np.int64]], taken_at: Mapping[str, int]) -> dict[str, Any]:
    """HR@K with vectors of histories that end some days before the target: events with ``event_time < taken_at - days``.

    Every age is measured on the same ``n`` users: those who still have an event at the greatest age. ``differences``: by age and HR@K
    what is gained on vectors of age 0 (below zero: lost), paired, with its 95 % interval; none for a single user.
    """
    held_out, found = judged.held_out, judged.found

    def left(age: int) -> list[int]:
        """Events of each user's history before the cut."""
        return [int(np.searchsorted(event_times[user], taken_at[user] - age * _MICROSECONDS_A_DAY)) for user in held_out.users]

    rows = [row for row, events in enumerate(left(AGES[-1])) if events]
    if not rows:
        return {"n": 0}
    whole, targets = [held_out.histories[row] for row in rows], [held_out.items[row] for row in rows]

    def at_age(age: int) -> Ranks:
        events = left(age)
        cut = [history.first(events[row]) for history, row in zip(whole, rows, strict=True)]
        vectors = encode_users(judged.encoder, found.item_vectors, held_out.place, cut)
        return target_ranks(vectors, found.item_vectors, held_out.place, whole, targets, found.mask_seen)

    ranks = {str(age): at_age(age) for age in AGES}
    new, *older = ranks
    differences = {age: differences_of_rates(ranks[age], ranks[new], judged.corpus) for age in older}
    return {"n": len(rows), "days": rates(ranks, judged.corpus), "differences": differences}


def title_overlap(judged: Judgement) -> dict[str, Any]:
    """JS@50 of the encoder and of popularity, and their paired difference."""
    if judged.corpus <= JUDGED_AT or len(judged.held_out.users) < 2:
        return {"n": 0}
    tokens = title_token_sets(judged.held_out.catalogue.titles)
    popular = judged.held_out.for_baselines(judged.found.mask_seen).popularity
    encoder, popularity = [], []
    for block in score_blocks(judged):
        encoder.append(js_at_k(block.scores, block.target, tokens, JUDGED_AT, block.masked))
        popularity.append(js_at_k(np.broadcast_to(popular, block.scores.shape), block.target, tokens, JUDGED_AT, block.masked))
    ours, theirs = np.concatenate(encoder), np.concatenate(popularity)
    return {"n": len(ours), ENCODER: float(ours.mean()), "popularity": float(theirs.mean()), "difference": interval(ours, theirs)}


def auc_of_impressions(judged: Judgement, shown: Shown) -> dict[str, Any]:
    """gAUC of the cosine of interest and item, over the impressions of judged users whose item is in the catalogue; of two users and more
    ``low`` and ``high``, its 95 % interval from resampled users.
    """
    held_out, found = judged.held_out, judged.found
    row = {user: place for place, user in enumerate(held_out.users)}
    kept = [n for n, (user, item) in enumerate(zip(shown.user_ids, shown.item_ids, strict=True)) if user in row and item in held_out.place]
    users = np.array([row[shown.user_ids[n]] for n in kept], np.int64)
    items = np.array([held_out.place[shown.item_ids[n]] for n in kept], np.int64)
    scores = np.einsum("nd,nd->n", found.interest_vectors[users], found.item_vectors[items])
    auc = grouped_auc(scores, [shown.clicked[n] for n in kept], users)
    ends = weighted_mean_interval(auc.aucs, auc.impressions, seed=BOOTSTRAP_SEED) if len(auc.aucs) > 1 else ()
    told = dict(zip(("low", "high"), ends, strict=False))
    return {"n": len(auc.aucs), "value": auc.value, **told, "dropped": auc.dropped, "impressions": int(auc.impressions.sum())}


def cold_figures(judged: Judgement) -> dict[str, Any]:
    """HR@K of warm and cold targets among their own kind, and at an equal cold share of the top 50."""
    cold = judged.held_out.for_baselines(judged.found.mask_seen).popularity == 0
    targets = int(cold[[judged.held_out.place[item] for item in judged.held_out.items]].sum())
    if not targets or cold.all() or judged.corpus <= JUDGED_AT:
        return {"n": 0}
    try:
        found = cold_ranks(lambda: score_blocks(judged), cold, JUDGED_AT)
    except ValueError as too_few:
        return {"n": 0, "why": str(too_few)}
    return {
        "n": targets, "cold items": found.cold_items,
        "among their own kind": found.rates(JUDGED_AT), "at an equal share": found.rates_at_share,
        "share": found.share, "raw share": found.raw_share, "offset": found.offset,
    }  # fmt: skip


def spread(vectors: Vectors, of: Spectrum | None) -> dict[str, float]:
    """Effective rank and mean cosine of all vectors, uniformity of a sample at even steps."""
    if of is None:
        return {}
    sample = vectors[:: max(1, len(vectors) // PAIRED_VECTORS)]
    return {"effective rank": of.effective_rank, "mean cosine": of.mean_cosine, "uniformity": uniformity(sample)}


def score_blocks(judged: Judgement) -> Iterator[ScoreBlock]:
    """The scores of all judged users, some at a time."""
    held_out, found = judged.held_out, judged.found
    targets, histories = np.array([held_out.place[item] for item in held_out.items], np.int64), held_out.histories
    for start in range(0, len(targets), _USERS_AT_ONCE):
        block = slice(start, start + _USERS_AT_ONCE)
        masked = seen_items(histories[block], held_out.place) if found.mask_seen else None
        yield ScoreBlock(scores=found.interest_vectors[block] @ found.item_vectors.T, target=targets[block], masked=masked)


def read_event_times(data: Path) -> dict[str, npt.NDArray[np.int64]]:
    """By user, the times of the history's events in microseconds since 1970 (UTC), oldest first."""
    table = ds.dataset(data / "histories", format="parquet").to_table(columns=["user_id", "event_times"])
    times = table["event_times"].combine_chunks()
    flat = times.flatten().cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    ends = np.cumsum(times.value_lengths().to_numpy(zero_copy_only=False))
    return dict(zip(table["user_id"].to_pylist(), np.split(flat, ends[:-1]), strict=True))
