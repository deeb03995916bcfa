"""Windows, positions, candidates and masks of training batches."""

from dataclasses import replace

import numpy as np
import pytest

from karma.config import EncoderConfig, SoftmaxConfig
from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM
from karma.training.batches import BatchSampler, newest, windows_of
from karma.training.data import NO_ITEM, UNKNOWN
from karma.training.examples import NO_TARGET, split
from tests.karma.planted import tiny_config
from tests.karma.test_examples import histories_of

USERS = [[(t, item) for t, item in enumerate([0, 1, NO_ITEM, 2, UNKNOWN, 3, 1, 4])], [(t, item) for t, item in enumerate([5, 0, 2])]]


def test_windows_hold_the_newest_events_and_their_kinds() -> None:
    histories = histories_of(USERS)
    windows = windows_of(histories, newest(histories, np.array([5, 9]), 4))
    assert windows.events.tolist() == [[2, 3, 4, 5], [8, 9, -1, -1]]
    assert windows.kinds.tolist() == [[QUERY_ONLY, ITEM, UNKNOWN_ITEM, ITEM], [ITEM, ITEM, PADDING, PADDING]]
    assert windows.items[windows.kinds == ITEM].tolist() == [2, 3, 5, 0]
    assert windows.lengths.tolist() == [4, 2]


def sampler(*, softmax: SoftmaxConfig, corpus: int = 6, dropout: float = 0.0) -> BatchSampler:
    histories = histories_of(USERS)
    examples = split(histories, strict=True, repeats=softmax.repeats, share=0.1, seed=0)
    encoder = EncoderConfig(dim=4, history_length=4)
    return BatchSampler(histories, examples, tiny_config(softmax=softmax, encoder=encoder, event_dropout=dropout), corpus)


def test_every_row_predicts_its_own_position() -> None:
    drawn = sampler(softmax=SoftmaxConfig())
    split_targets = drawn._split.targets
    batch = drawn.draw()
    items = histories_of(USERS).items
    for window, positions, targets in zip(batch.windows.events, batch.positions, batch.targets, strict=True):
        real = targets != NO_TARGET
        assert real[-1]
        assert positions[-1] == (window >= 0).sum() - 1
        assert targets[real].tolist() == items[split_targets[window[positions[real]]]].tolist()
        assert len(set(positions[real])) == real.sum()


def test_dropout_keeps_the_window_s_last_event() -> None:
    drawn = sampler(softmax=SoftmaxConfig(), dropout=0.9)
    for _ in range(20):
        batch = drawn.draw()
        assert (batch.targets[:, -1] != NO_TARGET).all()
        assert (np.diff(np.where(batch.windows.events < 0, 100, batch.windows.events), axis=1) >= 0).all()


def test_nothing_is_masked_where_repeats_are_targets() -> None:
    assert sampler(softmax=SoftmaxConfig(repeats=True)).draw().masked is None


@pytest.mark.parametrize("full_up_to", [6, 5])
def test_what_was_seen_up_to_a_position_is_masked_by_id(full_up_to: int) -> None:
    histories = histories_of(USERS)
    batch = sampler(softmax=SoftmaxConfig(repeats=False, full_up_to=full_up_to, uniform=3)).draw()
    assert batch.masked is not None
    assert np.array_equal(batch.candidates, np.unique(batch.candidates))
    events = np.take_along_axis(batch.windows.events, batch.positions, axis=1).ravel()
    for event, target, masked in zip(events, batch.targets.ravel(), batch.masked, strict=True):
        user = histories.users[event]
        seen = {int(histories.items[e]) for e in range(histories.offsets[user], event + 1)}
        assert [bool(value) for value in masked] == [item in seen for item in batch.candidates]
        assert target == NO_TARGET or target in batch.candidates
        assert target not in seen


def test_mask_window_covers_all_that_the_user_takes_in_the_window_and_as_its_targets() -> None:
    """Of baskets {0, 1}, {2}, {3, 4}, {5, 0} and windows of 3 events: events that dropout leaves out count, and so does the whole of the
    last basket."""
    takes = [(0, 0), (0, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 0)]
    in_window = {1: {0, 1, 2}, 2: {0, 1, 2, 3, 4}, 4: {2, 3, 4, 5, 0}}  # by the window's last event
    histories = histories_of([takes])
    examples = split(histories, strict=True, repeats=True, share=1.0, seed=0, baskets=True)
    examples = replace(examples, targets=np.array([-1, 2, 3, -1, 5, -1, -1]), ends=np.array([0, 3, 5, 0, 7, 0, 0]))
    examples = replace(examples, may_be_target=np.ones(len(takes), bool))
    softmax = SoftmaxConfig(repeats=True, mask_window=True)
    encoder = EncoderConfig(dim=4, history_length=3)
    config = tiny_config(softmax=softmax, encoder=encoder, event_dropout=0.6, shown_queries=0.0, targets="basket")
    batch = BatchSampler(histories, examples, config, 7).draw()
    assert batch.masked is not None
    ends = [int(events[length - 1]) for events, length in zip(batch.windows.events, batch.windows.lengths, strict=True)]
    assert set(ends) == set(in_window)
    for end, rows in zip(ends, np.split(batch.masked, len(ends)), strict=True):
        assert all(set(np.flatnonzero(row).tolist()) == in_window[end] for row in rows)


def test_the_same_seed_draws_the_same_batches() -> None:
    first, second = (sampler(softmax=SoftmaxConfig()).draw() for _ in range(2))
    assert np.array_equal(first.windows.events, second.windows.events)
    assert np.array_equal(first.positions, second.positions)


def test_a_shown_query_stands_last_and_predicts_what_the_last_event_predicts() -> None:
    """Every item event of this user was taken with query 0, 1, ...: a window that ends with one shows its own target's query."""
    histories = histories_of([[(time, time) for time in range(6)]])
    histories = replace(histories, queries=np.arange(6), query_texts=[f"query {number}" for number in range(6)])
    examples = split(histories, strict=True, repeats=True, share=1.0, seed=0)
    config = tiny_config(shown_queries=1.0, event_dropout=0.0, encoder=EncoderConfig(dim=4, history_length=3))
    batch = BatchSampler(histories, examples, config, 6).draw()
    for row, length in enumerate(batch.windows.lengths):
        assert length <= 3
        assert batch.windows.kinds[row, length - 1] == QUERY_ONLY
        assert batch.windows.kinds[row, : length - 1].tolist() == [ITEM] * (length - 1)
        assert batch.windows.items[row, length - 1] == NO_ITEM
        assert batch.windows.queries[row, length - 1] == batch.targets[row, -1] == batch.windows.items[row, length - 2] + 1
        assert batch.windows.event_types[row, length - 1] == config.encoder.event_types.index("query")
        assert batch.positions[row, -1] == length - 1
