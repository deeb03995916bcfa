"""Decodability: how much better a text decoder of fixed size writes the next title with the right interest vector than with another's.

The encoder is frozen: vectors come in, and every arm gets the same probe (size, steps, batches; for vectors of one length also its start).
Shapes: n users, d dimensions, m text tokens, v vocabulary, w width of the probe.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from karma.config import ObjectiveConfig
from karma.evaluation.written import write_greedily
from karma.model.decoders import TextDecoder
from karma.objectives.reconstruction import reconstruction_loss
from karma.threads import torch_threads

Floats = npt.NDArray[np.float64]

PROBE = ObjectiveConfig(prefix_tokens=4, decoder_hidden=128, decoder_layers=1)
STEPS, BATCH, LEARNING_RATE = 300, 128, 1e-3
_USERS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class TitlePairs:
    """Users' vectors and the titles that they took next.

    Attributes:
        vectors: float32 [n, d].
        tokens: int64 [n, m], the title and its end;  real: bool [n, m], False in the padding after it. No title is empty.
    """

    vectors: Tensor
    tokens: Tensor
    real: Tensor


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A trained decoder, with the figures of the training users by which every vector is centred and scaled."""

    decoder: TextDecoder
    centre: Tensor
    scale: Tensor

    def scaled(self, vectors: Tensor) -> Tensor:
        """float [n, d] vectors as the decoder reads them."""
        return (vectors.float() - self.centre) / self.scale

    def write(self, vectors: Tensor, end: int) -> list[list[int]]:
        """The tokens that it finds likeliest, one after the other, given float32 [n, d] ``vectors``: n lists without ``end``."""
        return write_greedily(self.decoder.eval(), self.scaled(vectors), end)


@dataclass(frozen=True, kw_only=True)
class Decodability:
    """Nats a token of each held-out user's title, float64 [n]: given the user's own vector, and given another user's; and who says so.

    ``strangers``: int64 [n], the row of that other user.
    """

    own: Floats
    shuffled: Floats
    strangers: Tensor
    probe: Probe

    @property
    def gains(self) -> Floats:
        """float64 [n]: what the right vector saves; figures of two arms can be paired user by user."""
        return self.shuffled - self.own

    @property
    def value(self) -> float:
        """Mean gain, nats a token: 0 where a vector says nothing about the next title."""
        return float(self.gains.mean())


def decodability(
    training: TitlePairs, held_out: TitlePairs, *, vocabulary: int, seed: int, steps: int = STEPS, strangers: Tensor | None = None
) -> Decodability:
    """``mean_r (NLL(title_r | u_{s(r)}) - NLL(title_r | u_r))`` in nats a token over held-out users r, s a shuffle that keeps nobody.

    The probe is a ``TextDecoder`` of PROBE's size, trained from ``seed`` for ``steps`` steps of AdamW (linear decay to 0) on the
    training users' pairs. Vectors are centred and scaled to mean square 1 by the training users' figures, so that a narrow cloud is
    not judged by its width. A difference of NLLs, and not the NLL itself, since the latter falls with the titles' own regularity.

    Args:
        strangers: int64 [n], s of another arm, to be paired with it user by user; None draws one. Arms of one dimension draw the same.

    Raises:
        ValueError: fewer than two held-out users, no training user, or a title without tokens.
    """
    if len(held_out.vectors) < 2 or not len(training.vectors):
        raise ValueError(f"need training users and two held-out ones, got {len(training.vectors)} and {len(held_out.vectors)}")
    if not (training.real.any(1).all() and held_out.real.any(1).all()):
        raise ValueError("a title has no token")
    centre = training.vectors.float().mean(0)
    scale = (training.vectors.float() - centre).square().mean().sqrt().clamp(min=1e-6)
    # On a CPU the gradient of the fused attention kernel would be the slowest part of a step.
    with torch_threads(1), sdpa_kernel(SDPBackend.MATH), torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = TextDecoder(PROBE, dim=training.vectors.shape[1], vocabulary=vocabulary)
        probe = Probe(decoder=decoder, centre=centre, scale=scale)
        torch.manual_seed(seed)  # once more: what is drawn from here on must not depend on how many weights were drawn for these dimensions
        order = torch.randperm(len(held_out.vectors))
        _train(decoder, replace(training, vectors=probe.scaled(training.vectors)), steps)
    if strangers is None:  # one cycle through all users: nobody keeps the own vector
        strangers = torch.empty_like(order).scatter(0, order, order.roll(1))
    own = replace(held_out, vectors=probe.scaled(held_out.vectors))
    shuffled = replace(own, vectors=own.vectors[strangers])
    return Decodability(own=_nats_a_token(decoder, own), shuffled=_nats_a_token(decoder, shuffled), strangers=strangers, probe=probe)


def _train(probe: TextDecoder, pairs: TitlePairs, steps: int) -> None:
    optimiser = torch.optim.AdamW(probe.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, max(1, steps))
    probe.train()
    for _ in range(steps):
        rows = torch.randint(len(pairs.vectors), (BATCH,))
        tokens, real = pairs.tokens[rows], pairs.real[rows]
        states = probe(pairs.vectors[rows], tokens)
        optimiser.zero_grad()
        reconstruction_loss(states, probe.prefix_tokens, probe.head.weight, tokens, real).backward()
        optimiser.step()
        schedule.step()


@torch.inference_mode()
def _nats_a_token(probe: TextDecoder, pairs: TitlePairs) -> Floats:
    """float64 [n]: mean cross-entropy over each title's own tokens; the last prefix token predicts the first of them."""
    probe.eval()
    found = []
    for start in range(0, len(pairs.vectors), _USERS_AT_ONCE):
        block = slice(start, start + _USERS_AT_ONCE)
        tokens, real = pairs.tokens[block], pairs.real[block]
        states = probe(pairs.vectors[block], tokens)[:, probe.prefix_tokens - 1 : -1]
        nats = F.cross_entropy(probe.head(states).float().transpose(1, 2), tokens, reduction="none") * real
        found.append((nats.sum(1) / real.sum(1)).double().numpy())
    return np.concatenate(found)
