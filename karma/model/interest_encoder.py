"""From a history to one interest vector: a language model over continuous tokens, beside a pooling path.

Shapes: b histories, t events, p positions read out, d dimensions, w width of the language model.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from karma.config import EncoderConfig
from karma.model.backbone import Backbone
from karma.model.blocks import apart, beside
from karma.model.item_tower import INITIAL_SPREAD
from karma.model.own_items import OwnItems, times_taken
from karma.model.pooling import RecencyPool, lags
from karma.token_kinds import ITEM, KINDS


@dataclass(frozen=True, kw_only=True)
class HistoryBatch:
    """Histories, oldest event first, padding after the events. There is no time in them, only order.

    Attributes:
        items: float [b, t, d], the item's vector; zeros where ``kinds`` is not ITEM.
        kinds: int64 [b, t], one of PADDING, ITEM, UNKNOWN_ITEM, QUERY_ONLY.
        event_types: int64 [b, t].
        query_tokens: float [b, t, width of texts], the event's query as the tower reads texts; zeros where it has none. Of width 0
            without a language model, which alone reads them.
        query_vectors: float [b, t, d], the same query in the items' space, or in the pool's block of it.
        has_query: bool [b, t].
        anchors: float [a, d], unit vectors of known items; None: those that the encoder keeps.
    """

    items: Tensor
    kinds: Tensor
    event_types: Tensor
    query_tokens: Tensor
    query_vectors: Tensor
    has_query: Tensor
    anchors: Tensor | None = None


class InterestEncoder(nn.Module):
    """``u = normalise(base + pool + W h)``: h is the language model's state, pool the recency path; either may be off.

    Where the language model has a block of its own (``karma.model.blocks``), u is ``normalise(base + pool)`` beside
    ``normalise(base' + W h)``, each over its own block of the item vectors. Where items are taken again, ``own`` adds a term and a
    step to the pool's (``karma.model.own_items``).
    Added to a pool W starts at zero: a residual of ordinary random size would destroy the pool's start.
    Source: KARMA (arXiv 2603.22779), interest state after the last event; the pooling path is this project's deviation.
    """

    def __init__(self, config: EncoderConfig, width: int, text_width: int, anchors: int = 0) -> None:
        super().__init__()
        self.reading_dim, dim = config.reading_dim, config.pooled.dim
        self.base = nn.Parameter(torch.randn(dim) * INITIAL_SPREAD / 10)  # never zero: an empty pool must have a direction
        self.pool = RecencyPool(dim, config.history_length, config.kernel_exponents) if config.use_pool else None
        self.own = OwnItems(dim, config.history_length, anchors) if config.use_own_items else None
        self.residual: nn.Linear | None = None
        if config.use_lm:
            read = self.reading_dim or dim
            self.item_input = nn.Linear(read, width, bias=False)
            self.query_input = nn.Linear(text_width, width, bias=False)
            self.kinds = nn.Embedding(KINDS, width)
            self.event_types = nn.Embedding(len(config.event_types) + 1, width)
            self.residual = nn.Linear(width, read, bias=False)
            for table in (self.kinds, self.event_types):
                nn.init.normal_(table.weight, std=INITIAL_SPREAD)
            if self.adds_to_pool:
                nn.init.zeros_(self.residual.weight)
            if self.reading_dim:
                self.reading_base = nn.Parameter(torch.randn(read) * INITIAL_SPREAD / 10)

    @property
    def adds_to_pool(self) -> bool:
        """Whether the language model's state is a residual of the pool's vector."""
        return self.residual is not None and self.pool is not None and not self.reading_dim

    def tokens(self, batch: HistoryBatch) -> Tensor:
        """The tokens that the language model reads, one an event: [b, t, w]."""
        return (
            self.item_input(apart(batch.items, self.reading_dim)[1])
            + self.query_input(batch.query_tokens)
            + self.kinds(batch.kinds)
            + self.event_types(batch.event_types)
        )

    def combine(self, batch: HistoryBatch, states: Tensor | None, positions: Tensor) -> Tensor:
        """Interest vectors at ``positions`` [b, p] from the language model's states [b, >= t, w]: float32 [b, p, d], unit rows.

        Raises:
            ValueError: there are states and no language model, or none where there is one.
        """
        if (states is None) != (self.residual is None):
            raise ValueError("states are read where there is a language model, and nowhere else")
        if states is None or self.residual is None:
            return self._pooled(batch, positions, None)
        read = self.residual(states.gather(1, positions[:, :, None].expand(-1, -1, states.shape[-1])))
        if not self.reading_dim:
            return self._pooled(batch, positions, read)
        return beside(self._pooled(batch, positions, None), F.normalize((self.reading_base + read).float(), dim=-1))

    def _pooled(self, batch: HistoryBatch, positions: Tensor, residual: Tensor | None) -> Tensor:
        """``normalise(base + pool + residual)`` over the pool's block of the items, after the step towards the own ones."""
        items, has_item = apart(batch.items, self.reading_dim)[0], batch.kinds == ITEM
        total = self.base.expand(*positions.shape, -1)
        if self.pool is not None:
            total = total + self.pool(items, has_item, batch.query_vectors, batch.has_query, positions)
        own = self._own_weights(items, has_item, positions)
        if self.own is not None and own is not None:
            total = total + self.own.term(items, own)
        if residual is not None:
            total = total + residual
        interests = F.normalize(total.float(), dim=-1)
        if self.own is None or own is None:
            return interests
        anchors = self.own.anchors if batch.anchors is None else apart(batch.anchors, self.reading_dim)[0]
        return self.own.nearer(interests, items, own, anchors)

    def keep(self, items: Tensor) -> None:
        """Leave item vectors [n, d] with the own-items path, which needs them when it is served (``OwnItems.keep``)."""
        if self.own is not None:
            self.own.keep(apart(items, self.reading_dim)[0])

    def _own_weights(self, items: Tensor, has_item: Tensor, positions: Tensor) -> Tensor | None:
        if self.own is None:
            return None
        return self.own.weights(times_taken(items, has_item, positions), lags(has_item.long().cumsum(1), positions), items)

    def forward(self, batch: HistoryBatch, backbone: Backbone, positions: Tensor) -> Tensor:
        """Interest vectors at ``positions`` int64 [b, p] (each below its history's length): float32 [b, p, d], unit rows."""
        states = backbone(self.tokens(batch)) if self.residual is not None else None
        return self.combine(batch, states, positions)
