"""Ranks of held-out targets under an encoder, over the full corpus, with the shape of its two clouds of vectors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.evaluation.ranks import CUTOFFS, hit_rate, rank_of_target
from karma.evaluation.spectrum import Spectrum, spectrum
from karma.packing import NO_ITEM_PLACE, UNKNOWN_PLACE, FlatHistories
from karma.serving import ServingEncoder
from karma.text import render_item
from schemas import names

Vectors = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

_ITEMS_AT_ONCE = 512
_USERS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The corpus, row by row.

    Attributes:
        item_ids: n ids, each once.
        titles: n titles; None where one is missing.
        categories: n categories; None where one is missing.
        visual: float32 [n, features]; zeros where ``has_visual`` is False.
        has_visual: bool [n].
    """

    item_ids: Sequence[str]
    titles: Sequence[str | None]
    categories: Sequence[str | None]
    visual: Vectors
    has_visual: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class History:
    """One user's events, oldest first: parallel lists of item (None: a query alone), event type and query (None: not typed)."""

    item_ids: Sequence[str | None]
    event_types: Sequence[str]
    queries: Sequence[str | None]

    def first(self, events: int) -> "History":
        """The oldest ``events`` events of this history."""
        return self._part(slice(0, events))

    def newest(self, events: int) -> "History":
        """The newest ``events`` (at least one) events of this history."""
        return self._part(slice(-events, None))

    def _part(self, events: slice) -> "History":
        return History(item_ids=self.item_ids[events], event_types=self.event_types[events], queries=self.queries[events])

    def asking(self, query: str) -> "History":
        """This history with a query typed last, before its answer is known."""
        return History(item_ids=[*self.item_ids, None], event_types=[*self.event_types, names.QUERY], queries=[*self.queries, query])


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What ``evaluate_targets`` found.

    Attributes:
        ranks: int64 [users], from 1, pessimistic ties.
        hit_rates: HR@K by K; None where K is not below the corpus size.
        corpus_size: items that were ranked.
        users: spectrum of the interest vectors; None for fewer than two.
        items: spectrum of the item vectors; None for fewer than two.
        mask_seen: the policy: True where items of a user's history were no candidates.
        interest_vectors: float32 [users, dim];  item_vectors: float32 [items, dim].
    """

    ranks: Longs
    hit_rates: Mapping[int, float | None]
    corpus_size: int
    users: Spectrum | None
    items: Spectrum | None
    mask_seen: bool
    interest_vectors: Vectors
    item_vectors: Vectors


def evaluate_targets(
    encoder: ServingEncoder, catalogue: Catalogue, histories: Sequence[History], targets: Sequence[str], mask_seen: bool
) -> Evaluation:
    """Rank each history's target among the whole catalogue by the cosine of interest and item vector, in fp32.

    Args:
        histories: one a target. The encoder reads the newest ``encoder.manifest.history_length`` events of each.
        targets: item ids, all in the catalogue.
        mask_seen: True masks every item of the whole history, the part that the encoder does not read included.

    Raises:
        ValueError: histories and targets differ in number, or a target is not in the catalogue.
    """
    if len(histories) != len(targets):
        raise ValueError(f"{len(histories)} histories for {len(targets)} targets")
    place = {item_id: row for row, item_id in enumerate(catalogue.item_ids)}
    _columns_of(targets, place)  # before the encoder's work
    items = encode_catalogue(encoder, catalogue)
    users = encode_users(encoder, items, place, histories)
    ranks = target_ranks(users, items, place, histories, targets, mask_seen)
    return Evaluation(
        ranks=ranks,
        hit_rates={k: hit_rate(ranks, k, len(items)) for k in CUTOFFS},
        corpus_size=len(items),
        users=_spectrum_or_none(users),
        items=_spectrum_or_none(items),
        mask_seen=mask_seen,
        interest_vectors=users,
        item_vectors=items,
    )


def target_ranks(
    users: Vectors, items: Vectors, place: Mapping[str, int], histories: Sequence[History], targets: Sequence[str], mask_seen: bool
) -> Longs:
    """int64 [n]: the rank of each target among all items, from 1, ties against the model.

    Args:
        users: float32 [n, dim];  items: float32 [items, dim], row ``place[item_id]``.
        mask_seen: True masks every item of the whole history.
    """
    columns = _columns_of(targets, place)
    ranks = np.empty(len(users), np.int64)
    for block in _blocks(len(users), _USERS_AT_ONCE):
        masked = seen_items(histories[block], place) if mask_seen else None
        ranks[block] = rank_of_target(users[block] @ items.T, columns[block], masked)
    return ranks


def encode_catalogue(encoder: ServingEncoder, catalogue: Catalogue) -> Vectors:
    """The item vector of every row of the catalogue, float32 [n, dim]."""
    texts = [render_item(title, category) for title, category in zip(catalogue.titles, catalogue.categories, strict=True)]
    lengths = np.array([len(text) for text in texts], np.int64)

    def encode(rows: Longs) -> Vectors:
        return encoder.encode_items(
            [catalogue.item_ids[row] for row in rows], [texts[row] for row in rows], catalogue.visual[rows], catalogue.has_visual[rows]
        )

    return _encode_by_length(lengths, _ITEMS_AT_ONCE, encoder.dim, encode)


def encode_users(encoder: ServingEncoder, items: Vectors, place: Mapping[str, int], histories: Sequence[History]) -> Vectors:
    """The interest vector of every history, float32 [n, dim].

    Args:
        items: float32 [items, dim] from ``encode_catalogue``.
        place: row in ``items`` by item id; an item without one is unknown.
    """
    flat = flat_histories(encoder, place, histories)

    def encode(rows: Longs) -> Vectors:
        batch = flat.batch(rows, items)
        return encoder.encode_histories(batch.vectors, batch.kinds, batch.event_types, batch.queries)

    return _encode_by_length(flat.lengths, _USERS_AT_ONCE, encoder.dim, encode)


def flat_histories(encoder: ServingEncoder, place: Mapping[str, int], histories: Sequence[History]) -> FlatHistories:
    """The newest events of each history that ``encoder`` reads, as ``encode_users`` takes them."""
    newest = slice(-encoder.manifest.history_length, None)
    items = [item for history in histories for item in history.item_ids[newest]]
    places = [NO_ITEM_PLACE if item is None else place.get(item, UNKNOWN_PLACE) for item in items]
    types = encoder.event_type_ids([name for history in histories for name in history.event_types[newest]])
    return FlatHistories(
        places=np.array(places, np.int64),
        event_types=np.array(types, np.int64),
        queries=[query for history in histories for query in history.queries[newest]],
        offsets=np.cumsum([0] + [len(history.item_ids[newest]) for history in histories], dtype=np.int64),
    )


def _encode_by_length(lengths: Longs, at_once: int, dim: int, encode: Callable[[Longs], Vectors]) -> Vectors:
    """Encode rows of like length together, since padding costs as much as text; the result is in the order of ``lengths``."""
    order = np.argsort(lengths, kind="stable")
    encoded = np.empty((len(lengths), dim), np.float32)
    for block in _blocks(len(order), at_once):
        encoded[order[block]] = encode(order[block])
    return encoded


def _columns_of(targets: Sequence[str], place: Mapping[str, int]) -> Longs:
    unknown = sorted({target for target in targets if target not in place})
    if unknown:
        raise ValueError(f"{len(unknown)} targets are not in the catalogue: {', '.join(unknown[:5])}")
    return np.array([place[target] for target in targets], np.int64)


def seen_items(histories: Sequence[History], place: Mapping[str, int]) -> npt.NDArray[np.bool_]:
    """True where a history holds the catalogue's item: bool [histories, items]."""
    seen = np.zeros((len(histories), len(place)), bool)
    for row, history in enumerate(histories):
        seen[row, [place[item] for item in history.item_ids if item is not None and item in place]] = True
    return seen


def _blocks(rows: int, at_once: int) -> Iterator[slice]:
    return (slice(start, start + at_once) for start in range(0, rows, at_once))


def _spectrum_or_none(vectors: Vectors) -> Spectrum | None:
    return spectrum(vectors) if len(vectors) > 1 else None
