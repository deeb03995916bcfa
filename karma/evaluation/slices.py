"""Slices of held-out targets on which encoders differ most: cold items, short histories, items with and without a picture."""

import numpy as np
import numpy.typing as npt

from karma.evaluation.baselines import HeldOut

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
    for low, high in zip(HISTORY_LENGTHS, (*HISTORY_LENGTHS[1:], None), strict=True):
        name = f"histories of {low} to {high - 1} events" if high else f"histories of {low} events and more"
        found[name] = (length >= low) & (length < high if high else True)
    if has_visual.any():
        found |= {"items with a picture": has_visual[data.targets], "items without a picture": ~has_visual[data.targets]}
    return {name: mask for name, mask in found.items() if mask.any()}
