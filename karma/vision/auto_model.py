"""Any vision model of transformers, by folder or hub id, frozen."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from karma.vision.digests import encoder_digest

_BATCH = 16
_READ = ("config.json", "preprocessor_config.json", "*.safetensors")


class AutoModelEncoder:
    """Features as the model pools them, or else the mean over its patches or its last feature map.

    Weights are read from safetensors files only, and no code of the folder is run. The preprocessing is the folder's own, by
    Pillow, so that it is the same on machines with and without torchvision.
    """

    def __init__(self, spec: str) -> None:
        """Raises OSError where ``spec`` is neither a folder with a model nor a hub id that can be reached."""
        self._folder = Path(spec) if Path(spec).is_dir() else Path(snapshot_download(spec, allow_patterns=list(_READ)))
        if not list(self._folder.glob("*.safetensors")):
            raise OSError(f"{spec} has no safetensors weights")

    @cached_property
    def digest(self) -> str:
        files = sorted(path for pattern in _READ for path in self._folder.glob(pattern))
        return encoder_digest(files, {"processor": "pil", "pooling": "pooler, else mean"})

    @cached_property
    def dim(self) -> int:
        return int(self.encode([Image.new("RGB", (64, 64))]).shape[1])

    def encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Features of n RGB pictures, float32 [n, dim]."""
        chunks = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return np.concatenate([self._encode(chunk) for chunk in chunks]) if chunks else np.zeros((0, self.dim), np.float32)

    def _encode(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        inputs = self._processor(images=list(images), return_tensors="pt")
        with torch.no_grad():
            output = self._model(pixel_values=inputs["pixel_values"])
        pooled = _pooled(output).float().numpy()
        return np.ascontiguousarray(pooled, np.float32)

    @cached_property
    def _processor(self) -> Any:
        return AutoImageProcessor.from_pretrained(self._folder, backend="pil")

    @cached_property
    def _model(self) -> Any:
        model = AutoModel.from_pretrained(self._folder, use_safetensors=True)
        # A text and image model (CLIP, SigLIP) keeps its image tower here.
        return getattr(model, "vision_model", model).eval()


def _pooled(output: Any) -> torch.Tensor:
    """[n, dim] from a model's output: [n, dim] or [n, dim, 1, 1] pooled, [n, patches, dim], or a map [n, dim, h, w]."""
    pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
    if pooled is not None:
        return pooled.flatten(start_dim=1)
    hidden: torch.Tensor = output.last_hidden_state
    return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)
