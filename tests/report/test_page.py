"""The page from facts made by hand: what it says where something is missing, and that no text of the source's becomes markup."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from jobs.report.clouds import cloud_of
from jobs.report.facts import Coverage, Facts, Histories
from jobs.report.figures import figures_of
from jobs.report.page import in_script, render
from tests.report.browser import Elements
from tests.report.made_facts import HOSTILE, facts, vectors

LINK = '<a href="https://example.org">x</a>'


def figures_in(page: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    read: dict[str, dict[str, list[dict[str, object]]]] = json.loads(found.group(1))
    return read


def section(page: str, name: str) -> str:
    return Elements(page).texts[name]


@pytest.mark.parametrize("title", [HOSTILE, LINK, "</script><script>alert(1)</script>", "{{ 7 * 7 }}", "%{y} <b>bold</b> &amp;"])
def test_a_title_stays_text(title: str) -> None:
    page = render(facts(title=title))
    assert title in section(page, "people")
    hovered = figures_in(page)["map"]["data"][0]["hovertext"]
    assert hovered == [html.escape(title, quote=False)] * 4
    assert len(re.findall(r"<script[ >]", page.replace(_library(page), ""))) == 3, "the data, plotly, and what draws"
    assert [found for tag, found in Elements(page).tags if tag == "img" or "onerror" in found] == []


@pytest.mark.parametrize("text", ["</script><script>", "<!--<script>", "a & b", "one\u2028two\u2029three"])
def test_json_inside_a_script_reads_as_it_was_and_ends_nothing(text: str) -> None:
    spelt = in_script(json.dumps({"title": text}, ensure_ascii=False))
    assert json.loads(spelt) == {"title": text}
    assert re.findall("[<>&\u2028\u2029]", spelt) == []


def _library(page: str) -> str:
    """The longest script: plotly's own text has tags in strings."""
    return max(re.findall(r"<script>(.*?)</script>", page, re.DOTALL), key=len)


def test_the_library_is_inside_once_and_only_named_scripts_may_run() -> None:
    page = render(facts())
    assert page.count(_library(page)) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline'; img-src" in policy.group(1)
    assert "script-src 'unsafe" not in policy.group(1)


def test_the_same_facts_give_the_same_page() -> None:
    assert render(facts()) == render(facts())


def test_without_targets_it_says_so() -> None:
    page = render(facts(judged=None))
    assert "No held-out targets were given" in section(page, "metrics")
    assert "not measured" in section(page, "state")
    assert {"rates", "differences"}.isdisjoint(figures_in(page))


def test_a_baseline_that_is_not_beaten_is_not_called_beaten() -> None:
    made = facts()
    assert made.judged is not None
    worse = replace(made.judged.differences[0], mean=-0.1, low=-0.2, high=-0.05)
    level = replace(worse, baseline="co+text", high=0.01)
    shown = section(render(replace(made, judged=replace(made.judged, differences=(worse, level)))), "state")
    assert "popularity: the encoder is worse; co+text: no difference beyond luck" in shown


def test_without_images_no_event_is_marked() -> None:
    made = facts()
    plain = tuple(
        replace(person, history=tuple(replace(line, image=False) for line in person.history), nearest=person.nearest)
        for person in made.people
    )
    page = render(replace(made, people=plain, coverage=replace(made.coverage, with_image=0)))
    assert 'mark"' not in page.split('id="people"')[1].split("</section>")[0]
    assert "0.0%" in section(page, "coverage")


def test_without_impressions_it_says_so() -> None:
    page = render(facts(coverage=_without_impressions(facts().coverage)))
    assert "There is no impression on the published days" in section(page, "coverage")
    assert "No impression of these days could be expected" in section(page, "state")
    assert "impressions" not in figures_in(page)


def _without_impressions(coverage: Coverage) -> Coverage:
    return replace(coverage, reasons=dict.fromkeys(coverage.reasons, 0), expected=0, expected_with_vector=0, derived=0)


def test_one_user_has_no_spread_and_is_still_drawn() -> None:
    page = render(facts(users=1, items=2))
    assert "Fewer than two interests" in section(page, "vectors")
    assert {"map", "lengths", "snapshots"} <= figures_in(page).keys()


def test_nothing_at_all() -> None:
    made = facts()
    nothing = np.zeros(0, np.int64)
    none = np.zeros((0, 8), np.float32)
    empty = replace(
        made, arrivals=(), refused=(), gates=(), people=(), area=None, judged=None, validation={},
        histories=Histories(lengths=nothing, users=nothing, read=2), clouds=(cloud_of("interests", none, 0), cloud_of("items", none, 0)),
        coverage=replace(_without_impressions(made.coverage), items=0, with_image=0, with_title=0, with_vector=0),
    )  # fmt: skip
    page = render(empty)
    for name, words in {"arrivals": "Nothing was refused", "gates": "No gate has judged", "area": "no published vector"}.items():
        assert words in section(page, name)


@pytest.mark.parametrize(
    ("gate", "said"), [({}, "all 1 passed"), ({"verdict": "blocked", "failed": ("snapshot.finite",)}, "1 did not pass, first validate")]
)
def test_a_gate_that_blocked_is_named_at_the_top(gate: dict[str, object], said: str) -> None:
    made = facts()
    page = render(replace(made, gates=(replace(made.gates[0], **gate),)))
    assert said in section(page, "state")
    assert ("snapshot.finite" in section(page, "gates")) == bool(gate)


def test_a_collapsed_cloud_is_called_one() -> None:
    line = np.tile(vectors(1), (60, 1))
    collapsed: Facts = facts(clouds=(cloud_of("interests", line, 60),))
    said = section(render(collapsed), "vectors")
    assert "That is a collapse: the gate asks for 5." in said
    assert "nearly one point for all" in said


def test_every_figure_fits_the_page() -> None:
    """A figure without a height would be drawn into nothing."""
    assert [name for name, figure in figures_of(facts()).items() if not figure.layout.height] == []
