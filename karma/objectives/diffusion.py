"""Knowledge (ii) for images by diffusion: the noise in the next item's visual features, told from the interest vector.

Shapes: n rows, c components, T diffusion steps.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from karma.objectives.visual import visual_loss

STEPS = 1000
_OFFSET = 0.008
_LARGEST_BETA = 0.999


def cosine_schedule(steps: int = STEPS) -> Tensor:
    """What is left of the signal's energy after each diffusion step, ``abar_t`` for t = 1 .. T: float32 [T], falling from 1 towards 0.

    ``abar_t = prod_{s <= t} (1 - beta_s)`` with ``beta_t = min(1 - f(t) / f(t - 1), 0.999)``,
    ``f(t) = cos^2( (t / T + 0.008) / 1.008 * pi / 2 )``

    Source: Nichol and Dhariwal (ICML 2021), equation 17.
    """
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    energy = torch.cos((times + _OFFSET) / (1 + _OFFSET) * math.pi / 2).square()
    betas = (1 - energy[1:] / energy[:-1]).clamp(max=_LARGEST_BETA)
    return (1 - betas).cumprod(0).float()


def diffusion_loss(
    denoise: Callable[[Tensor, Tensor], Tensor], features: Tensor, has_visual: Tensor, *, schedule: Tensor, steps: Tensor, noise: Tensor
) -> Tensor:
    """Mean squared error of the predicted noise over the rows that have an image.

    ``L = sum_{r with image} |noise_r - denoise(x_r, t_r)|^2 / (c * number of rows with image)`` with
    ``x_r = sqrt(abar_t) features_r + sqrt(1 - abar_t) noise_r``: the simple objective, each t alike.

    Args:
        denoise: noisy features [n, c] and steps [n] to the noise in them [n, c]; what they are conditioned on is its own matter.
        features: float [n, c], of a mean square of about 1 an entry;  has_visual: bool [n].
        schedule: float [T], ``abar_t`` of the steps 1 .. T.
        steps: int64 [n], t - 1 of each row, uniform.
        noise: float [n, c], standard normal.

    Returns: a scalar; 1 where no noise is told at all; 0 where no row has an image.

    Source: Ho et al. (NeurIPS 2020), equation 14. KARMA (arXiv 2603.22779) found reconstruction by diffusion worse than by MSE
    (``karma.objectives.visual``); it is here to be compared.
    """
    kept = schedule[steps][:, None]
    return visual_loss(denoise(kept.sqrt() * features + (1 - kept).sqrt() * noise, steps), noise, has_visual)
