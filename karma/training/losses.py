"""One step's losses: a batch through the encoder and the decoders.

Arrays become tensors by ``torch.as_tensor``, which puts them where ``Run.fit`` says; ``from_numpy`` would leave them on the CPU.

Shapes: b windows, t events, p positions a window, r = b * p rows, c candidates, h exposed items a row, d dimensions, w width,
m text tokens.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from karma.config import TrainingConfig
from karma.model.decoders import Decoders
from karma.model.encoder import KarmaEncoder
from karma.model.interest_encoder import HistoryBatch
from karma.model.own_items import evenly
from karma.objectives.action import Exposed, Temperature, info_nce, sampling_log_q
from karma.objectives.diffusion import cosine_schedule, diffusion_loss
from karma.objectives.generation import generation_loss
from karma.objectives.reconstruction import reconstruction_loss
from karma.objectives.visual import visual_loss
from karma.training.batches import Batch, Windows
from karma.training.data import Ints
from karma.training.start import CatalogueTensors


@dataclass(frozen=True, kw_only=True)
class Learner:
    """All that a step trains, and what it reads.

    Attributes:
        popularity: float32 [corpus], share of each item among the training targets.
        generator: of the random choices inside a step.
    """

    model: KarmaEncoder
    decoders: Decoders
    temperature: Temperature
    tensors: CatalogueTensors
    popularity: Tensor
    config: TrainingConfig
    generator: torch.Generator

    @property
    def device(self) -> torch.device:
        """Where all of it lies."""
        return self.popularity.device

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """All modules that are trained; only the first is served."""
        return self.model, self.decoders, self.temperature

    def state(self) -> list[dict[str, Tensor]]:
        """A copy of the weights, part by part."""
        return [{name: tensor.detach().clone() for name, tensor in part.state_dict().items()} for part in self.parts]

    def restore(self, state: list[dict[str, Tensor]]) -> None:
        """Set the weights to those that ``state`` returned."""
        for part, weights in zip(self.parts, state, strict=True):
            part.load_state_dict(weights)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted, by their names in ``ObjectiveConfig``: action, which the guard reads, and the others whose weight is not 0."""
        told = _Step(self, batch)
        weights = self.config.objectives
        found = {"action": told.action()}
        if weights.generation:
            found["generation"] = told.generation()
        if weights.reconstruct_interest:
            found["reconstruct_interest"] = told.reconstruct(told.interests[:, -1], told.next_items)
        if weights.reconstruct_item:
            found["reconstruct_item"] = told.reconstruct(*told.some_items())
        if self.decoders.visual is not None or self.decoders.denoiser is not None:
            found["visual"] = told.visual()
        return found


