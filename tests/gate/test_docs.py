"""Data Docs open without a network."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.gate import FAILED, NOT_APPLICABLE, PASSED, RuleResult, Verdict, docs
from jobs.gate.expectations import judge
from jobs.gate.rules import EVERY_ROW, FIGURE, Rule
from schemas.gate_rules import Threshold
from tests.gate.days import DS, SPACE

UNIT = Threshold(minimum=0.999, maximum=1.001, reason="unit vectors")


class Fetched(HTMLParser):
    """Collects what a browser would load on its own: scripts, style sheets, pictures, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in ("src", "href", "data", "srcset") and value]


def fetched(html: str) -> list[str]:
    parser = Fetched()
    parser.feed(html)
    return parser.found


@pytest.fixture
def site(spark: SparkSession, tmp_path: Path) -> Path:
    """A site as Great Expectations builds it, with one failing rule."""
    site = docs.site_of(tmp_path, "item_embeddings_staged", SPACE, DS)
    docs.clear(site)
    rows = spark.createDataFrame([("a", 1.0), ("b", 1.1)], "key string, norm double")
    norms = Rule(name="unit_norm", frame="items", threshold=UNIT, kind=EVERY_ROW, column="norm", expected_rows=2)
    judge(spark, [norms, Rule(name="rank", frame="items", threshold=UNIT, kind=FIGURE, figure=1.0)], {"items": rows}, site)
    return site


def verdict_at(site: Path) -> Verdict:
    results = tuple(
        RuleResult(rule=f"rule {status}", frame="items", status=status, observed="<b> & 1", expected=">= 5", reason="it must")
        for status in (PASSED, FAILED, NOT_APPLICABLE)
    )
    return Verdict(passed=False, rules=results, rows=2, docs=site / docs.INDEX)


def test_pages_fetch_nothing_and_keep_their_content(site: Path, tmp_path: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 4  # a suite and a validation for the rows and for the figures
    assert all(any(link.startswith("https://") for link in fetched(page.read_text())) for page in pages)
    docs.finish(verdict_at(site), tmp_path, table="item_embeddings_staged", space_id=SPACE, ds=DS)
    written = sorted(tmp_path.rglob("*.html"))
    assert set(written) == {*pages, site / "index.html", tmp_path / "index.html"}
    for page in written:
        html = page.read_text()
        assert fetched(html) == []
        assert "url(http" not in html.replace("'", "").replace('"', "")
    validation = next(page.read_text() for page in pages if "validations" in page.as_posix() and "items" in page.parts[-1])
    assert "norm" in validation
    assert "1.1" in validation


def test_the_index_names_every_rule_and_leads_to_every_page(site: Path, tmp_path: Path) -> None:
    docs.finish(verdict_at(site), tmp_path, table="item_embeddings_staged", space_id=SPACE, ds=DS)
    index = (site / "index.html").read_text()
    assert all(f"rule {status}" in index for status in (PASSED, FAILED, NOT_APPLICABLE))
    assert "&lt;b&gt; &amp; 1" in index  # values are text, not markup
    for page in site.rglob("validations/**/*.html"):
        assert page.relative_to(site).as_posix() in index
    assert (site / "index.html").relative_to(tmp_path).as_posix() in (tmp_path / "index.html").read_text()


def test_a_second_verdict_on_the_same_day_replaces_the_first(tmp_path: Path) -> None:
    site = docs.site_of(tmp_path, "items", SPACE, DS)
    docs.clear(site)
    (site / "old.html").write_text("old")
    docs.clear(site)
    assert list(site.iterdir()) == []
