"""Slices of held-out targets: cold and rare items, short histories, a typed query, items with and without a picture."""

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


def slices_of(data: HeldOut, histories: Sequence[History], *, has_visual: Mask, with_query: Mask) -> dict[str, Mask]:
    """Which of the n targets belong to a slice, bool [n] by the slice's name; empty slices are left out.

    An item is cold where no training history holds it, rare where at most RARE_EVENTS events of them do. A history's length is
    ``item_events``, whatever the catalogue holds and whether items may be taken again.

    Args:
        histories: [n], of the targets' users.
        has_visual: bool [items].
        with_query: bool [n], a query was typed for the target, in the target's own event.
    """
    events = data.popularity[data.targets]
    found = {"cold items": events == 0, f"items of 1 to {RARE_EVENTS} events": (events > 0) & (events <= RARE_EVENTS)}
    found |= _by_query(with_query) | _by_length(item_events(histories))
    if has_visual.any():
        found |= {"items with a picture": has_visual[data.targets], "items without a picture": ~has_visual[data.targets]}
    return {name: mask for name, mask in found.items() if mask.any()}


def item_events(histories: Sequence[History]) -> npt.NDArray[np.int32]:
    """int32 [n]: events with an item in each history, all of them: repeated ones and those of items that no catalogue holds."""
    return np.array([sum(item is not None for item in history.item_ids) for history in histories], np.int32)


def columns_of(histories: Sequence[History], *, cold: Mask, new: Mask, with_query: Mask | None) -> dict[str, npt.NDArray[Any]]:
    """What has to be kept beside the ranks of n targets so that ``slices_of_columns`` can cut them later.

    Args:
        cold: bool [n], the catalogue of training holds the target, and no training history does.
        new: bool [n], that catalogue does not hold it.
        with_query: bool [n], a query was typed for the target, in the target's own event; None where that is not known.
    """
    asked = {} if with_query is None else {"target_with_query": with_query}
    return {"cold": cold, "new": new, "history_length": item_events(histories), **asked}


def slices_of_columns(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Mask]:
    """Which of the n targets belong to a slice, bool [n] by the slice's name, as far as ``columns`` hold what ``columns_of`` gave.

    Empty slices are left out.
    """
    found = {name: columns[column] for name, column in {"cold items": "cold", "new items": "new"}.items() if column in columns}
    if "target_with_query" in columns:
        found |= _by_query(columns["target_with_query"])
    if "history_length" in columns:
        found |= _by_length(columns["history_length"])
    return {name: mask for name, mask in found.items() if mask.any()}


def _by_query(with_query: Mask) -> dict[str, Mask]:
    """None where no target has a query: the rest is then no slice."""
    return {"targets with a typed query": with_query, "targets without a query": ~with_query} if with_query.any() else {}


def _by_length(length: npt.NDArray[Any]) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    for low, high in zip(HISTORY_LENGTHS, (*HISTORY_LENGTHS[1:], None), strict=True):
        name = f"histories of {low} to {high - 1} events" if high else f"histories of {low} events and more"
        found[name] = (length >= low) & (length < high if high else True)
    return found