class _Step:
    """A batch's item vectors, language-model states and interest vectors, computed once for all objectives."""

    def __init__(self, learner: Learner, batch: Batch) -> None:
        self._learner = learner
        self._batch = batch
        self.next_items = torch.as_tensor(batch.targets[:, -1])
        corpus = len(learner.tensors.rows)
        self._sampled = torch.randint(corpus, (len(self.next_items),), generator=learner.generator)
        self._places = self._needed()
        self._column = torch.full((corpus,), -1).scatter(0, self._places, torch.arange(len(self._places)))
        keep = torch.rand(len(self._places), generator=learner.generator) >= learner.config.collaborative_dropout
        self._items = item_vectors(learner.model, learner.tensors, self._places, keep)
        history = history_batch(learner.model, learner.tensors, batch.windows, self._items, self._column)
        self._lengths = torch.as_tensor(batch.windows.lengths)
        self._states = self._read(history)
        self.interests = learner.model.interest.combine(history, self._states, torch.as_tensor(batch.positions))

    def _needed(self) -> Tensor:
        """Catalogue places whose vector this step needs: candidates, histories, exposed items and the items to reconstruct."""
        if self._batch.full:
            return torch.arange(len(self._learner.tensors.rows))
        known = self._batch.windows.items[self._batch.windows.items >= 0]
        parts = [torch.as_tensor(self._batch.candidates), torch.as_tensor(known), self._sampled]
        if self._batch.exposed is not None:
            parts.append(torch.as_tensor(self._batch.exposed[self._batch.exposed >= 0]))
        return torch.unique(torch.cat(parts))

    def _read(self, history: HistoryBatch) -> Tensor | None:
        """States over the history and, for generation, over the next item's text after it: one forward serves both."""
        model = self._learner.model
        if model.interest.residual is None:
            return None
        tokens = model.interest.tokens(history)
        if self._learner.config.objectives.generation:
            read, _, real = self._learner.tensors.texts.written(self.next_items)
            tokens = appended(tokens, self._lengths, model.backbone.embeddings(read))
            tokens = tokens[:, : int((self._lengths + real.sum(1)).max())]  # the longest history seldom has the longest text
        return model.backbone(tokens)

    def action(self) -> Tensor:
        learner, batch = self._learner, self._batch
        targets = torch.as_tensor(batch.targets).flatten()
        real = targets >= 0
        candidates = torch.as_tensor(batch.candidates)
        target = torch.searchsorted(candidates, targets[real]) if batch.shares is None else torch.as_tensor(batch.shares)[real]
        masked = None if batch.masked is None else torch.as_tensor(batch.masked)[real]
        log_q = None
        if not batch.full:
            log_q = sampling_log_q(
                learner.popularity[candidates], batch_targets=int(real.sum() if batch.shares is None else (target > 0).sum()),
                uniform=learner.config.softmax.uniform, corpus=len(learner.tensors.rows),
            )  # fmt: skip
        return info_nce(
            self.interests.flatten(0, 1)[real], self._items[self._column[candidates]], target, learner.temperature(),
            log_q=log_q, masked=masked, exposed=self._exposed(real),
        )  # fmt: skip

    def _exposed(self, real: Tensor) -> Exposed | None:
        """The exposed items of the rows ``real``, bool [r]."""
        if self._batch.exposed is None:
            return None
        places = torch.as_tensor(self._batch.exposed).flatten(0, 1)[real]
        vectors = F.embedding(self._column[places.clamp(min=0)].clamp(min=0), self._items)
        return Exposed(vectors=vectors, real=places >= 0)

    def generation(self) -> Tensor:
        head, states = self._learner.decoders.lm_head, self._states
        if head is None or states is None:
            raise RuntimeError("generation needs the language model and its head")
        _, write, real = self._learner.tensors.texts.written(self.next_items)
        return generation_loss(states, self._lengths, head.weight, write, real)

    def some_items(self) -> tuple[Tensor, Tensor]:
        """Uniformly drawn items of the catalogue, sold or not: their vectors [b, d] and places [b]."""
        return self._items[self._column[self._sampled]], self._sampled

    def reconstruct(self, vectors: Tensor, places: Tensor) -> Tensor:
        decoder, most = self._learner.decoders.text, self._learner.config.objectives.decoded
        if decoder is None:
            raise RuntimeError("reconstruction needs its decoder")
        vectors, places = vectors[:most], places[:most]  # windows are drawn in no order
        _, write, real = self._learner.tensors.texts.written(places)
        return reconstruction_loss(decoder(vectors, write), decoder.prefix_tokens, decoder.head.weight, write, real)

    def visual(self) -> Tensor:
        decoders, interests = self._learner.decoders, self.interests[:, -1]
        components = self._learner.tensors.components[self.next_items]
        target = components * components.shape[1] ** 0.5  # mean square 1 an entry, so that 1 is what a constant guess loses
        has_visual = self._learner.tensors.has_visual[self.next_items]
        if decoders.visual is not None:
            return visual_loss(decoders.visual(interests), target, has_visual)
        if decoders.denoiser is None:
            raise RuntimeError("the visual objective needs its head")
        schedule, draws = cosine_schedule(), self._learner.generator
        return diffusion_loss(
            partial(decoders.denoiser, interests), target, has_visual, schedule=schedule,
            steps=torch.randint(len(schedule), (len(target),), generator=draws), noise=torch.randn(target.shape, generator=draws),
        )  # fmt: skip


def item_vectors(model: KarmaEncoder, tensors: CatalogueTensors, places: Tensor, keep: Tensor | None = None) -> Tensor:
    """Unit vectors of the catalogue's items at ``places``: float32 [places, d]."""
    return model.items(tensors.texts.read(places), tensors.components[places], tensors.has_visual[places], tensors.rows[places], keep)


def history_batch(model: KarmaEncoder, tensors: CatalogueTensors, windows: Windows, items: Tensor, column: Tensor) -> HistoryBatch:
    """What the interest encoder reads of some windows.

    Args:
        items: float [k, d], item vectors;  column: int64 [corpus], row of an item in ``items``.
    """
    places = torch.as_tensor(windows.items)
    vectors = F.embedding(column[places.clamp(min=0)].clamp(min=0), items) * (places >= 0)[..., None]
    asked, index = queries_of(torch.as_tensor(windows.queries))
    kinds, event_types = torch.as_tensor(windows.kinds), torch.as_tensor(windows.event_types)
    anchors = evenly(items, model.anchors) if model.anchors else None
    return model.histories(vectors, kinds, event_types, tensors.queries.read(asked), index, anchors)


def queries_of(queries: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct queries of a batch, and each event's place among them, -1 for none."""
    distinct, index = torch.unique(queries, return_inverse=True)
    without = int(len(distinct) > 0 and distinct[0] < 0)
    return distinct[without:], index - without


def appended(tokens: Tensor, lengths: Tensor, text: Tensor) -> Tensor:
    """Each row's text right after its events, before the padding: [b, t, w] and [b, m, w] -> [b, t + m, w]."""
    places = lengths[:, None] + torch.arange(text.shape[1])
    room = F.pad(tokens, (0, 0, 0, text.shape[1]))
    return room.scatter(1, places[..., None].expand(-1, -1, text.shape[-1]), text.to(room.dtype))


def popularity_of(counts: Ints) -> Tensor:
    """Share of each item among the training targets, from its uses as one: float32 [corpus]."""
    uses = torch.from_numpy(counts).float()
    return uses / uses.sum().clamp(min=1)
