"""Figures on held-out targets: the encoder beside the baselines, on the same users, with paired intervals."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from karma.artefact import load_encoder
from karma.evaluation.baselines import HeldOut, baseline_ranks
from karma.evaluation.bootstrap import JUDGED_USERS, PairedDifference, hit_difference, paired_difference
from karma.evaluation.evaluate import Catalogue, Evaluation, History, encode_users, evaluate_targets, target_ranks
from karma.evaluation.ranks import CUTOFFS, hit_rate
from karma.evaluation.slices import slices_of
from karma.serving import ServingEncoder
from karma.text import render_item
from karma.training.data import read_columns
from schemas.promotion_rules import JUDGED_AT

log = logging.getLogger("karma.figures")

Ranks = npt.NDArray[np.int64]

ENCODER = "encoder"
ENCODER_AND_QUERY = "encoder, query appended"
BOOTSTRAP_SEED = 0


def held_out_figures(
    data: Path, artefact: Path, digest: str, targets: Mapping[str, str], *, mask_seen: bool, queries: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """HR@K of the encoder and the baselines on exactly these targets: ``figures_of`` what ``judge`` found."""
    return figures_of(judge(data, artefact, digest, targets, mask_seen=mask_seen, queries=queries))


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """An encoder on held-out targets, ready for any measure.

    Attributes:
        ranks: int64 [n] by method, the encoder and the baselines.
        known: all targets of known users and items, those included that are not ranked since their user had the item before.
        dropped: targets that are not ranked: their item is not in the catalogue, their user has no event left, or had the item before
            where such are no candidates.
    """

    held_out: "HeldOutTargets"
    known: "HeldOutTargets"
    encoder: ServingEncoder
    found: Evaluation
    ranks: Mapping[str, Ranks]
    dropped: int

    @property
    def corpus(self) -> int:
        return len(self.held_out.place)


def judge(
    data: Path, artefact: Path, digest: str, targets: Mapping[str, str], *, mask_seen: bool, queries: Mapping[str, str] | None = None
) -> Judgement:
    """Encode, and rank every target that can be ranked under every method.

    Args:
        data: training data folder without the targets; its histories are what every method reads.
        artefact, digest: the encoder.
        targets: item by user.
        mask_seen: items of the history are no candidates, and no targets either.
        queries: by user the query that was typed for the target, where one was.
    """
    known = rankable_targets(data, targets, queries)
    held_out = known.ranked(mask_seen)
    encoder = load_encoder(artefact, digest)
    found = evaluate_targets(encoder, held_out.catalogue, held_out.histories, held_out.items, mask_seen)
    ranks = {ENCODER: found.ranks, **baseline_ranks(held_out.for_baselines(mask_seen))}
    dropped = len(targets) - len(held_out.users)
    return Judgement(held_out=held_out, known=known, encoder=encoder, found=found, ranks=ranks, dropped=dropped)


def figures_of(judged: Judgement) -> dict[str, Any]:
    """HR@K by method, and what stands beside it.

    Returns: by method ``HR@K`` (null where K reaches the corpus); ``n``, ``dropped``, ``seen_items``, ``corpus``;
        ``differences``: by baseline and HR@K the encoder minus it, paired, with its 95 % interval; empty for a single target, or a
        corpus too small for any K;
        ``other_policy``: as above by method, with its own ``n``, where items of the history are candidates if they were not above, and the
        other way round;
        ``slices``: by slice (``karma.evaluation.slices``) its ``n``, by method HR@K, and of JUDGED_USERS targets and more ``interval``,
        the 95 % interval of the encoder's HR@50;
        ``query``: of the targets with a query ``n``, and HR@K by method and of ``ENCODER_AND_QUERY``, which reads the query last,
        and ``differences``: as above, ``ENCODER_AND_QUERY`` minus ``ENCODER``, which is what the query adds.
    """
    held_out, found, ranks, corpus = judged.held_out, judged.found, judged.ranks, judged.corpus
    return {
        **rates(ranks, corpus),
        "n": len(held_out.users), "dropped": judged.dropped, "corpus": corpus, "seen_items": policy(found.mask_seen),
        "differences": _differences(ranks, corpus),
        "other_policy": _other_policy(judged),
        "slices": _by_slice(held_out, ranks, found.mask_seen),
        "query": _query_figures(held_out, judged.encoder, found, ranks),
    }  # fmt: skip


def policy(mask_seen: bool) -> str:
    """How figures say it."""
    return "masked" if mask_seen else "kept"


def rates(ranks: Mapping[str, Ranks], corpus: int) -> dict[str, dict[str, float | None]]:
    """HR@K by method."""
    return {method: {f"HR@{k}": hit_rate(of, k, corpus) for k in CUTOFFS} for method, of in ranks.items()}


@dataclass(frozen=True, kw_only=True)
class HeldOutTargets:
    """Targets that can be ranked, one a user, beside what every method may read.

    Attributes:
        place: row of an item in the catalogue.
        of_all: the histories of all users;  histories: those of ``users``.
        items: the target of each of ``users``.
        queries: by user the query that was typed for the target, in the target's own event; a user without one is not in it.
    """

    catalogue: Catalogue
    place: Mapping[str, int]
    of_all: Mapping[str, History]
    users: Sequence[str]
    items: Sequence[str]
    queries: Mapping[str, str] = field(default_factory=dict)

    @property
    def with_query(self) -> npt.NDArray[np.bool_]:
        """bool [n], whether a query was typed for the target."""
        return np.array([user in self.queries for user in self.users], bool)

    @property
    def new_to_user(self) -> npt.NDArray[np.bool_]:
        """bool [n], whether the user has not had the target before."""
        return np.array([item not in self.of_all[user].item_ids for user, item in zip(self.users, self.items, strict=True)], bool)

    def ranked(self, mask_seen: bool) -> "HeldOutTargets":
        """Those that are ranked. Where items of the history are no candidates, only targets that are new to their user: beside candidates
        that are all new, one that is not would be told by that alone, and no list could show it."""
        found = self.where(self.new_to_user) if mask_seen else self
        log.info("%d of %d targets of known users and items are ranked among %d items", len(found.users), len(self.users), len(self.place))
        return found

    def where(self, kept: npt.NDArray[np.bool_]) -> "HeldOutTargets":
        """Those of bool [n] ``kept``."""
        rows = np.flatnonzero(kept).tolist()
        return replace(self, users=[self.users[row] for row in rows], items=[self.items[row] for row in rows])

    @property
    def histories(self) -> list[History]:
        return [self.of_all[user] for user in self.users]

    def for_baselines(self, mask_seen: bool) -> HeldOut:
        return _held_out(self.catalogue, self.place, self.of_all, dict(zip(self.users, self.items, strict=True)), mask_seen=mask_seen)


def rankable_targets(data: Path, targets: Mapping[str, str], queries: Mapping[str, str] | None = None) -> HeldOutTargets:
    """Of ``targets`` (item by user) those whose item the catalogue of ``data`` holds, and whose user has an event there."""
    catalogue, histories = read_catalogue(data), read_histories(data)
    place = {item: row for row, item in enumerate(catalogue.item_ids)}
    users = [user for user, item in sorted(targets.items()) if item in place and user in histories]
    items = [targets[user] for user in users]
    return HeldOutTargets(catalogue=catalogue, place=place, of_all=histories, users=users, items=items, queries=queries or {})


def _other_policy(judged: Judgement) -> dict[str, Any]:
    """HR@K of all methods under the other policy, of the targets that it ranks."""
    known, found, mask_seen = judged.known, judged.found, not judged.found.mask_seen
    asked, new = known.ranked(mask_seen), known.new_to_user
    if mask_seen:
        vectors = found.interest_vectors[new]
    else:
        vectors = np.empty((len(new), found.item_vectors.shape[1]), np.float32)
        vectors[new] = found.interest_vectors
        vectors[~new] = encode_users(judged.encoder, found.item_vectors, known.place, known.where(~new).histories)
    encoder = target_ranks(vectors, found.item_vectors, asked.place, asked.histories, asked.items, mask_seen)
    ranks = {ENCODER: encoder, **baseline_ranks(asked.for_baselines(mask_seen))}
    return {"n": len(asked.users), "seen_items": policy(mask_seen), **rates(ranks, len(asked.place))}


def _by_slice(held_out: HeldOutTargets, ranks: Mapping[str, Ranks], mask_seen: bool) -> dict[str, dict[str, Any]]:
    slices = slices_of(
        held_out.for_baselines(mask_seen), held_out.histories, has_visual=held_out.catalogue.has_visual, with_query=held_out.with_query
    )

    def figures(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
        of_slice, n, corpus = {method: of[mask] for method, of in ranks.items()}, int(mask.sum()), len(held_out.place)
        judged = {"interval": rate_interval(of_slice[ENCODER], JUDGED_AT)} if n >= JUDGED_USERS and corpus > JUDGED_AT else {}
        return {"n": n, **rates(of_slice, corpus), **judged}

    return {name: figures(mask) for name, mask in slices.items()}


def _query_figures(held_out: HeldOutTargets, encoder: ServingEncoder, found: Evaluation, ranks: Mapping[str, Ranks]) -> dict[str, Any]:
    """Of the targets that a query was typed for: all methods without it, and the encoder that reads it last."""
    rows = np.flatnonzero(held_out.with_query).tolist()
    if not rows:
        return {"n": 0}
    whole = held_out.histories
    histories = [whole[row].asking(held_out.queries[held_out.users[row]]) for row in rows]
    vectors = encode_users(encoder, found.item_vectors, held_out.place, histories)
    targets = [held_out.items[row] for row in rows]
    asked = target_ranks(vectors, found.item_vectors, held_out.place, histories, targets, found.mask_seen)
    without = {method: of[rows] for method, of in ranks.items()}
    corpus = len(held_out.place)
    return {
        "n": len(rows), **rates({**without, ENCODER_AND_QUERY: asked}, corpus),
        "differences": {ENCODER: differences_of_rates(asked, without[ENCODER], corpus)},
    }  # fmt: skip


def _differences(ranks: Mapping[str, Ranks], corpus: int) -> dict[str, dict[str, dict[str, float]]]:
    """By baseline and HR@K: encoder minus baseline over the same users; baselines without a K are left out."""
    found = {name: differences_of_rates(ranks[ENCODER], of, corpus) for name, of in ranks.items() if name != ENCODER}
    return {name: by_cut for name, by_cut in found.items() if by_cut}


def rate_interval(ranks: Ranks, k: int) -> dict[str, float]:
    """HR@k of int64 [n] ranks, two or more, with its 95 % interval from resampled users, as figures."""
    return _as_figures(hit_difference(ranks <= k, np.zeros(len(ranks), bool), seed=BOOTSTRAP_SEED))


def differences_of_rates(ranks: Ranks, others: Ranks, corpus: int) -> dict[str, dict[str, float]]:
    """By HR@K that of ``ranks`` minus that of ``others``, int64 [n] each, of the same users; none for fewer than two, or K >= corpus."""
    judged = [k for k in CUTOFFS if k < corpus and len(ranks) > 1]
    return {f"HR@{k}": _as_figures(difference_of_hits(ranks, others, k)) for k in judged}


def difference_of_hits(ranks: Ranks, others: Ranks, k: int) -> PairedDifference:
    """HR@k of ``ranks`` minus that of ``others``, int64 [n] each, of the same two or more users."""
    return hit_difference(ranks <= k, others <= k, seed=BOOTSTRAP_SEED)


def interval(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> dict[str, float]:
    """Mean of a - b over users with its 95 % interval, as figures."""
    return _as_figures(paired_difference(a, b, seed=BOOTSTRAP_SEED))


def _as_figures(difference: PairedDifference) -> dict[str, float]:
    return {"mean": difference.mean, "low": difference.low, "high": difference.high}


def read_catalogue(data: Path) -> Catalogue:
    """The corpus of a training data folder."""
    table = read_columns(data / "catalogue.parquet", ["item_id", "title", "category", "features"])
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
    table = read_columns(data / "histories", columns).sort_by("user_id")
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
