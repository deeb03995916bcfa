"""What a vision encoder is, and how one is named in a configuration."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

EFFICIENTNET_LITE0 = "efficientnet-lite0"


class VisionEncoder(Protocol):
    """A frozen encoder of whole pictures."""

    @property
    def digest(self) -> str:
        """Hex sha256 over weights and preprocessing: equal digests, equal features."""

    @property
    def dim(self) -> int:
        """Features a picture."""

    def encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Features of n RGB pictures of any size, float32 [n, dim]."""


def load_vision_encoder(spec: str) -> VisionEncoder:
    """The encoder that ``spec`` names. Reading its digest is cheap: the weights are loaded when they are first needed.

    Args:
        spec: ``efficientnet-lite0``, whose weights an installed package ships, at 128 pixels; ``efficientnet-lite0@224`` at
            another input size; else a folder or hub id of a transformers vision model (safetensors weights).

    Raises:
        ValueError: the input size is no number of at least 32.
        OSError: there is no such folder or hub id.
    """
    name, _, size = spec.partition("@")
    # Imported here, so that naming an encoder costs neither torch nor the packages of the other kind.
    if name == EFFICIENTNET_LITE0:
        from karma.vision.efficientnet import DEFAULT_SIZE, EfficientNetLite0

        return EfficientNetLite0(size=_pixels(spec, size) if size else DEFAULT_SIZE)
    from karma.vision.auto_model import AutoModelEncoder

    return AutoModelEncoder(spec)


def _pixels(spec: str, size: str) -> int:
    if not size.isdecimal() or int(size) < 32:
        raise ValueError(f"{spec!r}: the input size must be a number of at least 32 pixels")
    return int(size)
