"""What a run of a comparison keeps beside its ranks, so that its page needs neither weights nor data.

Shapes: n histories, m items, d dimensions, s = 1 + HISTORY positions of the attention.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from karma.evaluation.decodability import STEPS, decodability
from karma.evaluation.evaluate import Catalogue, History, Vectors, encode_catalogue, encode_users
from karma.evaluation.knowledge import SEED, first_half
from karma.evaluation.sinks import sinks_of
from karma.evaluation.slices import columns_of
from karma.evaluation.spectrum import Moments
from karma.evaluation.title_tokens import TitleTokens
from karma.serving import ServingEncoder

Arrays = Mapping[str, npt.NDArray[Any]]
Longs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SINGULAR_VALUES = 256
EXAMPLES, EARLIER = 4_000, 10
SHOWN_USERS, LAST_TITLES = 8, 5
_UNTRAINED = "untrained.npz"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every arm is judged on.

    Attributes:
        catalogue: m items.
        histories: [n];  targets: int64 [n], places in the catalogue;  users: int64 [n], number of the user.
        cold, new, with_query: bool [n], see ``columns_of``.
    """

    catalogue: Catalogue
    histories: Sequence[History]
    targets: Longs
    users: Longs
    cold: Mask
    new: Mask
    with_query: Mask | None = None

    @cached_property
    def place(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.catalogue.item_ids)}


def kept_of(encoder: ServingEncoder, interests: Vectors, items: Vectors, asked: Asked) -> dict[str, npt.NDArray[Any]]:
    """Arrays for the page, by name.

    Those of ``columns_of``; ``singular``: the first SINGULAR_VALUES singular values of the interests, as shares of the sum of all;
    where there is a language model and a history is long enough ``attention``, float32 [s, s], the mean map, and ``sinks``, the score.
    """
    shares = Moments.of(interests).singular_shares()[:SINGULAR_VALUES].astype(np.float32)
    columns = columns_of(asked.histories, cold=asked.cold, new=asked.new, with_query=asked.with_query)
    return {**columns, "singular": shares, **_attention(encoder, items, asked)}


def keep_untrained(encoder: ServingEncoder, asked: Asked, work: Path) -> None:
    """Leave in ``work`` what the attention is before the first step, for ``untrained_of``."""
    if encoder.model.interest.residual is not None:
        np.savez(work / _UNTRAINED, allow_pickle=False, **_attention(encoder, encode_catalogue(encoder, asked.catalogue), asked))


def untrained_of(work: Path) -> dict[str, npt.NDArray[Any]]:
    """``attention_untrained`` and ``sinks_untrained``, where ``keep_untrained`` left them."""
    if not (work / _UNTRAINED).is_file():
        return {}
    with np.load(work / _UNTRAINED) as left:
        return {f"{name}_untrained": left[name] for name in left.files}


def _attention(encoder: ServingEncoder, items: Vectors, asked: Asked) -> dict[str, npt.NDArray[Any]]:
    found = sinks_of(encoder, items, asked.place, asked.histories)
    return {} if found is None else {"attention": found.mean_map.numpy(), "sinks": np.asarray(found.score, np.float32)}


def read_arrays(file: Path) -> Arrays | None:
    """All arrays of an npz file; None where there is none, or it is damaged."""
    try:
        with np.load(file) as left:
            return {name: left[name] for name in left.files}
    except (FileNotFoundError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):
        return None


def decoded(encoder: ServingEncoder, interests: Vectors, items: Vectors, ranks: Longs, asked: Asked) -> tuple[dict[str, Any], Arrays]:
    """What a probe decoder writes from interests of users that it was not trained on (``examples_of`` the others).

    Returns: figures, ``decodability`` (``Decodability.value``) and ``decoded``: a row a shown user, spread over the lengths of their
        histories, with the last titles of the ``history``, oldest first, what the user ``took``, its ``rank`` and what was ``written``;
        arrays, ``decodability``: float64 [n], the gain of each pair, NaN where it was not measured. Both are empty where there are too
        few users.
    """
    rows = np.flatnonzero(_titled(asked) & ~first_half(asked.users))
    histories, targets = examples_of(asked)
    if not histories or len(rows) < 2:
        return {}, {}
    titles = TitleTokens.of(asked.catalogue.titles)
    examples = titles.pairs(encode_users(encoder, items, asked.place, histories), targets)
    measured = titles.pairs(interests[rows], asked.targets[rows])
    found = decodability(examples, measured, vocabulary=titles.vocabulary, seed=SEED, steps=STEPS)
    gains = np.full(len(asked.targets), np.nan)
    gains[rows] = found.gains
    shown = _shown(rows, asked)
    written = found.probe.write(measured.vectors[np.searchsorted(rows, shown)], titles.end)
    lines = [_line(row, int(ranks[row]), titles.text(ids), asked) for row, ids in zip(shown, written, strict=True)]
    return {"decodability": found.value, "decoded": lines}, {"decodability": gains}


def examples_of(asked: Asked) -> tuple[list[History], Longs]:
    """What the probe is trained on: histories and the titled item that came next, EXAMPLES pairs at most, the same for every arm.

    Of a random half of the users: the targets, and the newest EARLIER item events of each history, each after what came before it.
    """
    found: dict[tuple[int, int], tuple[History, int]] = {}
    for row in np.flatnonzero(first_half(asked.users)).tolist():
        user, history = int(asked.users[row]), asked.histories[row]
        found[user, len(history.item_ids)] = history, int(asked.targets[row])
        places = [place for place, item in enumerate(history.item_ids) if place and item in asked.place]
        for cut in places[-EARLIER:]:
            found.setdefault((user, cut), (history.first(cut), asked.place[str(history.item_ids[cut])]))
    pairs = [pair for pair in found.values() if asked.catalogue.titles[pair[1]]]
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(pairs))[:EXAMPLES])
    return [pairs[row][0] for row in chosen], np.array([pairs[row][1] for row in chosen], np.int64)


def _titled(asked: Asked) -> Mask:
    return np.array([bool(asked.catalogue.titles[place]) for place in asked.targets])


def _shown(rows: Longs, asked: Asked) -> list[int]:
    """One pair of each of SHOWN_USERS users among ``rows``, spread over the lengths of the histories, shortest first."""
    _, first = np.unique(asked.users[rows], return_index=True)
    ordered = sorted(rows[first].tolist(), key=lambda row: (len(asked.histories[row].item_ids), row))
    places = np.unique(np.linspace(0, len(ordered) - 1, SHOWN_USERS).round().astype(int))
    return [ordered[place] for place in places]


def _line(row: int, rank: int, written: str, asked: Asked) -> dict[str, Any]:
    taken = [item for item in asked.histories[row].item_ids if item in asked.place]
    titles = [asked.catalogue.titles[asked.place[str(item)]] or "" for item in taken[-LAST_TITLES:]]
    return {"row": row, "history": titles, "took": asked.catalogue.titles[asked.targets[row]], "rank": rank, "written": written}
