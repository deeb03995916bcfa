"""What the diffusion objective trains beside the encoder: noise told from noisy features. The exporter never sees this module.

Shapes: n rows, d dimensions, c components, w width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

_LONGEST_PERIOD = 10_000.0


class Denoiser(nn.Module):
    """``noise = W_o (h + silu(W_h h))`` with ``h = silu(W_x x + W_u u + W_t waves(t))``: two layers, conditioned on a vector and a step.

    Source: the step by sinusoids, Ho et al. (NeurIPS 2020, appendix B). Deviation: a perceptron in the place of a U-Net, since what is
    denoised is a vector.
    """

    def __init__(self, *, dim: int, components: int, width: int) -> None:
        super().__init__()
        self.noisy = nn.Linear(components, width)
        self.condition = nn.Linear(dim, width, bias=False)
        self.step = nn.Linear(2 * (width // 2), width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.noise = nn.Linear(width, components)

    def forward(self, vectors: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
        """The noise in ``noisy`` [n, c] at ``steps`` int64 [n], given ``vectors`` [n, d]: [n, c]."""
        read = silu(self.noisy(noisy) + self.condition(vectors) + self.step(waves(steps, self.step.in_features // 2)))
        noise: Tensor = self.noise(read + silu(self.hidden(read)))
        return noise


def waves(steps: Tensor, frequencies: int) -> Tensor:
    """Sines, then cosines, of the steps at geometric frequencies from 1 to nearly 1 / 10,000: float32 [n, 2 * frequencies].

    Source: Vaswani et al. (NeurIPS 2017), section 3.5.
    """
    periods = torch.exp(-math.log(_LONGEST_PERIOD) * torch.arange(frequencies) / frequencies)
    angles = steps[:, None] * periods
    return torch.cat([angles.sin(), angles.cos()], 1)
