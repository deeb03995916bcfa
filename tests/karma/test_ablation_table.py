"""The table of an ablation: means over seeds, and differences over the same users and seeds."""

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.ablation_runs import baselines_of, finished_runs, leave_baselines
from jobs.ablation_table import markdown, tables_of
from tests.report import made_ablation


def ablation_table(folder: Path, asked: str = "") -> str:
    return markdown(tables_of(finished_runs(folder), baselines_of(folder, asked)))


def leave(folder: Path, arm: str, seed: int, ranks: list[int]) -> None:
    rates = {f"HR@{k}": float(np.mean(np.array(ranks) <= k)) for k in (10, 50, 200)}
    (folder / f"set-pool+lm-{arm}-{seed}.json").write_text(json.dumps({"n": len(ranks), **rates}))
    np.savez(folder / f"set-pool+lm-{arm}-{seed}.npz", ranks=np.array(ranks))


def test_means_are_over_seeds_and_differences_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    leave(tmp_path, "action", 0, [1, 100, 300, 400])
    leave(tmp_path, "action", 1, [1, 2, 300, 400])
    leave(tmp_path, "text", 1, [1, 2, 3, 400])
    (tmp_path / "else.json").write_text("{}")
    table = ablation_table(tmp_path).splitlines()
    assert table[0].startswith(
        "path pool+lm, n = 4, means over targets and all seeds of the arm; in brackets the paired difference to action"
    )
    assert table[4] == "| action | 2 | 0.375 | 0.375 | 0.500 |"  # seed 0 hits 1, 1 and 2 of 4, seed 1 two of 4
    assert table[5].startswith("| text | 1 | 0.750 (+0.250 [")  # against action's seed 1 alone: 3 of 4 and 2 of 4


def test_a_difference_says_on_how_many_seeds_it_stands_where_the_arm_has_more(tmp_path: Path) -> None:
    """The mean is over three seeds, .5; the difference over the one that both have, .25 minus 0."""
    leave(tmp_path, "action", 2, [300, 300, 300, 300])
    for seed, ranks in enumerate(([1, 1, 1, 300], [1, 1, 300, 300], [1, 300, 300, 300])):
        leave(tmp_path, "text", seed, ranks)
    leave(tmp_path, "images", 2, [1, 300, 300, 300])
    text, images = (line.split(" | ") for line in ablation_table(tmp_path).splitlines()[5:7])
    assert text[2].startswith("0.500 (+0.250 [")
    assert text[2].endswith("], 1 of 3 seeds)")
    assert images[2].endswith("])")


@pytest.mark.parametrize(("seeds", "users", "colour"), [(3, 200, "above"), (2, 200, ""), (3, 199, "")])
def test_a_difference_is_judged_from_three_seeds_and_two_hundred_users_on(tmp_path: Path, seeds: int, users: int, colour: str) -> None:
    for seed in range(seeds):
        leave(tmp_path, "action", seed, [300] * users)
        leave(tmp_path, "text", seed, [1] * users)
    leave(tmp_path, "text", 7, [1] * users)  # no seed of the first arm's
    (table,) = tables_of(finished_runs(tmp_path))
    assert {cell.difference.colour for cell in table.rows[1].cells if cell.difference} == {colour}
    (beside,) = tables_of(finished_runs(tmp_path), {"co": np.ones(users)})
    assert {cell.difference.colour for cell in beside.beside[1].cells if cell.difference} == {colour.replace("above", "below")}


def test_an_arm_whose_name_begins_like_another_is_its_own_row(tmp_path: Path) -> None:
    leave(tmp_path, "images", 0, [1, 300])
    leave(tmp_path, "images_diffusion", 0, [1, 2])
    table = ablation_table(tmp_path).splitlines()
    assert table[4] == "| images | 1 | 0.500 | 0.500 | 0.500 |"
    assert table[5].startswith("| images_diffusion | 1 | 1.000 (+0.500 [")


