"""The page of an ablation, from stored runs made by hand: every figure is one that the runs left, and what they lack is said."""

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.ablation_paths import path_pairs
from jobs.ablation_runs import finished_runs
from jobs.ablation_table import markdown, tables_of
from jobs.report.write_ablation import write_ablation_page
from tests.report.browser import BROWSERS, Elements, browser, open_page
from tests.report.made_ablation import decoded, leave, leave_hidden, whole
from tests.report.made_facts import HOSTILE
from tests.report.test_page import figures_in, section

PLOTS = {
    "bars-pool", "bars-pool+lm", "curves-pool", "curves-pool+lm", "spectra-pool", "spectra-pool+lm", "attention-pool+lm",
    "added-pool+lm",
}  # fmt: skip


def page_of(folder: Path, against: str | None = None) -> str:
    runs = finished_runs(folder)
    return write_ablation_page(folder, runs, tables_of(runs), path_pairs(runs, against)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(whole(tmp_path_factory.mktemp("ablation")))


def test_every_part_has_its_figure_and_nothing_is_left_out(page: str) -> None:
    assert figures_in(page).keys() == PLOTS
    assert 'class="none"' not in page
    found = Elements(page).texts
    assert [found[f"fact-{name}"] for name in ("runs", "arms", "paths", "seeds")] == ["5", "2", "2", "2"]


def test_the_page_shows_the_cells_of_the_markdown_table(tmp_path: Path) -> None:
    shown = Elements(page_of(whole(tmp_path))).rows
    for table in tables_of(finished_runs(tmp_path)):
        lines = [line.strip("| ").split(" | ") for line in markdown([table]).splitlines() if line.startswith("|")]
        assert shown[f"table-{table.path}"][1:] == lines[2:]
    (action, text) = shown["table-pool+lm"][1:]
    assert action[:3] == ["action", "2", "0.125"], "a quarter of the targets in one of two seeds"
    assert text[2].startswith("0.500 (+0.250 ["), "against seed 0 alone: a half minus a quarter"


def test_the_page_shows_the_arms_beside_the_baselines(tmp_path: Path) -> None:
    runs = finished_runs(whole(tmp_path))
    tables = tables_of(runs, {"co": np.full(40, 11)})
    shown = Elements(write_ablation_page(tmp_path, runs, tables, ()).read_text(encoding="utf-8")).rows
    assert shown["beside-pool"][0][1:] == ["seeds", "HR@10", "HR@50", "HR@200"]
    assert shown["beside-pool"][1] == ["co", "", "0.000", "1.000", "1.000"]
    for table in tables:
        lines = [line.strip("| ").split(" | ") for line in markdown([table]).splitlines() if line.startswith("|")]
        assert shown[f"beside-{table.path}"][2:] == lines[-len(table.rows) :]


def test_only_what_enough_seeds_and_users_say_is_coloured(tmp_path: Path) -> None:
    for seed in range(3):
        leave(tmp_path, "pool", "action", seed, [300] * 200)
        leave(tmp_path, "pool", "text", seed, [1] * 200)
    assert "at least 3 common seeds and 200 users" in section(page_of(tmp_path), "tables")
    assert {"above"} == {"above", "below"} & Elements(page_of(tmp_path)).classes["table-pool"]
    (tmp_path / "made-pool-action-0.json").unlink()
    assert not {"above", "below"} & Elements(page_of(tmp_path)).classes["table-pool"]


def test_whiskers_reach_as_far_as_the_interval(page: str) -> None:
    action, text = figures_in(page)["bars-pool+lm"]["data"]
    assert (action["name"], text["name"]) == ("action", "text")
    assert text["y"] == [0.5, 0.5, 0.5]
    assert (action["error_y"]["visible"], text["error_y"]["visible"]) == (False, True)  # type: ignore[index]
    low, high = (float(end) for end in Elements(page).rows["table-pool+lm"][2][2].split("[")[1].rstrip("])").split(", "))
    assert text["error_y"]["array"][0] == pytest.approx(high - 0.25, abs=5e-4)  # type: ignore[index]
    assert text["error_y"]["arrayminus"][0] == pytest.approx(0.25 - low, abs=5e-4)  # type: ignore[index]


def test_what_the_language_model_adds_is_paired_by_slice_over_the_common_seeds(page: str) -> None:
    """Seed 0 of action finds the cold targets, every fourth one, with the language model alone; text loses every second hit."""
    rows = {(row[0], row[1], row[3]): row for row in Elements(page).rows["added-pool+lm"][1:]}
    assert rows["action", "all targets", "HR@50"][2:6] == ["40", "HR@50", "0.250", "0.000"]
    assert rows["action", "all targets", "HR@10"][6].startswith("+0.250 [")
    fewer = "+1.000 [+1.000, +1.000], 1 of 2 seeds"
    assert rows["action", "cold items", "HR@50"] == ["action", "cold items", "10", "HR@50", "1.000", "0.000", fewer]
    assert rows["action", "histories of 1 to 9 events", "HR@50"][2] == "9"
    assert rows["action", "histories of 1 to 9 events", "HR@50"][6].startswith("+0.333 ["), "users 0, 4 and 8 of nine"
    assert rows["text", "all targets", "HR@50"][6].startswith("-0.500 [")
    assert {row[1] for row in Elements(page).rows["added-pool+lm"][1:]}.isdisjoint(
        {"new items", "targets with a typed query", "targets without a query"}
    )
    dots = {trace["name"]: trace for trace in figures_in(page)["added-pool+lm"]["data"]}
    assert dots["text"]["x"][:3] == [-0.5, -0.5, -0.5]  # type: ignore[index]


def test_every_path_is_held_against_the_pool_or_the_one_that_is_named(tmp_path: Path) -> None:
    for path, ranks in {"pool": [300] * 4, "pool+lm": [1, 300, 300, 300], "lm": [1, 1, 300, 300]}.items():
        leave(tmp_path, path, "text", 0, ranks)
    shown = Elements(page_of(tmp_path)).rows
    assert [name for name in shown if name.startswith("added")] == ["added-pool+lm", "added-lm"]
    assert shown["added-lm"][0][-1] == "lm minus pool"
    assert shown["added-lm"][1][-1].startswith("+0.500 [")
    assert "without generation on pool: text" in section(page_of(tmp_path), "pairs")
    page = page_of(tmp_path, "pool+lm")
    shown = Elements(page).rows
    assert [name for name in shown if name.startswith("added")] == ["added-pool", "added-lm"]
    assert shown["added-lm"][1][-1].startswith("+0.250 [")


def test_without_a_pool_the_first_path_is_the_one_that_the_others_are_held_against(tmp_path: Path) -> None:
    leave(tmp_path, "lm", "action", 0, [300] * 4)
    leave(tmp_path, "lm+id", "action", 0, [1, 300, 300, 300])
    page = page_of(tmp_path)
    assert Elements(page).rows["added-lm+id"][0][-1] == "lm+id minus lm"
    assert "without generation" not in section(page, "pairs")


def test_a_path_without_a_common_seed_is_left_out(tmp_path: Path) -> None:
    leave(tmp_path, "pool", "action", 0, [300] * 4)
    leave(tmp_path, "pool+lm", "action", 0, [1, 300, 300, 300])
    leave(tmp_path, "blocks", "action", 1, [1, 1, 300, 300])
    assert [name for name in Elements(page_of(tmp_path)).rows if name.startswith("added")] == ["added-pool+lm"]


def test_curves_are_means_over_seeds_within_their_range(page: str) -> None:
    """hr@50 is .1 and .2 at steps 10 and 20 in seed 0, .1 more in seed 1."""
    drawn = figures_in(page)["curves-pool+lm"]["data"]
    band, line = drawn[0], drawn[1]
    assert (line["name"], line["x"]) == ("action", [10, 20])
    assert line["y"] == pytest.approx([0.15, 0.25])
    assert band["x"] == [10, 20, 20, 10]
    assert band["y"] == pytest.approx([0.2, 0.3, 0.2, 0.1])


def test_spectra_are_means_over_seeds(page: str) -> None:
    action, text = figures_in(page)["spectra-pool+lm"]["data"]
    assert (action["name"], text["name"]) == ("action", "text")
    assert action["y"] == pytest.approx([0.45, 0.3, 0.2, 0.05])
    assert text["y"] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_attention_begins_with_step_0_and_names_the_sinks(page: str) -> None:
    maps = figures_in(page)["attention-pool+lm"]["data"]
    assert len(maps) == 3
    before, action = (np.array(of["z"], object) for of in maps[:2])
    assert (before[20, 20], before[20, 19]) == (1, 0)
    assert action[20, 0] == pytest.approx(1 / 21, abs=1e-4)
    titles = [note["text"] for note in _layout(page)["attention-pool+lm"]["annotations"]]
    assert titles == ["step 0: sinks 0.125", "action: sinks 0.500", "text: sinks 0.250"]
    assert Elements(page).rows["sinks-pool+lm"][1:] == [["action", "0.500", "0.125"], ["text", "0.250", "0.125"]]


def _layout(page: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    return {name: figure["layout"] for name, figure in figures_in(page).items()}  # type: ignore[misc]


def test_users_in_words_stand_once_with_what_every_arm_writes(page: str) -> None:
    shown = section(page, "words")
    for words in ("2 users", "seed 0", f"{HOSTILE} 3", "before 3", "pool+lm action", "plain 3", "ranked 10", "pool+lm text", "ranked 16"):
        assert words in shown
    assert shown.count("before 9") == 1
    assert [tag for tag, found in Elements(page).tags if tag == "img" or "onerror" in found] == []


def test_runs_of_an_earlier_version_give_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    for path in ("pool", "pool+lm"):
        leave(tmp_path, path, "action", 0, [1, 2, 300, 400], kept=False)
    (tmp_path / "made-pool-items-0.json").write_text(json.dumps({"n": 4}))  # its npz is being replaced
    page = page_of(tmp_path)
    assert figures_in(page).keys() == {"bars-pool", "bars-pool+lm", "curves-pool", "curves-pool+lm", "added-pool+lm"}
    said = {
        "pairs": "No slices", "spectra": "No run kept its singular values", "attention": "No attention was kept",
        "words": "--decode",
    }  # fmt: skip
    for name, words in said.items():
        assert words in section(page, name)
    assert Elements(page).rows["added-pool+lm"][1][6] == "+0.000 [+0.000, +0.000]"
    assert "items" not in [row[0] for row in Elements(page).rows["table-pool"]]


def test_runs_that_were_not_asked_the_same_are_not_compared(tmp_path: Path) -> None:
    leave(tmp_path, "pool", "action", 0, [1] * 4, kept=False)
    leave(tmp_path, "pool+lm", "action", 0, [1] * 5, kept=False)
    leave(tmp_path, "pool+lm", "text", 1, [1] * 5, kept=False)
    page = page_of(tmp_path)
    assert "No arm was run on two paths with a common seed" in section(page, "pairs")
    assert Elements(page).rows["table-pool+lm"][2] == ["text", "1", "1.000", "1.000", "1.000"]


def test_a_folder_without_runs_has_a_page_that_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "No run is finished yet" in section(page, "tables")
    assert figures_in(page) == {}


def test_hidden_runs_show_each_kind_and_what_is_known(tmp_path: Path) -> None:
    """Of 30 pairs the cold ones are found with the language model alone."""
    cold = [1 if row % 3 == 1 else 300 for row in range(30)]
    leave_hidden(tmp_path, "pool", "action", 0, [300] * 30)
    leave_hidden(tmp_path, "pool+lm", "action", 0, cold, **decoded("x"))
    leave_hidden(tmp_path, "pool+lm", "action", 1, cold)
    page = page_of(tmp_path)
    rows = {(row[1], row[3]): row for row in Elements(page).rows["added-pool+lm"][1:]}
    assert rows["cold items", "HR@50"][6] == "+1.000 [+1.000, +1.000], 1 of 2 seeds"
    assert rows["new items", "HR@50"][6] == "+0.000 [+0.000, +0.000], 1 of 2 seeds"
    assert rows["all targets", "HR@50"][6] == "+0.333 [+0.333, +0.333], 1 of 2 seeds", "one of three pairs of every user"
    for told in ("their share of the first 7;", "title first among 20,"):
        assert told in section(page, "tables")
    assert "hidden items" in section(page, "curves")
    titles = [note["text"] for note in _layout(page)["curves-pool+lm"]["annotations"]]
    assert titles == ["HR@50, cold items", "nats a token of new titles"], "no curve of a K that reaches all cold items"
    line = figures_in(page)["curves-pool+lm"]["data"][1]
    assert line["x"] == [0, 5]
    assert line["y"] == pytest.approx([0.15, 0.35])
    assert {"warm_HR@200", "cold_HR@200", "decodability"} <= set(tables_of(finished_runs(tmp_path))[0].columns)
    assert figures_in(page)["bars-pool"]["data"][0]["x"][0] == "warm HR@200"  # type: ignore[index]


@pytest.mark.skipif(browser() is None, reason=f"no Chromium: install one ({', '.join(BROWSERS)}), or name it in CHROMIUM")
def test_a_browser_draws_all_of_it_and_complains_of_nothing(tmp_path: Path) -> None:
    page_of(whole(tmp_path))
    opened = open_page(str(browser()), tmp_path / "index.html", tmp_path / "profile")
    elements = Elements(opened.dom)
    assert opened.console == []
    assert {name for name in PLOTS if "main-svg" in elements.classes.get(f"plot-{name}", set())} == PLOTS
