"""Knowledge (ii) for images: the next item's frozen visual features from the interest vector alone.

Shapes: n rows, c components.
"""

from torch import Tensor


def visual_loss(predicted: Tensor, features: Tensor, has_visual: Tensor) -> Tensor:
    """Mean squared error over the rows that have an image.

    ``L = sum_{r with image} |predicted_r - features_r|^2 / (c * number of rows with image)``

    Args:
        predicted, features: float [n, c];  has_visual: bool [n].

    Returns: a scalar; 0 where no row has an image.

    Source: KARMA (arXiv 2603.22779), image reconstruction by MSE (found better there than by diffusion). Deviation: the target is
    the features' principal components, not the raw features.
    """
    error = (predicted.float() - features.float()).square() * has_visual[:, None]
    return error.sum() / (predicted.shape[1] * has_visual.sum()).clamp(min=1)
