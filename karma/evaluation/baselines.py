"""What an encoder has to beat: popularity, item-item co-occurrence, title similarity, and a fixed mix of the last two.

Users and items are row numbers. Every method scores the whole corpus for a block of users at a time; ranks are pessimistic.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from karma.evaluation.ranks import rank_of_target
from karma.text import words as words_of

Items = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

CO_EVENTS = 20
TEXT_EVENTS = 10
OWN_EVENTS = 50
_USERS_AT_ONCE = 256
_TINY = 1e-9
_GRAM_SIZES = (3, 4)
_GRAM_WEIGHT = 0.5


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Training histories and one held-out target for some of their users.

    Attributes:
        histories: one int64 array of item numbers a user, oldest first; nothing held out is in it.
        titles: one title an item; their number is the size of the corpus.
        users: int64 [n], the user of each target: a place in ``histories``.
        targets: int64 [n], the item of each target.
        mask_seen: True where items of the history are no candidates; False where an item may be taken again.
    """

    histories: Sequence[Items]
    titles: Sequence[str]
    users: Items
    targets: Items
    mask_seen: bool

    @property
    def corpus_size(self) -> int:
        return len(self.titles)

    @cached_property
    def counts(self) -> sp.csr_matrix:
        """[users, items]: how often each user took each item."""
        return _rows([(items, np.ones(len(items))) for items in self.histories], self.corpus_size)

    @cached_property
    def popularity(self) -> Scores:
        """[items]: events of each item."""
        return np.asarray(self.counts.sum(axis=0)).ravel()


def baseline_ranks(data: HeldOut) -> dict[str, Items]:
    """The rank of every target under every baseline, int64 [n] each, by the baseline's name.

    "own past items" is there only where items may be taken again.
    """
    ranks: dict[str, list[Items]] = {}
    methods = _methods(data)
    for start in range(0, len(data.users), _USERS_AT_ONCE):
        block = slice(start, start + _USERS_AT_ONCE)
        users, targets = data.users[block], data.targets[block]
        masked = data.counts[users].toarray() > 0 if data.mask_seen else None
        for name, scores in methods(users):
            ranks.setdefault(name, []).append(rank_of_target(scores, targets, masked))
    return {name: np.concatenate(blocks) for name, blocks in ranks.items()}


def cooccurrence(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Cosine of two items over the users who took both, a user of many items counting less; zero of an item with itself.

    [items, items] from [users, items]: D^-1/2 M' diag(1 / log2(2 + n_u)) M D^-1/2 with M = (counts > 0), D its diagonal.
    """
    taken = (counts > 0).astype(np.float64)
    weights = 1 / np.log2(2 + np.asarray(taken.sum(axis=1)).ravel())
    together = (taken.T @ sp.diags(weights) @ taken).tocsr()
    scale = sp.diags(1 / np.sqrt(np.maximum(together.diagonal(), _TINY)))
    cosine = (scale @ together @ scale).tocsr()
    cosine.setdiag(0)
    return cosine


def title_vectors(titles: Sequence[str]) -> sp.csr_matrix:
    """TF-IDF unit rows [items, terms]: words, and at half weight the 3- and 4-grams of ``<word>`` that two titles share.

    weight = (1 + ln count) * ln(titles / titles with the term + 1).
    """
    documents = [_terms(title) for title in titles]
    spread = Counter(term for terms in documents for term in terms)
    kept = sorted(term for term, n in spread.items() if n > 1 or not _is_gram(term))
    number = {term: place for place, term in enumerate(kept)}
    rarity = np.array([np.log(len(titles) / spread[term] + 1) * (_GRAM_WEIGHT if _is_gram(term) else 1) for term in kept])
    pairs = [[(number[term], n) for term, n in terms.items() if term in number] for terms in documents]
    places = [np.array([place for place, _ in row], np.int64) for row in pairs]
    values = [(1 + np.log(np.array([n for _, n in row]))) * rarity[place] for row, place in zip(pairs, places, strict=True)]
    vectors = _rows(list(zip(places, values, strict=True)), len(kept))
    norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(norms, _TINY)) @ vectors).tocsr()


def _terms(title: str) -> Counter[tuple[str, int]]:
    """Occurrences of (word, 0) and of (gram, its length)."""
    words = words_of(title)
    bounded = [f"<{word}>" for word in words]
    grams = [(word[i : i + n], n) for word in bounded for n in _GRAM_SIZES for i in range(len(word) - n + 1)]
    return Counter([(word, 0) for word in words] + grams)


def _is_gram(term: tuple[str, int]) -> bool:
    return term[1] > 0


def _methods(data: HeldOut) -> Callable[[Items], Iterator[tuple[str, Scores]]]:
    """A function from a block of users to the scores [block, items] of every baseline."""
    nearness, texts = cooccurrence(data.counts), title_vectors(data.titles)
    popularity = data.popularity
    tie_break = popularity / (popularity.max() + 1)

    def scores(users: Items) -> Iterator[tuple[str, Scores]]:
        co = (_recent(data, users, CO_EVENTS) @ nearness).toarray()
        if not data.mask_seen:
            counts = data.counts[users].toarray()
            co = _to_one(co) + _to_one(counts + 0.5 * (counts > 0))
            yield "own past items", _own_items(data, users) + 1e-3 * tie_break
        text = (_recent(data, users, TEXT_EVENTS) @ texts @ texts.T).toarray()
        yield "popularity", np.broadcast_to(popularity, co.shape)
        yield "co", co + 1e-6 * tie_break
        yield "text", text
        yield "co+text", _to_one(co) + 0.5 * _to_one(text) + 1e-3 * popularity / max(popularity.max(), 1)

    return scores


def _own_items(data: HeldOut, users: Items) -> Scores:
    """How often a user took an item, a little more where it is among the newest."""
    newest = _rows(
        [(data.histories[user][-OWN_EVENTS:], np.ones(len(data.histories[user][-OWN_EVENTS:]))) for user in users], data.corpus_size
    )
    scores: Scores = data.counts[users].toarray() + 0.3 * (newest.toarray() > 0)
    return scores


def _recent(data: HeldOut, users: Items, events: int) -> sp.csr_matrix:
    """[block, items]: the newest ``events`` of each user, weighing 1, 1/2, 1/3, ... from the newest back."""
    newest = [data.histories[user][-events:][::-1] for user in users]
    return _rows([(items, 1 / np.arange(1, len(items) + 1)) for items in newest], data.corpus_size)


def _rows(rows: Sequence[tuple[Items, npt.NDArray[np.float64]]], columns: int) -> sp.csr_matrix:
    """A sparse matrix from one (columns, values) pair a row; values of the same cell are added."""
    lengths = [len(places) for places, _ in rows]
    places = np.concatenate([places for places, _ in rows]) if rows else np.zeros(0, np.int64)
    values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0)
    return sp.csr_matrix((values, (np.repeat(np.arange(len(rows)), lengths), places)), (len(rows), columns))


def _to_one(scores: Scores) -> Scores:
    """Each row divided by its maximum."""
    scaled: Scores = scores / (scores.max(axis=1, keepdims=True) + _TINY)
    return scaled
