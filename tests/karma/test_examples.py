"""Targets are strictly later, never seen before where repeats do not count, and held-out ones leave no trace in training."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from karma.training.data import NO_ITEM, UNKNOWN, Histories
from karma.training.examples import NO_TARGET, next_targets, split

Events = list[tuple[int, int]]


def histories_of(users: list[Events]) -> Histories:
    """Users' (time, item) events as flat arrays."""
    lengths = [len(events) for events in users]
    flat = [event for events in users for event in events]
    zeros = np.zeros(len(flat), np.int64)
    return Histories(
        offsets=np.cumsum([0, *lengths]),
        users=np.repeat(np.arange(len(users)), lengths),
        times=np.array([time for time, _ in flat], np.int64),
        items=np.array([item for _, item in flat], np.int64),
        event_types=zeros,
        queries=zeros - 1,
        query_texts=[],
    )


def loop_targets(users: list[Events], *, strict: bool, repeats: bool) -> list[int]:
    found, start = [], 0
    for events in users:
        for place, (time, _) in enumerate(events):
            later = (
                other
                for other in range(place + 1, len(events))
                if events[other][1] >= 0
                and (events[other][0] > time or not strict)
                and (repeats or events[other][1] not in [item for _, item in events[:other]])
            )
            found.append(next((start + other for other in later), NO_TARGET))
        start += len(events)
    return found


users_of_events = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([NO_ITEM, UNKNOWN, 0, 1, 2, 3])), max_size=8).map(
        lambda events: sorted(events, key=lambda event: event[0])
    ),
    max_size=4,
)


@given(users_of_events, st.booleans(), st.booleans())
def test_targets_equal_a_loop(users: list[Events], strict: bool, repeats: bool) -> None:
    targets = next_targets(histories_of(users), strict=strict, repeats=repeats)
    assert targets.tolist() == loop_targets(users, strict=strict, repeats=repeats)


def test_a_burst_of_equal_times_predicts_what_follows_it() -> None:
    users = [[(1, 0), (1, 1), (1, 2), (2, NO_ITEM), (3, 3)]]
    assert next_targets(histories_of(users), strict=True, repeats=True).tolist() == [4, 4, 4, 4, NO_TARGET]
    assert next_targets(histories_of(users), strict=False, repeats=True).tolist() == [1, 2, 4, 4, NO_TARGET]


@given(users_of_events, st.floats(0.1, 1.0), st.integers(0, 3))
def test_training_sees_nothing_from_a_held_out_target_on(users: list[Events], share: float, seed: int) -> None:
    histories = histories_of(users)
    examples = split(histories, strict=True, repeats=True, share=share, seed=seed)
    for target, last in zip(examples.held_out, examples.last_seen, strict=True):
        user = histories.users[target]
        assert histories.users[last] == user
        assert histories.times[last] < histories.times[target]
        same = histories.users == user
        assert not examples.trained[same & (histories.times >= histories.times[target])].any()
    used = np.flatnonzero(examples.targets != NO_TARGET)
    assert examples.trained[examples.targets[used]].all()
    assert np.all(histories.times[examples.targets[used]] > histories.times[used])


def test_the_last_target_of_every_user_is_held_out() -> None:
    users = [[(1, 0), (2, 1), (3, 2)], [(1, 0), (2, 1)], [(5, 3), (6, NO_ITEM), (7, 3), (8, 0)]]
    examples = split(histories_of(users), strict=True, repeats=True, share=1.0, seed=0)
    assert examples.held_out.tolist() == [2, 8]
    assert examples.last_seen.tolist() == [1, 7]
    assert examples.targets.tolist() == [1, NO_TARGET, NO_TARGET, 4, NO_TARGET, 7, 7, NO_TARGET, NO_TARGET]


def loop_baskets(users: list[Events], *, repeats: bool) -> dict[int, list[int]]:
    """By the last event of each time stamp that another with targets follows: the target events."""
    found, start = {}, 0
    for events in users:
        for place, (time, _) in enumerate(events):
            if place + 1 < len(events) and events[place + 1][0] == time:
                continue
            later = [
                other
                for other in range(place + 1, len(events))
                if events[other][1] >= 0 and (repeats or events[other][1] not in [item for _, item in events[:other]])
            ]
            if later:
                found[start + place] = [start + other for other in later if events[other][0] == events[later[0]][0]]
        start += len(events)
    return found


@given(users_of_events, st.booleans())
def test_a_basket_s_end_predicts_all_of_the_next_basket(users: list[Events], repeats: bool) -> None:
    """Nobody is held out here but by the rule; what is trained on is what the loop finds before the cut."""
    histories = histories_of(users)
    found = split(histories, strict=True, repeats=repeats, share=0.01, seed=0, baskets=True)
    cut = {int(histories.users[last]): int(last) for last in found.last_seen}
    expected = {
        position: targets
        for position, targets in loop_baskets(users, repeats=repeats).items()
        if max(targets) <= cut.get(int(histories.users[position]), len(histories.users))
    }
    positions = np.flatnonzero(found.targets != NO_TARGET)
    assert {int(position): found.target_events(position).tolist() for position in positions} == expected
    uses = [int(histories.items[target]) for targets in expected.values() for target in targets]
    assert found.target_counts(histories.items, 4).tolist() == [uses.count(item) for item in range(4)]
