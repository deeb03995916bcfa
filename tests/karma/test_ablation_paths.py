"""Paths held against one another: the same arm, over the same users and seeds, and K below the number of items ranked."""

from pathlib import Path

from jobs.ablate import write_results
from jobs.ablation_paths import pairs_markdown, path_pairs
from jobs.ablation_runs import finished_runs
from tests.report.made_ablation import leave, leave_hidden


def pairs_table(folder: Path, against: str | None = None) -> list[str]:
    return pairs_markdown(path_pairs(finished_runs(folder), against)).splitlines()


def test_the_table_has_a_row_an_arm_with_each_cut_off(tmp_path: Path) -> None:
    leave(tmp_path, "pool", "action", 0, [300, 300, 300, 40])
    leave(tmp_path, "pool", "text", 0, [1] * 4)
    leave(tmp_path, "state", "action", 0, [300, 40, 100, 40])
    leave(tmp_path, "state", "action", 1, [1, 1, 1, 1])
    leave(tmp_path, "state", "text", 0, [1] * 4)
    told, _, head, _, action, text = pairs_table(tmp_path)
    assert told.startswith("state minus pool, the same arm, over users")
    assert told.endswith("; without generation on pool: text")
    assert head == "| arm | seeds | HR@10 | HR@50 | HR@200 |"
    cells = action.split(" | ")
    assert cells[:2] == ["| action", "2"]
    assert cells[2] == "+0.000 [+0.000, +0.000], 1 of 2 seeds"
    assert cells[3].startswith("+0.250 [")  # user 1
    assert cells[4].startswith("+0.500 [")  # and user 2
    assert text.split(" | ")[:3] == ["| text", "1", "+0.000 [+0.000, +0.000]"]


def test_a_hidden_study_is_compared_by_kind_where_a_kind_has_more_items_than_the_list_is_long(tmp_path: Path) -> None:
    """Of three pairs of every user the cold one is found at 40, among more than 50 cold items; there are 20 new ones."""
    few = {"new_HR@50": None, "new_HR@200": None}
    leave_hidden(tmp_path, "lm", "action", 0, [300] * 30, **few)
    leave_hidden(tmp_path, "lm+id", "action", 0, [40 if row % 3 == 1 else 300 for row in range(30)], **few)
    _, _, head, _, action = pairs_table(tmp_path, "lm")
    found = dict(zip(head.strip("| ").split(" | "), action.strip("| ").split(" | "), strict=True))
    assert found == {
        "arm": "action", "seeds": "1", "HR@10": "+0.000 [+0.000, +0.000]", "HR@50": "+0.333 [+0.333, +0.333]",
        "HR@200": "+0.333 [+0.333, +0.333]", "warm items HR@50": "+0.000 [+0.000, +0.000]",
        "cold items HR@50": "+1.000 [+1.000, +1.000]", "new items HR@10": "+0.000 [+0.000, +0.000]",
    }  # fmt: skip


def test_table_and_page_hold_the_pairs_that_were_asked_for(tmp_path: Path) -> None:
    for path in ("pool", "state", "lm"):
        leave(tmp_path, path, "action", 0, [1, 2])
    table, page = write_results(tmp_path, "", "state")
    assert (tmp_path / "table.md").read_text() == table
    assert [told for told in ("pool minus state,", "lm minus state,", "minus pool,") if told in table] == [
        "pool minus state,",
        "lm minus state,",
    ]
    assert "<h3>lm minus state</h3>" in page.read_text(encoding="utf-8")


def test_one_path_has_no_pair(tmp_path: Path) -> None:
    assert pairs_table(tmp_path) == []
    leave(tmp_path, "lm", "action", 0, [1, 2])
    assert pairs_table(tmp_path) == pairs_table(tmp_path, "pool") == []
