"""Item vectors of catalogue rows, as a pandas UDF."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, FloatType

from karma.text import render_item
from udfs.batching import plan_batches
from udfs.item_vectors import Vectors
from udfs.model_cache import Loader, fp32_encoder, load_once
from udfs.shipping import ShippedFile

if TYPE_CHECKING:
    from karma.serving import ServingEncoder

EMBEDDING = ArrayType(FloatType(), containsNull=False)

_CHARACTERS_AT_ONCE = 32_768


def item_tower_udf(encoder: ShippedFile, *, load: Loader = fp32_encoder) -> Callable[..., Column]:
    """A pandas UDF over (item_id string, title string, category string, features array<float>): the item's unit vector.

    A null title or category is rendered as ``karma.text`` says; null features mean no picture.

    Args:
        encoder: from ``udfs.shipping.ship_folder``, an encoder artefact.
        load: how a worker opens it.
    """

    def vectors(batches: Iterator[tuple[pd.Series, pd.Series, pd.Series, pd.Series]]) -> Iterator[pd.Series]:
        model = load_once(load, encoder)
        for item_ids, titles, categories, features in batches:
            yield encode_items(model, item_ids, titles, categories, features)

    return pandas_udf(vectors, returnType=EMBEDDING)  # type: ignore[call-overload]


def encode_items(model: "ServingEncoder", item_ids: pd.Series, titles: pd.Series, categories: pd.Series, features: pd.Series) -> pd.Series:
    """What the UDF does to one Arrow batch: float32 unit vectors in the order of the rows."""
    texts = np.array([render_item(title, category) for title, category in zip(titles, categories, strict=True)], object)
    ids, (visual, has_visual) = item_ids.to_numpy(object), _visual(features)
    vectors = np.empty((len(ids), model.dim), np.float32)
    lengths = np.array([len(text) for text in texts], np.int64)
    for rows in plan_batches(lengths, _CHARACTERS_AT_ONCE).batches:
        vectors[rows] = model.encode_items(ids[rows].tolist(), texts[rows].tolist(), visual[rows], has_visual[rows])
    return pd.Series(list(vectors), dtype=object)


def _visual(features: pd.Series) -> tuple[Vectors, np.ndarray]:
    """Features [n, width] with zeros where there are none, and which rows have some. Raises ValueError on rows of two widths."""
    has_visual = np.array([row is not None for row in features], bool)
    widths = {len(row) for row in features if row is not None}
    if len(widths) > 1:
        raise ValueError(f"image features of different widths: {sorted(widths)}")
    visual = np.zeros((len(features), widths.pop() if widths else 0), np.float32)
    if has_visual.any():
        visual[has_visual] = np.stack([row for row in features if row is not None])
    return visual, has_visual
