"""The page as a browser opens it from a file: everything is there, plotly drew, nothing was asked of a network, no text became markup."""

import pytest

from jobs.report.page import render
from tests.report.browser import BROWSERS, Elements, Opened, browser, open_page
from tests.report.made_facts import HOSTILE, facts

PROGRAM = browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"no Chromium: install one ({', '.join(BROWSERS)}), or name it in CHROMIUM")
MARKED = f"<b>x</b>{HOSTILE}"
PLOTS = {"snapshots", "impressions", "lengths", "spectrum", "cosines", "map", "rates", "differences", "cost"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(render(facts(title=MARKED)), encoding="utf-8")
    assert PROGRAM is not None
    return open_page(PROGRAM, folder / "index.html", folder / "profile")


@pytest.fixture(scope="module")
def elements(opened: Opened) -> Elements:
    return Elements(opened.dom)


def test_the_key_facts_are_there(elements: Elements) -> None:
    shown = {name: elements.texts[f"fact-{name}"] for name in ("users", "items", "events", "impressions", "days", "spaces")}
    assert shown == {"users": "3", "items": "4", "events": "1,234", "impressions": "5,678", "days": "2", "spaces": "1"}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("arrivals", ("1,236", "malformed_row", "events.jsonl, row 1234")),
        ("gates", ("validate", "passed", "22", "16")),
        ("coverage", ("378 of 420", "90.0%", "25.0%")),
        ("histories", ("events in the history", "the encoder reads the newest 2")),
        ("vectors", ("effective rank", "1.0000")),
        ("area", ("3 of 3 interests and 4 of 4 items",)),
        ("metrics", ("HR@50", "0.750", "cold items", "the encoder is better", "n/a")),
        ("people", ("u0", "0.91", "taken before", "image")),
        ("cost", ("39 seconds in all", "2.0 users a second", "Python")),
        ("places", ("../summary.json",)),
    ],
)
def test_a_section_shows_its_figures(elements: Elements, section: str, words: tuple[str, ...]) -> None:
    assert [word for word in words if word not in elements.texts[section]] == []


def test_plotly_drew_every_figure(elements: Elements) -> None:
    assert {name for name in PLOTS if "main-svg" in elements.classes.get(f"plot-{name}", set())} == PLOTS
    assert "points" in elements.classes["plot-map"]


def test_a_title_that_is_markup_is_shown_as_its_characters(elements: Elements) -> None:
    assert MARKED in elements.texts["people"]
    assert MARKED[:25] in elements.texts["plot-map"], "plotly reads some tags itself"
    assert [found for tag, found in elements.tags if tag == "img" or "onerror" in found] == []


def test_the_console_is_silent(opened: Opened) -> None:
    assert opened.console == []


def test_no_element_points_to_a_network(elements: Elements) -> None:
    pointing = ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    addresses = [found[name] for _, found in elements.tags for name in pointing if found.get(name)]
    assert addresses
    assert [address for address in addresses if address and "//" in address] == []
