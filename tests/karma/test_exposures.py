"""Items shown without a click: which of them are negatives of which row, and that they are no one else's."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma.config import EncoderConfig, TrainingConfig
from karma.training import TrainingDataError, train
from karma.training.batches import Batch, BatchSampler
from karma.training.data import Exposures, read_training_data
from karma.training.examples import NO_TARGET, split
from karma.training.exposures import among, passed_over
from karma.training.negatives import surviving_negatives
from karma.training.run import Run
from tests.karma.conftest import Planted
from tests.karma.planted import START, UNTIL, tiny_config, write_world
from tests.karma.test_examples import Events, histories_of

ITEMS = 6


def exposures_of(users: list[Events]) -> Exposures:
    """Users' (time, item) showings without a click as flat arrays."""
    flat = [showing for shown in users for showing in sorted(shown, key=lambda showing: (showing[0], -showing[1]))]
    times, items = (np.array([showing[part] for showing in flat], np.int64) for part in (0, 1))
    return Exposures(offsets=np.cumsum([0, *(len(shown) for shown in users)]), times=times, items=items)


def loop_passed_over(events: Events, shown: Events, position: int, target: int, taken: set[int], most: int) -> list[int]:
    """One row by one user's own lists: newest first, an item once, ties by the lower place."""
    found: list[int] = []
    for time, item in sorted(shown, key=lambda showing: (-showing[0], showing[1])):
        if events[position][0] < time <= events[target][0] and item not in taken and item not in found:
            found.append(item)
    return found[:most]


USER = st.tuples(
    st.lists(st.tuples(st.integers(0, 6), st.integers(-2, ITEMS - 1)), min_size=2, max_size=8).map(
        lambda events: sorted(events, key=lambda event: event[0])
    ),
    st.lists(st.tuples(st.integers(-1, 7), st.integers(0, ITEMS - 1)), max_size=12),
)


@given(
    st.lists(USER, min_size=1, max_size=3), st.booleans(), st.sampled_from(["strict", "in order", "basket"]), st.integers(1, 4), st.data()
)
def test_a_row_s_exposed_items_are_those_of_the_loop(
    users: list[tuple[Events, Events]], repeats: bool, targets: str, most: int, data: st.DataObject
) -> None:
    histories = histories_of([events for events, _ in users])
    examples = split(histories, strict=targets != "in order", repeats=repeats, share=0.3, seed=0, baskets=targets == "basket")
    last = np.flatnonzero(examples.targets != NO_TARGET)
    if not len(last):
        return
    event = int(data.draw(st.sampled_from(last.tolist())))
    user = histories.users[event]
    start = int(histories.offsets[user])
    since = data.draw(st.integers(start, event))
    others = [other for other in last.tolist() if since <= other < event]
    positions = np.array([[NO_TARGET, *others, event]])
    exposures = exposures_of([shown for _, shown in users])
    found = passed_over(exposures, histories, examples, positions, np.array([since]), repeats=repeats, most=most)
    events, shown = users[user]
    until = max(int(examples.target_events(event).max()), since) + 1
    taken = {item for _, item in events[(since if repeats else start) - start : until - start]}
    assert found[0, 0].tolist() == [-1] * most
    for row, position in zip(found[0, 1:], positions[0, 1:], strict=True):
        expected = loop_passed_over(events, shown, position - start, int(examples.targets[position]) - start, taken, most)
        assert row.tolist() == expected + [-1] * (most - len(expected))
        assert not set(expected) & set(histories.items[examples.target_events(position)].tolist())


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([(10, 3)], []),
        ([(11, 3), (20, 4)], [4, 3]),
        ([(21, 3)], []),
        ([(12, 3), (13, 4), (14, 3)], [3, 4]),
        ([(12, 5), (12, 3), (12, 4)], [3, 4]),
        ([(12, 0), (12, 1), (12, 2), (12, 3)], [3]),
        ([], []),
    ],
    ids=["at the position's own time", "up to the target's time, newest first", "after the target", "once, at its last showing",
         "the newest two, ties by place", "what the user takes by id", "nothing shown"],
)  # fmt: skip
def test_the_way_is_open_at_the_position_and_closed_at_the_target(shown: Events, expected: list[int]) -> None:
    """Item 0 at time 5, 1 at time 10; the target is 2 at time 20. The window begins with the first event."""
    histories = histories_of([[(5, 0), (10, 1), (20, 2)]])
    examples = split(histories, strict=True, repeats=True, share=0.0, seed=0)
    examples.targets[:] = [1, 2, NO_TARGET]
    examples.ends[:] = [2, 3, 0]
    found = passed_over(exposures_of([shown]), histories, examples, np.array([[1]]), np.array([0]), repeats=True, most=2)
    assert found[0, 0].tolist() == expected + [-1] * (2 - len(expected))