def test_an_arm_stands_beside_the_baseline_that_is_best_at_the_cut_off(tmp_path: Path) -> None:
    leave(tmp_path, "action", 0, [1, 2, 300, 400])
    leave(tmp_path, "action", 1, [1, 20, 20, 400])
    assert leave_baselines(tmp_path, "other", lambda: {"gone": np.ones(4)})
    assert leave_baselines(tmp_path, "this", lambda: {"co": np.array([1, 100, 100, 100]), "text": np.array([5, 40, 300, 300])})
    assert not leave_baselines(tmp_path, "this", lambda: {"never": np.ones(4)})  # there already
    assert "baselines" not in ablation_table(tmp_path, "other")
    table = ablation_table(tmp_path, "this").splitlines()[5:]
    assert table[1].startswith("the same beside the baselines")
    assert table[3:7] == ["|  | seeds | HR@10 | HR@50 | HR@200 |", "| --- | --- | --- | --- | --- |",
                          "| co |  | 0.250 | 0.250 | 1.000 |", "| text |  | 0.250 | 0.500 | 0.500 |"]  # fmt: skip
    at_10, at_50, at_200 = table[7].split(" | ")[2:]
    assert at_10.startswith("0.375 (+0.125 [")
    assert at_10.endswith("] to co)")  # both have a quarter: the first of them
    assert at_50.startswith("0.625 (+0.125 [")
    assert at_50.endswith("] to text)")
    assert at_200.startswith("0.625 (-0.375 [")
    assert at_200.endswith("] to co) |")


def test_users_of_a_hidden_study_are_resampled_and_not_their_pairs(tmp_path: Path) -> None:
    """Two users with ten pairs each, alike within a user: the interval is as wide as two users make it."""
    for arm, hit in (("action", 0), ("text", 1)):
        own = np.concatenate([np.full(10, 1000), np.full(10, 1 if hit else 1000)])
        figures = {"n": 20, "warm_HR@200": float((own <= 200).mean())}
        (tmp_path / f"set-lm-{arm}-0.json").write_text(json.dumps(figures))
        same = {"equal_share": own, "kind": np.zeros(20, np.int64), "user": np.repeat([0, 1], 10), "title_found": np.ones(20)}
        np.savez(tmp_path / f"set-lm-{arm}-0.npz", own_kind=own, **same)
    assert "| text | 1 | 0.500 (+0.500 [+0.000, +1.000]) |" in ablation_table(tmp_path)


def test_a_rate_is_shown_at_the_largest_k_that_it_has(tmp_path: Path) -> None:
    """K of 200 and of 50 say nothing of some twenty cold items."""
    figures = {"n": 4, "warm_HR@50": 0.25, "warm_HR@200": 0.5, "cold_HR@200": None, "cold_HR@50": None, "cold_HR@10": 0.75}
    (tmp_path / "set-lm-action-0.json").write_text(json.dumps(figures))
    np.savez(tmp_path / "set-lm-action-0.npz", own_kind=np.ones(4), equal_share=np.ones(4), kind=np.zeros(4), user=np.arange(4))
    assert ablation_table(tmp_path).splitlines()[2::2] == ["| arm | seeds | warm_HR@200 | cold_HR@10 |", "| action | 1 | 0.500 | 0.750 |"]


def test_an_arm_says_what_it_goes_without_on_a_path_that_has_no_language_model(tmp_path: Path) -> None:
    for path in ("pool", "state"):
        for arm in ("action", "images"):
            made_ablation.leave(tmp_path, path, arm, 0, [1, 2])
    tables = tables_of(finished_runs(tmp_path), {"co": np.ones(2)})
    assert [[row.label for row in table.rows] for table in tables] == [["action", "images (without generation)"], ["action", "images"]]
    lines = markdown(tables).splitlines()
    assert [line.split(" | ")[0] for line in lines if "images" in line] == [
        "| images (without generation)", "| arm images (without generation)", "| images", "| arm images",
    ]  # fmt: skip


def test_a_folder_without_runs_has_no_table(tmp_path: Path) -> None:
    assert ablation_table(tmp_path) == ""
