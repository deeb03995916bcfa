"""What evaluate-encoder and own-data print of held-out targets."""

import io

import pytest
from rich.console import Console

from jobs.showing.held_out import print_held_out, print_measures
from tests.report.made_encoder import FIGURES, UNMEASURED


def printed(figures: dict) -> list[list[str]]:
    """The cells of each line."""
    console = Console(file=io.StringIO(), width=160)
    print_held_out(console, figures, "Targets")
    print_measures(console, figures)
    assert isinstance(console.file, io.StringIO)
    return [[cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")] for line in console.file.getvalue().splitlines()]


def test_rates_and_differences_are_printed_by_cut_off() -> None:
    lines = printed(FIGURES)
    assert ["Targets: n = 40, 3 dropped, seen items kept"] in lines
    assert ["popularity", "0.125", "0.250", "n/a"] in lines
    assert ["cold items, n = 12: encoder", "0.500", "0.750", "n/a"] in lines
    assert ["encoder minus popularity", "-0.100 [-0.200, +0.100]", "+0.500 [+0.250, +0.750]", "n/a"] in lines
    assert ["encoder, query appended minus encoder, n = 9", "n/a", "+0.500 [+0.250, +0.750]", "n/a"] in lines
    assert ["7", "0.430", "0.750", "n/a"] in lines
    assert ["gAUC: 0.654 [0.601, 0.702], n = 20"] in lines


@pytest.mark.parametrize("page", [{"n": 0}, {"n": 0, "value": None}])
def test_what_was_not_measured_is_left_out(page: dict) -> None:
    told = " ".join(cell for line in printed({**UNMEASURED, "gAUC": page}) for cell in line)
    assert "encoder" in told
    assert not any(name in told for name in ("gAUC", "decodability", "By age", "appended minus"))


def test_of_one_page_of_results_there_is_no_interval() -> None:
    assert ["gAUC: 0.500, n = 1"] in printed({**FIGURES, "gAUC": {"n": 1, "value": 0.5}})
