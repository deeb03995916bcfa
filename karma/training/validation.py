"""How good the encoder is on the held-out targets, before the cut; it chooses the checkpoint and enters the manifest.

Shapes: n held-out users, k items of the corpus, d dimensions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from karma.evaluation.ranks import CUTOFFS, hit_rate, rank_of_target
from karma.evaluation.spectrum import spectrum
from karma.model.blocks import BLOCKS, apart
from karma.model.encoder import KarmaEncoder
from karma.training.batches import newest, seen_so_far, windows_of
from karma.training.data import Histories, Ints
from karma.training.examples import Split
from karma.training.losses import history_batch, item_vectors
from karma.training.start import CatalogueTensors
from karma.training.step import DivergedError

USERS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Held-out targets of ``split``; ``mask_seen`` leaves out what the user had before."""

    histories: Histories
    split: Split
    tensors: CatalogueTensors
    mask_seen: bool

    @property
    def vectors(self) -> dict[str, int]:
        """How many vectors ``measure`` judges the shape of."""
        return {"items": len(self.tensors.rows), "interests": len(self.split.held_out)}

    def measure(self, model: KarmaEncoder) -> dict[str, float]:
        """``measures`` of the encoder, and the shape of item and interest vectors, and of each of their blocks; the encoder is left in
        training mode.

        Raises:
            DivergedError: a vector is zero or not finite, as after a step too large, whose own loss still was.
        """
        model.eval()
        with torch.inference_mode():
            items = item_vectors(model, self.tensors, torch.arange(len(self.tensors.rows)))
            interests = [self._interests(model, items, last) for last in self._blocks(self.split.last_seen)]
        model.train()
        if not all(torch.isfinite(F.normalize(block)).all() and block.any(-1).all() for block in (items, *interests)):
            raise DivergedError("a vector is zero or not finite")
        found = measures(self._ranks([(block @ items.T).cpu().numpy() for block in interests]), len(items))
        clouds = {"items": items, "interests": torch.cat([*interests, items[:0]])}
        if model.config.reading_dim:
            in_blocks = {name: apart(cloud, model.config.reading_dim) for name, cloud in clouds.items()}
            clouds |= {f"{name}_{block}": part for name, parts in in_blocks.items() for block, part in zip(BLOCKS, parts, strict=True)}
        return {**found, **{measure: value for name, cloud in clouds.items() for measure, value in _shape(name, cloud).items()}}

    def popularity(self, popularity: npt.NDArray[np.float32]) -> dict[str, float]:
        """The same measures for ranking every user by the items' shares [k] among the training targets."""
        scores = [np.tile(popularity, (len(last), 1)) for last in self._blocks(self.split.last_seen)]
        return measures(self._ranks(scores), len(popularity))

    def _interests(self, model: KarmaEncoder, items: Tensor, last: Ints) -> Tensor:
        """Interest vectors after the events ``last`` [n]: float32 [n, d]."""
        windows = windows_of(self.histories, newest(self.histories, last, model.config.history_length))
        batch = history_batch(model, self.tensors, windows, items, torch.arange(len(items)))
        interests: Tensor = model.interest(batch, model.backbone, torch.as_tensor(windows.lengths - 1)[:, None])[:, 0]
        return interests

    def _ranks(self, scores: list[npt.NDArray[np.float32]]) -> Ints:
        corpus = len(self.tensors.rows)
        targets = self.histories.items[self.split.held_out]
        ranks = [
            rank_of_target(block, target, seen_so_far(self.histories, last, np.arange(corpus), corpus) if self.mask_seen else None)
            for block, target, last in zip(scores, self._blocks(targets), self._blocks(self.split.last_seen), strict=True)
        ]
        return np.concatenate(ranks) if ranks else np.zeros(0, np.int64)

    def _blocks(self, values: Ints) -> list[Ints]:
        return [values[first : first + USERS_AT_ONCE] for first in range(0, len(values), USERS_AT_ONCE)]


def _shape(name: str, vectors: Tensor) -> dict[str, float]:
    """Effective rank and mean cosine of some vectors; of fewer than two nothing can be said."""
    if len(vectors) < 2:
        return {}
    shape = spectrum(vectors.cpu().numpy())
    return {f"effective_rank_{name}": shape.effective_rank, f"mean_cosine_{name}": shape.mean_cosine}


def measures(ranks: Ints, corpus: int) -> dict[str, float]:
    """``hr@K`` and ``ndcg`` = mean of 1 / log2(1 + rank): every rank counts in it, so it chooses checkpoints with less noise than HR."""
    rates = {f"hr@{k}": hit_rate(ranks, k, corpus) for k in CUTOFFS}
    found = {name: rate for name, rate in rates.items() if rate is not None}
    return {**found, "ndcg": float(np.mean(1 / np.log2(1 + ranks))) if len(ranks) else 0.0}
