"""The encoder as jobs use it: item vectors from content, interest vectors from histories; no decoder, no lm_head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

if TYPE_CHECKING:
    from karma.artefact import Manifest

PADDING, ITEM, UNKNOWN_ITEM, QUERY_ONLY = 0, 1, 2, 3


class ServingEncoder(nn.Module):
    """Item tower and interest encoder of one artefact."""

    manifest: Manifest

    @property
    def dim(self) -> int:
        return self.manifest.dim

    def event_type_ids(self, event_types: Sequence[str]) -> list[int]:
        """The numbers of event types, as ``encode_histories`` takes them."""
        raise NotImplementedError

    def encode_items(
        self, item_ids: Sequence[str], texts: Sequence[str], visual: np.ndarray, has_visual: np.ndarray
    ) -> np.ndarray:
        """One unit vector an item.

        Args:
            item_ids: n ids; an id without a collaborative row gets a vector from its content alone.
            texts: n texts from ``karma.text.render_item``.
            visual: float32 [n, features]; zeros where ``has_visual`` is False.
            has_visual: bool [n].

        Returns: float32 [n, dim], rows of norm 1.
        """
        raise NotImplementedError

    def encode_histories(
        self,
        vectors: np.ndarray,
        kinds: np.ndarray,
        event_types: np.ndarray,
        queries: Sequence[Sequence[str | None]],
    ) -> np.ndarray:
        """One unit vector a history, oldest event first, padding AFTER the events.

        Args:
            vectors: float32 [B, T, dim]: item vectors of this space; zeros where the item is unknown or there is none.
            kinds: int64 [B, T]: 0 padding, 1 item, 2 unknown item, 3 query only.
            event_types: int64 [B, T]: place in ``manifest.event_types``, its length for any other type; any value in padding.
            queries: B lists of at most T texts or None, one an event.

        Returns: float32 [B, dim], rows of norm 1.
        """
        raise NotImplementedError
