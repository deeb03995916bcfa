"""Figures on held-out targets: the encoder beside the baselines, on the same users, with paired intervals."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from karma.artefact import load_encoder
from karma.evaluation.baselines import HeldOut, baseline_ranks
from karma.evaluation.bootstrap import paired_difference
from karma.evaluation.evaluate import Catalogue, History, evaluate_targets
from karma.evaluation.ranks import CUTOFFS, hit_rate
from karma.text import render_item

log = logging.getLogger("karma.figures")

Ranks = npt.NDArray[np.int64]

ENCODER = "encoder"
JUDGED_AGAINST = ("popularity", "co+text")
JUDGED_AT = 50
BOOTSTRAP_SEED = 0


def held_out_figures(data: Path, artefact: Path, digest: str, targets: Mapping[str, str], *, mask_seen: bool) -> dict[str, Any]:
    """HR@K of the encoder and the baselines on exactly these targets.

    Args:
        data: training data folder without the targets; its histories are what every method reads.
        artefact, digest: the encoder.
        targets: item by user. One whose item is not in the catalogue, or whose user has no event left, is dropped and counted.
        mask_seen: items of the history are no candidates.

    Returns: by method ``HR@K`` (null where K reaches the corpus); ``n``, ``dropped``, ``seen_items``, ``corpus``;
        ``differences``: by baseline the paired difference at HR@50 with its 95 % interval; empty where the corpus is too small for it.
    """
    catalogue = read_catalogue(data)
    histories = read_histories(data)
    place = {item: row for row, item in enumerate(catalogue.item_ids)}
    users = [user for user, item in sorted(targets.items()) if item in place and user in histories]
    log.info("%d of %d targets are ranked among %d items", len(users), len(targets), len(place))
    encoder = load_encoder(artefact, digest)
    found = evaluate_targets(encoder, catalogue, [histories[user] for user in users], [targets[user] for user in users], mask_seen)
    held_out = _held_out(catalogue, place, histories, {user: targets[user] for user in users}, mask_seen=mask_seen)
    ranks = {ENCODER: found.ranks, **baseline_ranks(held_out)}
    rates = {method: {f"HR@{k}": hit_rate(of, k, len(place)) for k in CUTOFFS} for method, of in ranks.items()}
    facts = {"n": len(users), "dropped": len(targets) - len(users), "corpus": len(place), "seen_items": "masked" if mask_seen else "kept"}
    judged = len(users) > 1 and len(place) > JUDGED_AT
    return {**rates, **facts, "differences": _differences(ranks) if judged else {}}


def _differences(ranks: Mapping[str, Ranks]) -> dict[str, dict[str, float]]:
    """By baseline: encoder minus baseline at HR@50 over the same users."""

    def against(name: str) -> dict[str, float]:
        hits, others = ((ranks[method] <= JUDGED_AT).astype(float) for method in (ENCODER, name))
        difference = paired_difference(hits, others, seed=BOOTSTRAP_SEED)
        return {"mean": difference.mean, "low": difference.low, "high": difference.high}

    return {name: against(name) for name in JUDGED_AGAINST}


def read_catalogue(data: Path) -> Catalogue:
    """The corpus of a training data folder."""
    table = ds.dataset(data / "catalogue.parquet", format="parquet").to_table(columns=["item_id", "title", "category", "features"])
    visual, has_visual = _features(table["features"].cast(pa.list_(pa.float32())).combine_chunks())
    return Catalogue(
        item_ids=table["item_id"].to_pylist(),
        titles=table["title"].to_pylist(),
        categories=table["category"].to_pylist(),
        visual=visual,
        has_visual=has_visual,
    )


def _features(column: pa.ListArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """float32 [n, features], zeros where null, and which are not; no columns where all are null."""
    has_visual = np.asarray(column.is_valid())
    held = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    visual = np.zeros((len(column), len(held) // max(1, has_visual.sum())), np.float32)
    visual[has_visual] = held.reshape(has_visual.sum(), visual.shape[1])
    return visual, has_visual


def read_histories(data: Path) -> dict[str, History]:
    """The history of every user of a training data folder, oldest event first, by user_id in order."""
    columns = ["user_id", "item_ids", "event_types", "queries"]
    table: pa.Table = ds.dataset(data / "histories", format="parquet").to_table(columns=columns).sort_by("user_id")
    return {
        row["user_id"]: History(item_ids=row["item_ids"], event_types=row["event_types"], queries=row["queries"])
        for row in table.to_pylist()
    }


def _held_out(
    catalogue: Catalogue, place: Mapping[str, int], histories: Mapping[str, History], targets: Mapping[str, str], *, mask_seen: bool
) -> HeldOut:
    """What the baselines read. Where items may not be taken again, only a user's first event with an item counts."""
    number = {user: row for row, user in enumerate(histories)}
    return HeldOut(
        histories=[_places(history, place, first_only=mask_seen) for history in histories.values()],
        titles=[render_item(title, None) for title in catalogue.titles],
        users=np.array([number[user] for user in targets], np.int64),
        targets=np.array([place[item] for item in targets.values()], np.int64),
        mask_seen=mask_seen,
    )


def _places(history: History, place: Mapping[str, int], *, first_only: bool) -> Ranks:
    known = [place[item] for item in history.item_ids if item is not None and item in place]
    return np.array(list(dict.fromkeys(known)) if first_only else known, np.int64)
