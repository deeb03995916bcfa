"""Two unit vectors beside each other in one: what the pool reads and writes, and what the language model does.

Their dot product is the mean of two cosines, so each path has items of its own to point at, and the vector stays one of unit length.
"""

import torch
from torch import Tensor

BLOCKS = ("pooled", "reading")
SHARE = 0.5**0.5
"""Length of each block."""


def beside(pooled: Tensor, reading: Tensor) -> Tensor:
    """Unit vectors [.., p] and [.., r] as unit vectors [.., p + r]."""
    return torch.cat([pooled, reading], -1) * SHARE


def apart(vectors: Tensor, reading_dim: int) -> tuple[Tensor, Tensor]:
    """The blocks [.., d - r] and [.., r] of ``beside``, of unit length; where r is 0 both are the vector itself. Zeros stay zeros."""
    if not reading_dim:
        return vectors, vectors
    return vectors[..., :-reading_dim] / SHARE, vectors[..., -reading_dim:] / SHARE
