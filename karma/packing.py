"""Histories as rectangles: flat arrays of many users' events become the padded token batches that the encoder reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM

Longs = npt.NDArray[np.int64]

UNKNOWN_PLACE = -1
"""In ``FlatHistories.places``: the event has an item that the catalogue does not know."""
NO_ITEM_PLACE = -2
"""In ``FlatHistories.places``: the event has no item, only a query."""


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """The arguments of ``ServingEncoder.encode_histories`` for B histories of at most T events, padded after the events.

    Attributes:
        vectors: float32 [B, T, dim]; zeros where there is no known item.
        kinds: int64 [B, T], a token kind of ``karma.token_kinds``.
        event_types: int64 [B, T]; zero in the padding.
        queries: B lists of T texts or None.
    """

    vectors: npt.NDArray[np.float32]
    kinds: Longs
    event_types: Longs
    queries: list[list[str | None]]


@dataclass(frozen=True, kw_only=True)
class FlatHistories:
    """n histories of E events in all, one after the other, each oldest first.

    Attributes:
        places: int64 [E]: row of the event's item among the item vectors, or UNKNOWN_PLACE, or NO_ITEM_PLACE.
        event_types: int64 [E], numbers of the event types.
        queries: [E] texts or None.
        offsets: int64 [n + 1]: history i is the events offsets[i] (inclusive) to offsets[i + 1] (exclusive).
    """

    places: Longs
    event_types: Longs
    queries: Sequence[str | None]
    offsets: Longs

    @property
    def lengths(self) -> Longs:
        """int64 [n], events a history."""
        return np.diff(self.offsets)

    def batch(self, rows: Longs, vectors: npt.NDArray[np.float32]) -> TokenBatch:
        """The histories ``rows`` as one rectangle, with item vectors from ``vectors`` [items, dim]."""
        lengths = self.lengths[rows]
        steps = np.arange(lengths.max(initial=0))
        real = steps < lengths[:, None]
        events = np.where(real, self.offsets[rows][:, None] + steps, 0)
        places = np.where(real, self.places[events], NO_ITEM_PLACE) if real.any() else np.full(real.shape, NO_ITEM_PLACE)
        return TokenBatch(
            vectors=_gather(vectors, places),
            kinds=_kinds(places, real),
            event_types=np.where(real, self.event_types[events], 0) if real.any() else np.zeros(real.shape, np.int64),
            queries=[self._padded_queries(row, len(steps)) for row in rows],
        )

    def _padded_queries(self, row: int, width: int) -> list[str | None]:
        texts = list(self.queries[self.offsets[row] : self.offsets[row + 1]])
        return texts + [None] * (width - len(texts))


def _kinds(places: Longs, real: npt.NDArray[np.bool_]) -> Longs:
    kinds = np.select([places >= 0, places == UNKNOWN_PLACE], [ITEM, UNKNOWN_ITEM], QUERY_ONLY)
    return np.where(real, kinds, PADDING).astype(np.int64)


def _gather(vectors: npt.NDArray[np.float32], places: Longs) -> npt.NDArray[np.float32]:
    gathered = np.zeros((*places.shape, vectors.shape[1]), np.float32)
    known = places >= 0
    gathered[known] = vectors[places[known]]
    return gathered
