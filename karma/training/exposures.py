"""What a user was shown and passed over on the way to a target: hard negatives of that one row of the action loss.

Shapes: r rows, h exposed items a row, c candidates.
"""

import numpy as np
import numpy.typing as npt

from karma.training.data import Exposures, Histories, Ints
from karma.training.examples import NO_TARGET, Split, taken_in_window

NOTHING = -1


def passed_over(
    exposures: Exposures, histories: Histories, split: Split, positions: Ints, since: Ints, *, repeats: bool, most: int
) -> Ints:
    """The items that were shown without a click most lately on the way from a position to its target, newest first.

    They are those of the time (position's event, target's event]. It is open at the start: what was shown up to the position's event
    was passed over for an earlier target, or for that event. It is closed at the end: a shop may stamp a click with the time of
    the page on which it was made, and that page's other items are the ones that lost to the target. An item counts once, at its last
    showing; among items of one time the lower place in the catalogue comes first.

    By id, an item is left out that the user takes from ``since`` to the end of the window's last target, dropped events included, or,
    without ``repeats``, has ever taken up to there; so no target of the row is among them.

    Args:
        positions: int64 [b, p], event numbers; NO_TARGET where a window has fewer. The last of a row is the window's last.
        since: int64 [b], the first event of each window.
        repeats: whether an item that the user has taken may be a target again.
        most: h.

    Returns: int64 [b, p, h], catalogue places, padded with NOTHING. It follows from the arguments: nothing is drawn.
    """
    found = np.full((*positions.shape, most), NOTHING, dtype=np.int64)
    for row, (events, first) in enumerate(zip(positions, since, strict=True)):
        user = histories.users[events[-1]]
        begins = first if repeats else histories.offsets[user]
        taken = taken_in_window(histories, split, begins, events[-1])
        shown = slice(*exposures.offsets[user : user + 2])
        times, items = exposures.times[shown], exposures.items[shown]
        for column in np.flatnonzero(events != NO_TARGET):
            event = events[column]
            after, until = np.searchsorted(times, histories.times[[event, split.targets[event]]], side="right")
            chosen = _first_distinct(items[after:until][::-1], taken, most)
            found[row, column, : len(chosen)] = chosen
    return found


def _first_distinct(items: Ints, taken: Ints, most: int) -> Ints:
    """The first ``most`` distinct of ``items`` that are not among ``taken``, in their order."""
    left = items[~np.isin(items, taken)]
    first = np.sort(np.unique(left, return_index=True)[1])
    chosen: Ints = left[first[:most]]
    return chosen


def among(exposed: Ints, candidates: Ints) -> npt.NDArray[np.bool_]:
    """True where a candidate (int64 [c], ascending) is one of the row's exposed items (int64 [r, h]): bool [r, c]."""
    found = np.zeros((len(exposed), len(candidates)), dtype=bool)
    columns = np.minimum(np.searchsorted(candidates, exposed), len(candidates) - 1)
    rows, places = np.nonzero(candidates[columns] == exposed)
    found[rows, columns[rows, places]] = True
    return found
