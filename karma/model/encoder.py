"""The whole of what is served: backbone, item tower and interest encoder."""

from torch import Tensor, nn

from karma.config import EncoderConfig
from karma.model.backbone import Backbone
from karma.model.interest_encoder import HistoryBatch, InterestEncoder
from karma.model.item_tower import ItemTower
from karma.tokenizer import TokenBag


class KarmaEncoder(nn.Module):
    """Item vectors from content and interest vectors from histories, in one space.

    Attributes:
        features: frozen image features an item may have.
        rows: items with a collaborative row.
        anchors: vectors of known items that the user's own items are told from (``karma.model.own_items``).
    """

    def __init__(self, config: EncoderConfig, backbone: Backbone, *, features: int, rows: int, anchors: int = 0) -> None:
        super().__init__()
        self.config = config
        self.features = features
        self.rows = rows
        self.anchors = anchors
        self.backbone = backbone
        self.tower = ItemTower(config, text_width=backbone.width, features=features, rows=rows)
        self.interest = InterestEncoder(config, backbone.width, anchors)

    def items(self, texts: TokenBag, components: Tensor, has_visual: Tensor, rows: Tensor, keep: Tensor | None = None) -> Tensor:
        """Unit item vectors float32 [n, d]; see ``ItemTower.forward``."""
        return self.tower(self.backbone.pool(texts), components, has_visual, rows, keep)

    def histories(
        self, items: Tensor, kinds: Tensor, event_types: Tensor, queries: TokenBag, query_index: Tensor, anchors: Tensor | None = None
    ) -> HistoryBatch:
        """Gather what the interest encoder reads.

        Args:
            items: float [b, t, d];  kinds, event_types: int64 [b, t].
            queries: the batch's distinct queries.
            query_index: int64 [b, t], which of them an event has; -1 for none.
            anchors: float [a, d], unit vectors of known items; None takes those that training left behind.
        """
        pooled = self.backbone.pool(queries)
        has_query = query_index >= 0
        if not len(pooled):
            pooled = pooled.new_zeros(1, pooled.shape[-1])
        index = query_index.clamp(min=0)
        mask = has_query[..., None]
        return HistoryBatch(
            items=items,
            kinds=kinds,
            event_types=event_types,
            query_tokens=pooled[index] * mask,
            query_vectors=self.tower.text_vector(pooled)[index] * mask,
            has_query=has_query,
            anchors=anchors,
        )
