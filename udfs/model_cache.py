"""One model, and one open file of vectors, for each Python worker process.

Spark keeps a worker alive over many tasks, but unpickles a UDF for each: what a UDF's own closure holds is built again and again.
What a module holds stays, so the cache lives here and the UDFs reach it by import. A driver names loaders and calls none: what they
need (torch, transformers: five seconds) is imported where they run.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karma.vision import VisionEncoder, load_vision_encoder
from udfs.item_vectors import ItemVectorsFile
from udfs.shipping import ShippedFile

if TYPE_CHECKING:
    from karma.serving import ServingEncoder

log = logging.getLogger("karma.worker")
log.setLevel(logging.INFO)
if not logging.getLogger().handlers:  # a Python worker has no main of ours that would say where messages go
    log.addHandler(logging.StreamHandler())

Loader = Callable[[Path, str], Any]
"""From a path on this node and the digest it must have: checks first, loads then. A function of a module, never a lambda: it is
part of the cache's key, and only an imported function is the same object in the next task."""


@lru_cache(maxsize=4)
def load_once(load: Loader, shipped: ShippedFile) -> Any:
    """What ``load`` makes of ``shipped``; loaded by the first task of this process that asks for this digest.

    The cache is small because every entry may be a model: a worker serves few encoders at a time.
    """
    began = time.monotonic()
    loaded = load(shipped.path(), shipped.digest)
    log.info("%s is loaded in process %d after %.1f s", shipped.name, os.getpid(), time.monotonic() - began)
    return loaded


@lru_cache(maxsize=2)
def vision_encoder_once(spec: str) -> VisionEncoder:
    """The vision encoder that ``spec`` names, with its weights, once a process."""
    return load_vision_encoder(spec)


def fp32_encoder(folder: Path, digest: str) -> "ServingEncoder":
    """A ``Loader``: the artefact computing in float32. Raises karma.manifest.ArtefactError on a wrong digest."""
    from karma.artefact import load_encoder

    return load_encoder(folder, digest)


def bf16_encoder(folder: Path, digest: str) -> "ServingEncoder":
    """A ``Loader``: as ``fp32_encoder``, in bfloat16 where this processor multiplies it itself."""
    from karma.artefact import load_encoder
    from karma.precision import computes_in_bf16

    return load_encoder(folder, digest, bf16=computes_in_bf16())


def item_vectors(path: Path, digest: str) -> ItemVectorsFile:
    """A ``Loader``: the memory-mapped item vectors. Raises udfs.item_vectors.ItemVectorsError on a wrong digest."""
    return ItemVectorsFile.open(path, digest)