def test_an_item_taken_before_the_window_is_a_negative_again_where_repeats_count() -> None:
    histories = histories_of([[(1, 0), (2, 1), (3, 2), (4, 3)]])
    found = {}
    for repeats in (True, False):
        examples = split(histories, strict=True, repeats=repeats, share=0.0, seed=0)
        examples.targets[:] = [1, 2, 3, NO_TARGET]
        examples.ends[:] = [2, 3, 4, 0]
        shown = exposures_of([[(4, 0), (4, 1), (4, 5)]])
        found[repeats] = passed_over(shown, histories, examples, np.array([[2]]), np.array([1]), repeats=repeats, most=3)[0, 0].tolist()
    assert found == {True: [0, 5, -1], False: [5, -1, -1]}


def test_exposed_candidates_are_found_by_id() -> None:
    found = among(np.array([[4, -1], [0, 2], [-1, -1], [9, 7]]), np.array([0, 2, 4, 7]))
    assert found.tolist() == [[False, False, True, False], [True, True, False, False], [False] * 4, [False, False, False, True]]


SAMPLED = {"full_up_to": 0, "uniform": 8}


def sampler_of(planted: Planted, **softmax: object) -> tuple[BatchSampler, TrainingConfig]:
    config = tiny_config(softmax={**SAMPLED, **softmax}, encoder=EncoderConfig(dim=8, history_length=6))
    read = read_training_data(planted.data, config.encoder.event_types, exposures=True)
    examples = split(read.histories, strict=True, repeats=config.softmax.repeats, share=0.5, seed=0)
    return BatchSampler(read.histories, examples, config, len(read.catalogue), read.exposures), config


def drawn(planted: Planted, **softmax: object) -> Batch:
    return sampler_of(planted, **softmax)[0].draw()


@pytest.mark.parametrize("repeats", [True, False])
def test_a_batch_counts_an_exposed_candidate_once(repeats: bool, planted: Planted) -> None:
    """Row by row: masked among the candidates, there as exposed; nothing else is masked on its account."""
    batch, without = (drawn(planted, exposed=exposed, uniform=40, repeats=repeats) for exposed in (3, 0))
    assert np.array_equal(batch.candidates, without.candidates)
    assert batch.exposed is not None
    assert batch.masked is not None
    counts, overlaps = [], 0
    for row, (target, shown) in enumerate(zip(batch.targets.ravel(), batch.exposed.reshape(-1, 3), strict=True)):
        items = shown[shown >= 0].tolist()
        before = np.zeros(len(batch.candidates), bool) if without.masked is None else without.masked[row]
        hidden = [bool(old) or item in items for item, old in zip(batch.candidates.tolist(), before, strict=True)]
        assert batch.masked[row].tolist() == hidden
        assert target not in items
        overlaps += len(set(items) & set(batch.candidates.tolist()))
        if target == NO_TARGET:
            assert not items
        else:
            counts.append(sum(1 for item, masked in zip(batch.candidates, hidden, strict=True) if item != target and not masked))
    assert overlaps > 10
    assert surviving_negatives(batch) == pytest.approx(np.mean(counts))


def test_a_full_softmax_has_them_already(planted: Planted, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert drawn(planted, exposed=3, full_up_to=40).exposed is None
    config = tiny_config(softmax={"exposed": 3, "full_up_to": 40, "repeats": False}, steps=2, validate_every=2)
    train(config, planted.data, tmp_path, progress=False)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "softmax.exposed = 3 changes nothing: a full softmax has every item as a negative"
    ]


