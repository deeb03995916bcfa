"""The page of a judged encoder, from facts made by hand; where there is a browser, as it opens from a file."""

from pathlib import Path

import numpy as np
import pytest

from jobs.report.encoder_facts import EncoderFacts
from jobs.report.encoder_figures import encoder_figures
from jobs.report.page import filled
from tests.report.browser import BROWSERS, Elements, browser, open_page
from tests.report.made_encoder import UNMEASURED, encoder_facts
from tests.report.made_facts import HOSTILE
from tests.report.test_page import figures_in, section

PLOTS = {"rates", "differences", "spectrum", "ages", "slices", "attention"}


def page_of(facts: EncoderFacts) -> str:
    return filled("encoder.html.jinja", encoder_figures(facts), facts=facts)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("key-facts", ("40", "100", "3")),
        ("metrics", ("cold items", "n = 12", "under 200", "the encoder is better", "0.750", "seen items are kept")),
        ("metrics", ("-0.100 [-0.200, +0.100]", "+0.500 [+0.250, +0.750]", "HR@50: 0.750 [0.700, 0.812]", "the query adds +0.500")),
        ("ages", ("31 users", "14", "0.360", "-0.010 [-0.020, +0.005]")),
        ("measures", ("0.321", "0.654", "95 % interval 0.601 to 0.702", "7 users of one kind", "0.444", "0.222", "raw they fill 90.0%")),
        ("measures", ("+0.500", "0.111", "0.888", "0.062", "-2.345", "effective rank 12.0", "not measured")),
        ("vectors", ("interests", "items", "effective rank")),
        ("attention", ("16 histories",)),
        ("people", ("took next, ranked 17", "next A film", "like A film", "click: A film")),
    ],
)
def test_what_was_measured_stands_in_its_section(name: str, words: tuple[str, ...]) -> None:
    shown = section(page_of(encoder_facts()), name)
    assert [word for word in words if word not in shown] == []


def test_every_picture_is_there_with_a_height() -> None:
    assert figures_in(page_of(encoder_facts())).keys() == PLOTS
    assert [name for name, figure in encoder_figures(encoder_facts()).items() if not figure.layout.height] == []


def test_ages_are_a_line_a_cutoff_that_has_rates() -> None:
    drawn = figures_in(page_of(encoder_facts()))["ages"]["data"]
    assert [line["name"] for line in drawn] == ["HR@10", "HR@50"]
    assert drawn[0]["x"] == [0, 1, 3, 7, 14]
    assert drawn[0]["y"] == pytest.approx([0.5, 0.49, 0.47, 0.43, 0.36])


def test_slices_are_drawn_at_fifty_and_the_small_ones_say_so() -> None:
    drawn = figures_in(page_of(encoder_facts()))["slices"]["data"]
    assert [dots["name"] for dots in drawn] == ["encoder", "popularity"]
    assert drawn[0]["y"] == ["histories of 1 to 9 events (n = 400)", "cold items (n = 12, not judged)"]
    assert drawn[1]["x"] == [0.25, 0.25]
    assert (drawn[0]["error_x"]["array"], drawn[0]["error_x"]["arrayminus"]) == ([0.0625, 0], [pytest.approx(0.05), 0])
    assert "error_x" not in drawn[1]


def test_attention_has_no_future() -> None:
    (heat,) = figures_in(page_of(encoder_facts()))["attention"]["data"]
    cells = np.array(heat["z"], object)
    assert cells[0, 0] == 1
    assert cells[32, 0] == pytest.approx(1 / 33, abs=1e-4)
    assert all(cell is None for cell in cells[np.triu_indices(33, 1)])


def test_what_was_not_measured_is_said_and_not_drawn() -> None:
    page = page_of(encoder_facts(UNMEASURED, ages=None, attention=None, people=(), clouds=()))
    assert figures_in(page).keys() == {"rates"}
    assert section(page, "measures").count("not measured") == 10
    assert "too few items of a kind" in section(page, "measures")
    for name, words in {"ages": "No user has an event", "attention": "no language model", "people": "No target could"}.items():
        assert words in section(page, name)


def test_a_title_stays_text() -> None:
    page = page_of(encoder_facts(title=HOSTILE))
    assert f"next {HOSTILE}" in section(page, "people")
    assert [tag for tag, found in Elements(page).tags if tag == "img" or "onerror" in found] == []


def test_nothing_is_written_without_a_decoder() -> None:
    made = encoder_facts()
    silent = tuple(type(person)(**{**vars(person), "written": None}) for person in made.people)
    assert "written from the vector" in section(page_of(made), "people")
    assert "written from the vector" not in section(page_of(encoder_facts(people=silent)), "people")


@pytest.mark.skipif(browser() is None, reason=f"no Chromium: install one ({', '.join(BROWSERS)}), or name it in CHROMIUM")
def test_a_browser_draws_all_of_it_and_complains_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page_of(encoder_facts(title=HOSTILE)), encoding="utf-8")
    opened = open_page(str(browser()), tmp_path / "index.html", tmp_path / "profile")
    elements = Elements(opened.dom)
    assert opened.console == []
    assert {name for name in PLOTS if "main-svg" in elements.classes.get(f"plot-{name}", set())} == PLOTS
