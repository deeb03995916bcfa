"""The encoder as jobs use it: item vectors from content, interest vectors from histories; no decoder, no lm_head."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from karma.manifest import Manifest
from karma.model.encoder import KarmaEncoder
from karma.model.interest_encoder import HistoryBatch
from karma.text import render_query
from karma.token_kinds import ITEM, PADDING
from karma.tokenizer import TokenBag, bag_of, begin_and_end, token_ids

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
ITEMS_AT_ONCE = 4096


class ServingEncoder:
    """Item tower and interest encoder of one artefact, in evaluation mode.

    Attributes:
        manifest: of the artefact.
        model: the torch module.
    """

    def __init__(
        self,
        manifest: Manifest,
        model: KarmaEncoder,
        tokenizer: PreTrainedTokenizerBase,
        rows: Mapping[str, int],
        *,
        bf16: bool = False,
        device: str = "cpu",
    ) -> None:
        self.manifest = manifest
        self.model = model.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)
        self._tokenizer = tokenizer
        self._rows = rows
        self._autocast = torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=bf16)
        self._event_types = {name: number for number, name in enumerate(manifest.event_types)}

    @property
    def dim(self) -> int:
        return self.manifest.dim

    @property
    def history_length(self) -> int:
        """The newest events of a history that ``encode_histories`` reads."""
        return self.manifest.history_length

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Of item texts and queries."""
        return self._tokenizer

    def event_type_ids(self, event_types: Sequence[str]) -> list[int]:
        """The numbers of event types, as ``encode_histories`` takes them; a type that training did not name has one of its own."""
        return [self._event_types.get(name, len(self._event_types)) for name in event_types]

    def encode_items(self, item_ids: Sequence[str], texts: Sequence[str], visual: Floats, has_visual: npt.NDArray[np.bool_]) -> Floats:
        """One unit vector an item.

        Args:
            item_ids: n ids; an id without a collaborative row gets a vector from its content alone.
            texts: n texts from ``karma.text.render_item``.
            visual: float32 [n, features] of the manifest's vision encoder; zeros where ``has_visual`` is False.
            has_visual: bool [n].

        Returns: float32 [n, dim], rows of norm 1.

        Raises:
            ValueError: the arguments differ in length, or the features in width.
        """
        if not len(item_ids) == len(texts) == len(visual) == len(has_visual):
            raise ValueError(f"{len(item_ids)} ids, {len(texts)} texts, {len(visual)} features, {len(has_visual)} flags")
        width = len(self.model.tower.visual_mean)
        if width and np.any(has_visual) and visual.shape[1] != width:
            raise ValueError(f"this encoder reads {width} image features an item, got {visual.shape[1]}")
        blocks = [slice(first, first + ITEMS_AT_ONCE) for first in range(0, len(item_ids), ITEMS_AT_ONCE)]
        parts = [self._encode_items(item_ids[block], texts[block], visual[block], has_visual[block]) for block in blocks]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _encode_items(self, item_ids: Sequence[str], texts: Sequence[str], visual: Floats, has_visual: npt.NDArray[np.bool_]) -> Floats:
        tower = self.model.tower
        width = len(tower.visual_mean)
        features = visual if visual.shape[1] == width else np.zeros((len(texts), width), np.float32)
        rows = torch.tensor([self._rows.get(item_id, -1) for item_id in item_ids], device=self._device)
        with torch.inference_mode(), self._autocast:
            components = tower.reduce(self._tensor(features, np.float32))
            vectors = self.model.items(self._bag(texts), components, self._tensor(has_visual, bool), rows)
        return _unit_rows(vectors)

    def encode_histories(self, vectors: Floats, kinds: Ints, event_types: Ints, queries: Sequence[Sequence[str | None]]) -> Floats:
        """One unit vector a history, oldest event first, padding AFTER the events.

        Args:
            vectors: float32 [B, T, dim]: item vectors of this space; read where ``kinds`` is 1 only.
            kinds: int64 [B, T]: 0 padding, 1 item, 2 unknown item, 3 query only.
            event_types: int64 [B, T] from ``event_type_ids``; any valid number in padding.
            queries: B lists of at most T texts or None, one an event.

        Returns: float32 [B, dim], rows of norm 1. A row does not depend on the others, nor on T.

        Raises:
            ValueError: a history is empty or longer than the manifest's ``history_length``, or padding stands before an event.
        """
        if not len(kinds):
            return np.zeros((0, self.dim), np.float32)
        lengths = self._lengths(kinds)
        with torch.inference_mode(), self._autocast:
            batch = self._histories(vectors, kinds, event_types, queries)
            interests = self.model.interest(batch, self.model.backbone, self._tensor(lengths - 1, np.int64)[:, None])
        return _unit_rows(interests[:, 0])

    def history_tokens(self, vectors: Floats, kinds: Ints, event_types: Ints, queries: Sequence[Sequence[str | None]]) -> Tensor:
        """What the language model reads of histories: float [B, T, w], one token an event. Arguments as for ``encode_histories``.

        Raises:
            ValueError: this encoder has no language model.
        """
        if self.model.interest.residual is None:
            raise ValueError("this encoder reads histories without its language model")
        with torch.inference_mode():
            return self.model.interest.tokens(self._histories(vectors, kinds, event_types, queries))

    def template_token(self) -> Tensor:
        """The embedding of the tokenizer's begin token, float [w]."""
        begin, _ = begin_and_end(self._tokenizer)
        return self.model.backbone.embeddings.weight[begin]

    def _histories(self, vectors: Floats, kinds: Ints, event_types: Ints, queries: Sequence[Sequence[str | None]]) -> HistoryBatch:
        query_index, distinct = _number_queries(queries, kinds.shape)
        known = self._tensor(kinds == ITEM, bool)[..., None]
        return self.model.histories(
            self._tensor(vectors, np.float32) * known,
            self._tensor(kinds, np.int64),
            self._tensor(event_types, np.int64),
            self._bag(distinct),
            self._tensor(query_index, np.int64),
        )

    def _lengths(self, kinds: Ints) -> Ints:
        lengths: Ints = (kinds != PADDING).sum(axis=1).astype(np.int64)
        if lengths.min() < 1:
            raise ValueError(f"history {int(lengths.argmin())} of the batch has no event")
        if lengths.max() > self.manifest.history_length:
            raise ValueError(f"a history has {lengths.max()} events; this encoder reads the newest {self.manifest.history_length}")
        if not np.array_equal(kinds != PADDING, np.arange(kinds.shape[1]) < lengths[:, None]):
            raise ValueError("padding must stand after a history's events")
        return lengths

    def _tensor(self, values: npt.ArrayLike, dtype: npt.DTypeLike) -> Tensor:
        """A copy: Arrow's arrays are read-only."""
        return torch.from_numpy(np.array(values, dtype)).to(self._device)

    def _bag(self, texts: Sequence[str]) -> TokenBag:
        special_tokens = self.model.text_encoder is not None
        bag = bag_of(token_ids(self._tokenizer, texts, self.model.config.max_tokens, special_tokens=special_tokens))
        return TokenBag(bag.ids.to(self._device), bag.offsets.to(self._device))


def _number_queries(queries: Sequence[Sequence[str | None]], shape: tuple[int, ...]) -> tuple[Ints, list[str]]:
    """Each event's place in the list of distinct rendered queries, -1 where it has none: int64 [B, T], and that list."""
    numbers: dict[str, int] = {}
    index = np.full(shape, -1, dtype=np.int64)
    for row, history in enumerate(queries):
        for step, query in enumerate(history):
            if text := render_query(query):
                index[row, step] = numbers.setdefault(text, len(numbers))
    return index, list(numbers)


def _unit_rows(vectors: Tensor) -> Floats:
    rows: Floats = vectors.float().cpu().numpy()
    return rows