def test_they_follow_from_seed_and_place_alone(planted: Planted) -> None:
    """Another process draws the micro-batches in another order, and draws the same ones."""
    (first, _), (second, _) = (sampler_of(planted, exposed=3) for _ in range(2))
    found = []
    for sampler, order in ((first, [(1, 0), (1, 1), (2, 0)]), (second, [(2, 0), (1, 1), (1, 0)])):
        batches = {}
        for place in order:
            sampler.seek(*place)
            batches[place] = sampler.draw()
        found.append(batches)
    for place, batch in found[0].items():
        assert batch.exposed is not None
        assert (batch.exposed >= 0).any()
        assert np.array_equal(batch.exposed, found[1][place].exposed)


def test_the_loss_reaches_items_that_exposure_alone_names(planted: Planted) -> None:
    """Their vectors are computed in the step, though no candidate and no history names them."""
    config = tiny_config(softmax={**SAMPLED, "uniform": 1, "exposed": 3}, collaborative_dropout=0.0)
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types, exposures=True), progress=False)
    batch = run.sampler.draw()
    known = {*batch.candidates.tolist(), *batch.windows.items.ravel().tolist()}
    assert batch.exposed is not None
    assert set(batch.exposed[batch.exposed >= 0].tolist()) - known
    run.learner.losses(batch)["action"].backward()
    rows = run.learner.tensors.rows[batch.exposed[batch.exposed >= 0]]
    table = run.learner.model.tower.collaborative
    assert table is not None
    assert table.weight.grad is not None
    assert (table.weight.grad[rows[rows >= 0]].abs().sum(1) > 0).all()


def impressions_in(folder: Path, rows: list[tuple[str, object, str, bool | None]]) -> None:
    path = folder / "impressions" / "part-0.parquet"
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema), path)


def test_impressions_are_read_as_they_stand(tmp_path: Path) -> None:
    """Clicked ones, those of which nobody knows whether they were, and those of unknown users and items are none."""
    folder = write_world(tmp_path / "data")
    at = [START.replace(hour=hour) for hour in range(4)]
    impressions_in(
        folder,
        [
            ("user-01", at[3], "0-1", False), ("user-01", at[1], "1-0", False), ("user-00", at[2], "0-0", False),
            ("user-01", at[2], "0-0", True), ("user-01", at[2], "0-0", None), ("nobody", at[2], "0-0", False),
            ("user-01", at[2], "nothing", False), ("user-01", at[1], "0-0", False),
        ],
    )  # fmt: skip
    read = read_training_data(folder, ("click",), exposures=True)
    assert read.exposures is not None
    assert read.exposures.offsets.tolist() == [0, 1, 4, *[4] * 38]
    assert [read.catalogue.item_ids[place] for place in read.exposures.items] == ["0-0", "1-0", "0-0", "0-1"]
    hours = (read.exposures.times - round(START.timestamp() * 1e6)) // 3_600_000_000
    assert hours.tolist() == [2, 1, 1, 3]
    assert read_training_data(folder, ("click",)).exposures is None


def test_an_impression_from_after_the_cut_is_refused(tmp_path: Path) -> None:
    folder = write_world(tmp_path / "data")
    impressions_in(folder, [("user-00", UNTIL, "0-0", True)])
    with pytest.raises(TrainingDataError, match="an impression is not before trained_until"):
        read_training_data(folder, ("click",), exposures=True)


@pytest.mark.parametrize("rows", [None, []], ids=["no folder", "an empty file"])
def test_a_folder_without_impressions_trains_as_before(
    rows: list | None, planted: Planted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_world(tmp_path / "data")
    if rows is None:
        shutil.rmtree(folder / "impressions")
    else:
        impressions_in(folder, rows)
    config = tiny_config(softmax={**SAMPLED, "exposed": 3}, steps=2, validate_every=2)
    train(config, folder, tmp_path / "encoders", progress=False)
    assert "softmax.exposed = 3 changes nothing: the training data hold no impressions" in caplog.messages
