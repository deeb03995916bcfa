"""Frozen features of images, as a pandas UDF that names what it could not read."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from PIL import Image
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

from karma.vision import MAX_PIXELS, UndecodableImageError, VisionEncoder, decode_image
from udfs.model_cache import vision_encoder_once

VISUAL = StructType([StructField("features", ArrayType(FloatType(), containsNull=False)), StructField("reason", StringType())])

_IMAGES_AT_ONCE = 32


def visual_udf(spec: str) -> Callable[..., Column]:
    """A pandas UDF over (image binary): ``VISUAL``, either the features or the reason why there are none.

    Args:
        spec: what ``karma.vision.load_vision_encoder`` takes; a folder must exist on every node.
    """

    def visual(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        encoder = vision_encoder_once(spec)
        for images in batches:
            yield encode_images(encoder, images)

    return pandas_udf(visual, returnType=VISUAL)  # type: ignore[call-overload]


def encode_images(encoder: VisionEncoder, images: pd.Series) -> pd.DataFrame:
    """What the UDF does to one Arrow batch."""
    features: list[np.ndarray | None] = []
    reasons: list[str | None] = []
    for decoded in _chunks(images):
        pictures = [picture for picture in decoded if isinstance(picture, Image.Image)]
        encoded = iter(encoder.encode(pictures) if pictures else ())
        features += [next(encoded) if isinstance(picture, Image.Image) else None for picture in decoded]
        reasons += [None if isinstance(picture, Image.Image) else picture for picture in decoded]
    return pd.DataFrame({"features": pd.Series(features, dtype=object), "reason": pd.Series(reasons, dtype=object)})


def _chunks(images: pd.Series) -> Iterator[list[Image.Image | str]]:
    """Decoded pictures or reasons, in order; few at a time where they are large, so that memory holds about two of the largest."""
    chunk: list[Image.Image | str] = []
    pixels = 0
    for data in images:
        picture = _decoded(data)
        chunk.append(picture)
        pixels += 0 if isinstance(picture, str) else picture.width * picture.height
        if len(chunk) == _IMAGES_AT_ONCE or pixels >= MAX_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk


def _decoded(data: bytes | None) -> Image.Image | str:
    """The picture, or the reason code."""
    try:
        return decode_image(data)
    except UndecodableImageError as error:
        return str(error.reason)
