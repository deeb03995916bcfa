"""The whole of what is served: backbone, item tower and interest encoder, and a frozen text encoder where there is one."""

import torch
from torch import Tensor, nn

from karma.config import EncoderConfig
from karma.model.backbone import Backbone
from karma.model.blocks import beside
from karma.model.interest_encoder import HistoryBatch, InterestEncoder
from karma.model.item_tower import ItemTower
from karma.model.latent_semantics import LatentSemantics
from karma.model.text_encoder import TextEncoder
from karma.tokenizer import TokenBag


class KarmaEncoder(nn.Module):
    """Item vectors from content and interest vectors from histories, in one space.

    Attributes:
        features: frozen image features an item may have.
        rows: items with a collaborative row.
        anchors: vectors of known items that the user's own items are told from (``karma.model.own_items``).
        text_encoder: reads item texts and queries; None: the backbone's token embeddings and ``semantics`` do.
        tower: of all items, or of the pool's block;  reading_tower: of the language model's block, where it has one.
        semantics: None where there is a text encoder, where texts are not read, or where the configuration wants none.
    """

    def __init__(
        self, config: EncoderConfig, backbone: Backbone, *, features: int, rows: int, anchors: int = 0,
        text_encoder: TextEncoder | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.features = features
        self.rows = rows
        self.anchors = anchors
        self.backbone = backbone
        self.text_encoder = text_encoder
        directions = config.latent_semantics if config.use_text and text_encoder is None else 0
        self.semantics = LatentSemantics(backbone.embeddings.num_embeddings, directions) if directions else None
        text_width = directions + (backbone.width if text_encoder is None else text_encoder.width)
        self.tower = ItemTower(config.pooled, text_width=text_width, features=features, rows=rows)
        self.reading_tower: ItemTower | None = None
        if config.reading is not None:
            self.reading_tower = ItemTower(config.reading, text_width=text_width, features=features, rows=0, reduces=False)
        self.interest = InterestEncoder(config, backbone.width, text_width, anchors)

    def read(self, texts: TokenBag | Tensor) -> Tensor:
        """What the tower reads of texts, float [n, w]: zeros for a text without tokens, else each reader's part has norm 1.

        Texts that were read pass through.
        """
        if isinstance(texts, Tensor):
            return texts
        if self.text_encoder is not None:
            return self.text_encoder(texts)
        learnt = self.backbone.pool(texts)
        return learnt if self.semantics is None else torch.cat([learnt, self.semantics(texts)], -1)

    @property
    def towers(self) -> list[ItemTower]:
        """One a block."""
        return [self.tower] if self.reading_tower is None else [self.tower, self.reading_tower]

    def items(self, texts: TokenBag | Tensor, components: Tensor, has_visual: Tensor, rows: Tensor, keep: Tensor | None = None) -> Tensor:
        """Unit item vectors float32 [n, d]; see ``ItemTower.forward``."""
        read = self.read(texts)
        vectors = [tower(read, components, has_visual, rows, keep) for tower in self.towers]
        return vectors[0] if len(vectors) == 1 else beside(*vectors)

    def histories(
        self, items: Tensor, kinds: Tensor, event_types: Tensor, queries: TokenBag | Tensor, query_index: Tensor,
        anchors: Tensor | None = None,
    ) -> HistoryBatch:  # fmt: skip
        """Gather what the interest encoder reads.

        Args:
            items: float [b, t, d];  kinds, event_types: int64 [b, t].
            queries: the batch's distinct queries.
            query_index: int64 [b, t], which of them an event has; -1 for none.
            anchors: float [a, d], unit vectors of known items; None takes those that training left behind.
        """
        pooled = self.read(queries)
        has_query = query_index >= 0
        places = has_query.nonzero(as_tuple=True)

        def at_events(vectors: Tensor) -> Tensor:
            """[queries, w] -> [b, t, w]; few events have a query, so only those are gathered."""
            return vectors.new_zeros(*query_index.shape, vectors.shape[-1]).index_put(places, vectors[query_index[places]])

        return HistoryBatch(
            items=items,
            kinds=kinds,
            event_types=event_types,
            query_tokens=at_events(pooled if self.interest.residual is not None else pooled[:, :0]),
            query_vectors=at_events(self.tower.text_vector(pooled)),
            has_query=has_query,
            anchors=anchors,
        )
