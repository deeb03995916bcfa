"""Interest vectors of user histories, as a pandas UDF over flat arrays."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, FloatType, IntegerType, StructField, StructType

from karma.packing import NO_ITEM_PLACE, UNKNOWN_PLACE, FlatHistories, Longs
from udfs.batching import plan_batches
from udfs.item_vectors import ItemVectorsFile, Vectors
from udfs.model_cache import Loader, bf16_encoder, fp32_encoder, item_vectors, load_once
from udfs.shipping import ShippedFile

if TYPE_CHECKING:
    from karma.serving import ServingEncoder

UNKNOWN_ITEM = ""
"""The content hash of an event whose item the catalogue does not know; null is the hash of an event without an item."""

INTEREST = StructType(
    [
        StructField("embedding", ArrayType(FloatType(), containsNull=False)),
        StructField("tokens", IntegerType()),
        StructField("padded_tokens", IntegerType()),
    ]
)


def interest_udf(
    encoder: ShippedFile, vectors: ShippedFile, *, token_budget: int, bf16: bool = False, load: Loader | None = None
) -> Callable[..., Column]:
    """A pandas UDF over (content_hashes, event_types, queries): parallel arrays of strings, oldest event first.

    ``content_hashes``: "" where the item is unknown, null for a query alone. The arrays hold at most the events that the encoder
    reads. The result is ``INTEREST``: the unit vector, the events read, and the width of the batch that the row was encoded in.
    Spark's Arrow batch is sorted by length inside and comes back in its order.

    Args:
        encoder: from ``udfs.shipping.ship_folder``, an encoder artefact.
        vectors: from ``udfs.shipping.ship_file``, an ``ItemVectorsFile`` of the encoder's space.
        token_budget: rows times longest row of one forward pass.
        bf16: compute in bfloat16 where the CPU is good at it. Off by default, since a rerun must give the same vectors to a cosine
            of 0.99999 on any node, and a bfloat16 product is only good to 0.999.
        load: how a worker opens the artefact, where it is not ``fp32_encoder`` or ``bf16_encoder``.
    """
    loader = load or (bf16_encoder if bf16 else fp32_encoder)

    def interests(batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]]) -> Iterator[pd.DataFrame]:
        model, items = load_once(loader, encoder), load_once(item_vectors, vectors)
        for content_hashes, event_types, queries in batches:
            yield encode_interests(model, items, content_hashes, event_types, queries, token_budget)

    return pandas_udf(interests, returnType=INTEREST)  # type: ignore[call-overload]


def encode_interests(
    model: "ServingEncoder",
    items: ItemVectorsFile,
    content_hashes: pd.Series,
    event_types: pd.Series,
    queries: pd.Series,
    token_budget: int,
) -> pd.DataFrame:
    """What the UDF does to one Arrow batch; a row of the result for each row, with the columns of ``INTEREST``.

    Raises:
        ValueError: the arrays of a row differ in length, or the vectors are not of the encoder's dimension.
        udfs.item_vectors.MissingVectorsError: a content hash has no vector.
    """
    flat, vectors = _flatten(model, items, content_hashes, event_types, queries)
    plan = plan_batches(flat.lengths, token_budget)
    embeddings = np.empty((len(content_hashes), model.dim), np.float32)
    for rows in plan.batches:
        batch = flat.batch(rows, vectors)
        embeddings[rows] = model.encode_histories(batch.vectors, batch.kinds, batch.event_types, batch.queries)
    return pd.DataFrame({"embedding": list(embeddings), "tokens": plan.tokens, "padded_tokens": plan.padded_tokens})


def _flatten(
    model: "ServingEncoder", items: ItemVectorsFile, content_hashes: pd.Series, event_types: pd.Series, queries: pd.Series
) -> tuple[FlatHistories, Vectors]:
    """All events of the batch in one row, and the vectors of the distinct items among them."""
    lengths = [len(hashes) for hashes in content_hashes]
    if lengths != [len(types) for types in event_types] or lengths != [len(texts) for texts in queries]:
        raise ValueError("content_hashes, event_types and queries of a row must have the same length")
    places, vectors = _look_up(items, model.dim, _joined(content_hashes))
    flat = FlatHistories(
        places=places,
        event_types=np.array(model.event_type_ids(_joined(event_types).tolist()), np.int64),
        queries=_joined(queries).tolist(),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
    )
    return flat, vectors


def _look_up(items: ItemVectorsFile, dim: int, content_hashes: np.ndarray) -> tuple[Longs, Vectors]:
    """Each event's row among the vectors of the distinct items, and these vectors."""
    codes, distinct = pd.factorize(content_hashes)  # a null's code is -1
    known = np.array([text != UNKNOWN_ITEM for text in distinct], bool)
    vectors = items.lookup([text for text in distinct if text != UNKNOWN_ITEM])
    if known.any() and items.dim != dim:
        raise ValueError(f"the item vectors have {items.dim} dimensions, the encoder {dim}: another space's file?")
    rows = np.append(np.where(known, np.cumsum(known) - 1, UNKNOWN_PLACE), NO_ITEM_PLACE)
    return rows[codes].astype(np.int64), vectors


def _joined(cells: Sequence[np.ndarray] | pd.Series) -> np.ndarray:
    return np.concatenate([np.asarray(cell, object) for cell in cells]) if len(cells) else np.zeros(0, object)
