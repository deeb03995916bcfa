"""What is said of warm, cold and new items comes from their ranks and vectors, and an arm leaves it behind."""

import json
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.ablate import main, write_results
from jobs.held_out_figures import read_catalogue
from karma.config import TrainingConfig
from karma.evaluation.evaluate import encode_catalogue, encode_users
from karma.evaluation.knowledge import KINDS, Pairs, first_half, judge
from karma.evaluation.title_decoys import title_found
from karma.evaluation.title_labels import labels_of
from karma.training.arms import arm_config
from karma.training.data import read_meta
from karma.training.hidden import hide
from karma.training.run import CHOSEN_BY
from karma.training.study import CURVE, run_hidden
from karma.training.trainer import version_of
from karma.training.validation import Validation
from tests.karma.conftest import Planted


@pytest.fixture(scope="module")
def pairs(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    return hide(planted.data, read_catalogue(planted.data), tmp_path_factory.mktemp("hidden"), repeats=False).pairs(mask_seen=True)


def test_a_target_is_ranked_among_its_own_kind(planted: Planted, pairs: Pairs) -> None:
    found = judge(planted.encoder, pairs)
    items = encode_catalogue(planted.encoder, pairs.catalogue)
    place = {item: row for row, item in enumerate(pairs.catalogue.item_ids)}
    users = encode_users(planted.encoder, items, place, pairs.histories)
    for row, target in enumerate(pairs.targets):
        seen = {place[item] for item in pairs.histories[row].item_ids if item is not None}
        scores = users[row] @ items.T
        others = [
            other for other in range(len(items))
            if other != target and other not in seen and pairs.kinds[other] == pairs.kinds[target] and scores[other] >= scores[target]
        ]  # fmt: skip
        assert found.own_kind[row] == 1 + len(others)
    for kind, name in enumerate(KINDS):
        of_kind = pairs.kinds[pairs.targets] == kind
        ranked = (pairs.kinds == kind).sum()
        assert found.figures[f"{name}_HR@10"] == (np.mean(found.own_kind[of_kind] <= 10) if ranked > 10 else None)
        assert found.figures[f"{name}_equal_HR@10"] == np.mean(found.equal_share[of_kind] <= 10)
        assert found.figures[f"{name}_equal_HR@50"] is None, "there are 40 items"
    fitted = first_half(pairs.users)
    assert np.isnan(found.title_found).tolist() == fitted.tolist()
    told = title_found(users[fitted], pairs.targets[fitted], users[~fitted], pairs.targets[~fitted], pairs.titles, seed=0, decoys=20)
    assert found.title_found[~fitted].tolist() == told.tolist()
    assert 0 < fitted.sum() < len(fitted)


def test_labels_are_what_titles_and_categories_say(planted: Planted) -> None:
    labels = labels_of(read_catalogue(planted.data))
    assert set(labels) == {"word"}  # the planted catalogue has no category, and no title names a year
    titles = read_catalogue(planted.data).titles
    red = next(column for column in labels["word"].values.T if np.array_equal(column, [float("red" in str(title)) for title in titles]))
    assert 0 < red.sum() < len(titles)


def test_a_curve_is_of_the_encoder_as_it_would_be_served(planted: Planted, tmp_path: Path) -> None:
    """Own items are told from anchors that an encoder takes along; at the chosen step the curve and the exported encoder agree."""
    hidden = hide(planted.data, read_catalogue(planted.data), tmp_path / "hidden", repeats=True)
    base = planted.config.model_dump()
    base["encoder"]["use_own_items"], base["softmax"]["repeats"] = True, True
    config = arm_config(TrainingConfig.model_validate(base), "action", "pool", 0, {"steps": 8, "validate_every": 4, "patience": 9})
    told = run_hidden(config, hidden.data, hidden.pairs(mask_seen=False), tmp_path)
    chosen = next(row for row in told["curve"] if row["step"] == told["training"]["step"])
    for name in ("effective_rank_interests", "mean_cosine_interests", "warm_HR@10"):
        assert chosen[name] == pytest.approx(told[name], rel=1e-4)


def test_a_run_that_was_stopped_within_a_row_of_its_curve_goes_on(planted: Planted, tmp_path: Path) -> None:
    hidden = hide(planted.data, read_catalogue(planted.data), tmp_path / "hidden", repeats=True)
    config = arm_config(planted.config, "action", "pool", 0, {"steps": 4, "validate_every": 2, "patience": 9})
    work = tmp_path / f".{version_of(config, read_meta(hidden.data))}"
    work.mkdir()
    (work / CURVE).write_text('{"step": 0, "title_nats": 3.0}\n{"step": 2, "title_na')
    told = run_hidden(config, hidden.data, hidden.pairs(mask_seen=False), tmp_path)
    assert [row["step"] for row in told["curve"]] == [0, 2, 4]
    assert all("warm_HR@10" in row for row in told["curve"]), "as this run measured it, not as it was left"


def test_a_hidden_study_leaves_a_curve_and_a_table(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look is worse than the one before it, and still each run is judged after its last step."""
    falling, measure = count(0, -1), Validation.measure
    monkeypatch.setattr(Validation, "measure", lambda self, model: {**measure(self, model), CHOSEN_BY: next(falling)})
    config = tmp_path / "tiny.toml"
    config.write_text('name = "tiny"\nsteps = 4\nvalidate_every = 2\nwindows = 4\npositions = 2\n[softmax]\nrepeats = false\n'
                      "[encoder]\ndim = 16\nhistory_length = 8\nvisual_components = 4\n"
                      "[backbone]\nhidden = 32\nlayers = 1\nheads = 2\nintermediate = 64\nvocabulary = 320\n"
                      "warm_up_steps = 2\n")  # fmt: skip
    told = ["--data", str(planted.data), "--out", str(tmp_path / "out"), "--config", str(config), "--hidden", "--seeds", "0"]
    assert main([*told, "--paths", "lm", "--arms", "action", "text"]) == 0
    told_figures = json.loads((tmp_path / "out" / "tiny-lm-text-0.json").read_text())
    assert [row["step"] for row in told_figures["curve"]] == [0, 2, 4]
    assert told_figures["training"]["step"] == 4
    assert all(np.isfinite(row["title_nats"]) for row in told_figures["curve"])
    assert (told_figures["shared_top"], told_figures["decoys"]) == (8, 20), "a fifth and a half of 40 items"
    table = capsys.readouterr().out
    assert "| text | 1 |" in table
    page = tmp_path / "out" / "index.html"
    assert table == f"{(tmp_path / 'out' / 'table.md').read_text()}\npage: {page}\n"
    assert page.is_file()


def test_items_without_titles_are_judged_by_their_ranks_alone(planted: Planted, tmp_path: Path) -> None:
    """There is no title to tell from others, and the table says so."""
    data = tmp_path / "data"
    shutil.copytree(planted.data, data)
    catalogue = pq.read_table(data / "catalogue.parquet")
    untitled = pa.nulls(len(catalogue), pa.string())
    pq.write_table(catalogue.set_column(catalogue.column_names.index("title"), "title", untitled), data / "catalogue.parquet")
    hidden = hide(data, read_catalogue(data), tmp_path / "out" / "hidden", repeats=False)
    config = arm_config(planted.config, "action", "pool", 0, {"steps": 2, "validate_every": 2})
    told = run_hidden(config, hidden.data, hidden.pairs(mask_seen=True), tmp_path / "out")
    assert told["title_found"] is None
    assert told["warm_HR@10"] is not None
    table, page = write_results(tmp_path / "out", "", None)
    assert page.is_file()
    assert "| action | 1 |" in table
