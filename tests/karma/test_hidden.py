"""Hidden items leave no trace in what is trained on, and pairs see exactly what came before them."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.held_out_figures import read_catalogue, read_histories
from karma.evaluation.evaluate import Catalogue
from karma.training.data import TrainingDataError, leave_files, read_training_data
from karma.training.hidden import COLD, NEW, PAIRS_A_KIND, WARM, Hidden, hide
from tests.karma.conftest import Planted


@pytest.fixture(scope="module")
def catalogue(planted: Planted) -> Catalogue:
    return read_catalogue(planted.data)


@pytest.fixture(scope="module")
def hidden(planted: Planted, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Hidden:
    return hide(planted.data, catalogue, tmp_path_factory.mktemp("hidden") / "data", repeats=False)


def of_kind(hidden: Hidden, kind: int) -> set[str]:
    return {item for item, of in zip(hidden.catalogue.item_ids, hidden.kinds, strict=True) if of == kind}


def test_cold_items_are_known_and_never_taken_and_new_ones_are_not_known(planted: Planted, hidden: Hidden) -> None:
    read = read_training_data(hidden.data, planted.config.encoder.event_types)
    known = set(read.catalogue.item_ids)
    taken = {read.catalogue.item_ids[place] for place in read.histories.items if place >= 0}
    assert len(of_kind(hidden, COLD)) == len(of_kind(hidden, NEW)) == 4  # a tenth of 40 each
    assert of_kind(hidden, COLD) < known
    assert not of_kind(hidden, NEW) & known
    assert not (of_kind(hidden, COLD) | of_kind(hidden, NEW)) & taken
    assert (read.histories.items != -1).all(), "an event of a new item was left as one of an unknown item"


def test_training_loses_the_end_of_every_history(planted: Planted, hidden: Hidden) -> None:
    before, after = read_histories(planted.data), read_histories(hidden.data)
    secret = of_kind(hidden, COLD) | of_kind(hidden, NEW)
    for user, history in after.items():
        whole = before[user].item_ids
        head = whole[: len(whole) - round(0.2 * len(whole))]
        assert history.item_ids == [item for item in head if item not in secret]


def test_the_end_begins_with_a_new_instant(planted: Planted, catalogue: Catalogue, tmp_path: Path) -> None:
    """Every three events of a user share their time: a fifth of 13 events would begin inside such a triple."""
    tied = shutil.copytree(planted.data, tmp_path / "tied")
    file = tied / "histories" / "part-0.parquet"
    rows = pq.read_table(file)
    times = [[of[place // 3 * 3] for place in range(len(of))] for of in rows["event_times"].to_pylist()]
    column = rows.schema.get_field_index("event_times")
    pq.write_table(rows.set_column(column, rows.schema.field(column), pa.array(times, rows.schema.field(column).type)), file)
    told = hide(tied, catalogue, tmp_path / "out", repeats=False)
    whole, after = read_histories(tied), read_histories(told.data)
    assert {len(history.item_ids) for history in whole.values()} == {13}
    assert max(len(history.item_ids) for history in after.values()) == 9
    secret = of_kind(told, COLD) | of_kind(told, NEW)
    for user, history in after.items():
        assert history.item_ids == [item for item in whole[user].item_ids[:9] if item not in secret]


def test_a_pair_s_history_is_all_that_was_earlier_and_its_target_is_of_the_end(planted: Planted, hidden: Hidden) -> None:
    whole = list(read_histories(planted.data).values())
    kinds = dict(zip(hidden.catalogue.item_ids, hidden.kinds, strict=True))
    assert {int(kinds[target]) for target in hidden.targets} == {WARM, COLD, NEW}
    drawn: dict[tuple[int, int], int] = {}
    for user, history, target in zip(hidden.users, hidden.histories, hidden.targets, strict=True):
        items = whole[user].item_ids
        place = items.index(target)
        assert history.item_ids == items[:place]  # the planted world has no two events at one time
        assert place >= len(items) - round(0.2 * len(items))
        assert target not in history.item_ids
        drawn[user, kinds[target]] = drawn.get((user, kinds[target]), 0) + 1
    assert max(drawn.values()) <= PAIRS_A_KIND


def test_the_same_items_are_hidden_again_and_the_data_have_a_name_of_their_own(
    planted: Planted, catalogue: Catalogue, hidden: Hidden, tmp_path: Path
) -> None:
    again = hide(planted.data, catalogue, tmp_path, repeats=False)
    assert again.kinds.tolist() == hidden.kinds.tolist()
    assert again.targets == hidden.targets
    fingerprints = [json.loads((folder / "meta.json").read_text())["fingerprint"] for folder in (planted.data, hidden.data, tmp_path)]
    assert fingerprints[1] == fingerprints[2] != fingerprints[0]
    assert pq.read_table(tmp_path / "catalogue.parquet").num_rows == 36


def test_data_that_another_process_put_there_meanwhile_are_left_alone(
    planted: Planted, catalogue: Catalogue, hidden: Hidden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write = tmp_path / "out", pq.write_table

    def slowly(table: pa.Table, where: Path) -> None:
        if not out.exists():
            shutil.copytree(hidden.data, out)
            (out / "read-by-another").touch()
        write(table, where)

    monkeypatch.setattr("karma.training.hidden.pq.write_table", slowly)
    told = hide(planted.data, catalogue, out, repeats=False)
    assert (told.data / "read-by-another").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_hidden_data_of_another_fingerprint_give_way(planted: Planted, catalogue: Catalogue, hidden: Hidden, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(planted.data, out)
    (out / "of-other-data").touch()
    told = hide(planted.data, catalogue, out, repeats=False)
    assert json.loads((told.data / "meta.json").read_text()) == json.loads((hidden.data / "meta.json").read_text())
    assert not (out / "of-other-data").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_is_hidden_in_data_of_which_a_part_is_lost_and_a_copy_that_lost_one_is_made_again(
    planted: Planted, catalogue: Catalogue, tmp_path: Path
) -> None:
    data = shutil.copytree(planted.data, tmp_path / "data")
    leave_files(data)
    whole = hide(data, catalogue, tmp_path / "hidden", repeats=False)
    read = read_training_data(whole.data, planted.config.encoder.event_types)
    next((whole.data / "histories").glob("*.parquet")).unlink()
    again = hide(data, catalogue, tmp_path / "hidden", repeats=False)
    assert len(read_training_data(again.data, planted.config.encoder.event_types).histories.items) == len(read.histories.items) > 0
    next((data / "histories").glob("*.parquet")).unlink()
    with pytest.raises(TrainingDataError, match="lost or changed"):
        hide(data, catalogue, tmp_path / "another", repeats=False)
