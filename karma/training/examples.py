"""Which item each position of a history must predict, and which targets are held out for validation.

Everything here is flat: one entry an event, all users one after the other (``karma.training.data.Histories``).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.training.data import Histories, Ints

NO_TARGET = -1
FEWEST_TARGETS = 2


def next_targets(histories: Histories, *, strict: bool, repeats: bool) -> Ints:
    """For each event the event that it must predict, or NO_TARGET: int64 [events].

    That is the same user's next event with an item of the catalogue, at a time strictly later than the position's.

    Args:
        strict: False takes events of the same time in their order.
        repeats: False counts only the user's first event with an item as a target, so no target was seen before.
    """
    after = _ends_of_ties(histories) if strict else np.arange(1, len(histories.users) + 1)
    following = _next_true(may_be_target(histories, repeats=repeats))[after]
    inside = following < histories.offsets[histories.users + 1]
    return np.where(inside, following, NO_TARGET)


def may_be_target(histories: Histories, *, repeats: bool) -> npt.NDArray[np.bool_]:
    """True where the event has an item of the catalogue and, without ``repeats``, is the user's first with it: bool [events]."""
    known = histories.items >= 0
    return known if repeats else known & _first_takes(histories)


def _first_takes(histories: Histories) -> npt.NDArray[np.bool_]:
    """True where the event is the user's first with that item."""
    pairs = np.stack([histories.users, histories.items])
    first = np.zeros(len(histories.users), dtype=bool)
    first[np.unique(pairs, axis=1, return_index=True)[1]] = True
    return first


def _ends_of_ties(histories: Histories) -> Ints:
    """For each event the first event after it that has another time (of the next user's where it is among its own user's last)."""
    changes = np.diff(histories.times, prepend=histories.times[:1]) != 0
    return _next_true(changes)[np.arange(1, len(changes) + 1)]


def _next_true(flags: npt.NDArray[np.bool_]) -> Ints:
    """For each place, and for the place after the last, the first True at or after it; the length where there is none."""
    places = np.where(flags, np.arange(len(flags)), len(flags))
    return np.concatenate([np.minimum.accumulate(places[::-1])[::-1], [len(flags)]]).astype(np.int64)


def _closes_basket(histories: Histories) -> npt.NDArray[np.bool_]:
    """True where the user's next event, if any, has another time: bool [events]."""
    same = (np.diff(histories.times) == 0) & (np.diff(histories.users) == 0)
    return ~np.append(same, np.zeros(min(1, len(histories.users)), bool))


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is trained on and what chooses the checkpoint.

    Attributes:
        targets: int64 [events], the (first) target event of a training position, NO_TARGET elsewhere.
        ends: int64 [events], the event after a position's last target: one after the first, or where its basket ends.
        may_be_target: bool [events]; of the events from ``targets`` to ``ends`` those count.
        trained: bool [events], events that training may see; of a held-out user only those before the held-out target's time.
        held_out: int64 [users held out], the held-out target events.
        last_seen: int64 [users held out], the last event before each.
    """

    targets: Ints
    ends: Ints
    may_be_target: npt.NDArray[np.bool_]
    trained: npt.NDArray[np.bool_]
    held_out: Ints
    last_seen: Ints

    def target_events(self, position: int) -> Ints:
        """The target events of a training position, ascending."""
        events = np.arange(self.targets[position], self.ends[position])
        found: Ints = events[self.may_be_target[events]]
        return found

    def target_counts(self, items: Ints, corpus: int) -> Ints:
        """How often each item is a target of a training position, int64 [corpus]; ``items`` int64 [events]."""
        positions = np.flatnonzero(self.targets != NO_TARGET)
        uses = np.zeros(len(self.targets) + 1, np.int64)
        np.add.at(uses, self.targets[positions], 1)
        np.add.at(uses, self.ends[positions], -1)
        of_event = np.cumsum(uses[:-1]) * self.may_be_target
        counts = np.zeros(corpus, np.int64)
        np.add.at(counts, items[of_event > 0], of_event[of_event > 0])
        return counts


def taken_in_window(histories: Histories, split: Split, since: int, position: int) -> Ints:
    """Items that the user takes from event ``since`` to the last target of a window that ends at training position ``position``, both
    inclusive, in their order. No dropout thins them: an item left out of what is read is no true negative all the same."""
    taken: Ints = histories.items[since : split.ends[position]]
    return taken[taken >= 0]


def split(histories: Histories, *, strict: bool, repeats: bool, share: float, seed: int, baskets: bool = False) -> Split:
    """Hold out the last target of a random ``share`` of the users who have at least FEWEST_TARGETS distinct ones.

    Args:
        baskets: train on the ends of baskets alone; all of the next basket are targets there (needs ``strict``).
    """
    targets = next_targets(histories, strict=strict, repeats=repeats)
    positions = np.flatnonzero(targets != NO_TARGET)
    last = np.zeros(len(histories.offsets) - 1, dtype=np.int64)
    np.maximum.at(last, histories.users[positions], positions)
    distinct = np.bincount(histories.users[np.unique(targets[positions])], minlength=len(last))
    users = np.flatnonzero(distinct >= FEWEST_TARGETS)
    chosen = np.sort(np.random.default_rng(seed).permutation(users)[: max(1, round(share * len(users)))]) if len(users) else users
    cut = histories.offsets[1:].copy()
    cut[chosen] = last[chosen] + 1
    trained = np.arange(len(targets)) < cut[histories.users]
    usable = trained & (targets < cut[histories.users])
    ends = np.where(usable, targets + 1, 0)
    if baskets:
        usable &= _closes_basket(histories)
        ends = np.where(usable, np.minimum(_ends_of_ties(histories)[targets], histories.offsets[histories.users + 1]), 0)
    return Split(
        targets=np.where(usable, targets, NO_TARGET),
        ends=ends,
        may_be_target=may_be_target(histories, repeats=repeats),
        trained=trained,
        held_out=targets[last[chosen]],
        last_seen=last[chosen],
    )
