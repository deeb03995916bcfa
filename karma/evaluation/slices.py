"""Slices of held-out targets on which encoders differ most: cold items, short histories, items with and without a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from karma.evaluation.baselines import HeldOut
from karma.evaluation.evaluate import History

Mask = npt.NDArray[np.bool_]

RARE_EVENTS = 4
HISTORY_LENGTHS = (1, 10, 50, 200)
"""The lower ends (inclusive) of the classes of history length."""


def slices_of(data: HeldOut, has_visual: Mask) -> dict[str, Mask]:
    """Which of the n targets belong to a slice, bool [n] by the slice's name; empty slices are left out.

    An item is cold where no training history holds it, rare where at most RARE_EVENTS events of them do. A history's length is
    the number of its item events.

    Args:
        has_visual: bool [items].
    """
    events = data.popularity[data.targets]
    length = np.array([len(data.histories[user]) for user in data.users], np.int64)
    found = {"cold items": events == 0, f"items of 1 to {RARE_EVENTS} events": (events > 0) & (events <= RARE_EVENTS)}
    found |= _by_length(length)
    if has_visual.any():
        found |= {"items with a picture": has_visual[data.targets], "items without a picture": ~has_visual[data.targets]}
    return {name: mask for name, mask in found.items() if mask.any()}


def columns_of(histories: Sequence[History], *, cold: Mask, new: Mask) -> dict[str, npt.NDArray[Any]]:
    """What has to be kept beside the ranks of n targets so that ``slices_of_columns`` can cut them later.

    Args:
        cold: bool [n], the catalogue of training holds the target, and no training history does.
        new: bool [n], that catalogue does not hold it.
    """
    return {
        "cold": cold,
        "new": new,
        "history_length": np.array([sum(item is not None for item in history.item_ids) for history in histories], np.int32),
        "with_query": np.array([any(history.queries) for history in histories], bool),
    }


def slices_of_columns(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Mask]:
    """Which of the n targets belong to a slice, bool [n] by the slice's name, as far as ``columns`` hold what ``columns_of`` gave.

    Empty slices are left out.
    """
    named = {"cold items": "cold", "new items": "new", "histories with a query": "with_query"}
    found = {name: columns[column] for name, column in named.items() if column in columns}
    if "history_length" in columns:
        found |= _by_length(columns["history_length"])
    return {name: mask for name, mask in found.items() if mask.any()}


def _by_length(length: npt.NDArray[Any]) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    for low, high in zip(HISTORY_LENGTHS, (*HISTORY_LENGTHS[1:], None), strict=True):
        name = f"histories of {low} to {high - 1} events" if high else f"histories of {low} events and more"
        found[name] = (length >= low) & (length < high if high else True)
    return found
