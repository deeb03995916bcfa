"""Data Docs that open without a network: own index pages, Great Expectations' pages with nothing fetched from elsewhere."""

import json
import re
import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

from jinja2 import Environment

from jobs.gate.verdict import Verdict

INDEX = "index.html"
_VERDICT = "verdict.json"

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem;color:#1c2430}table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{border:1px solid #d5dae1;padding:.3rem .6rem;text-align:left;vertical-align:top}th{background:#f2f4f7}
.failed,.text-danger{color:#b3261e;font-weight:600}.passed,.text-success{color:#17663a}.not_applicable{color:#6b7482}
.collapse,.tab-pane{display:block}.modal,.popover,.cooltip .top,footer,.btn-group,#ge-cta-footer{display:none}
.ge-success-icon::before{content:"\\2713"}.ge-failed-icon::before{content:"\\2717"}
"""

_VERDICT_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ table }} {{ ds }}</title><style>{{ style | safe }}</style></head><body>
<h1>{{ table }}, {{ ds }}: <span class="{{ state }}">{{ state }}</span></h1>
<p>{{ rows }} staged rows in space {{ space_id }}. {{ summary }}. <a href="../../../index.html">All verdicts</a></p>
<table><tr><th>Rule</th><th>Frame</th><th>Status</th><th>Observed</th><th>Expected</th><th>Because</th></tr>
{% for rule in rules %}<tr><td>{{ rule.rule }}</td><td>{{ rule.frame }}</td><td class="{{ rule.status }}">{{ rule.status }}</td>
<td>{{ rule.observed }}</td><td>{{ rule.expected }}</td><td>{{ rule.reason }}</td></tr>
{% endfor %}</table>
<h2>Great Expectations' pages</h2><ul>{% for page in pages %}<li><a href="{{ page }}">{{ page }}</a></li>{% endfor %}</ul>
</body></html>
"""

_ALL_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Gate verdicts</title><style>{{ style | safe }}</style></head><body>
<h1>Gate verdicts</h1>
<table><tr><th>Table</th><th>Space</th><th>Day</th><th>Verdict</th><th>Rows</th><th>Rules</th></tr>
{% for verdict in verdicts %}<tr><td>{{ verdict.table }}</td><td>{{ verdict.space_id }}</td>
<td><a href="{{ verdict.page }}">{{ verdict.ds }}</a></td><td class="{{ verdict.state }}">{{ verdict.state }}</td>
<td>{{ verdict.rows }}</td><td>{{ verdict.summary }}</td></tr>
{% endfor %}</table></body></html>
"""

# Scripts, style sheets and pictures of the pages; all of them come from public networks or need the scripts that do.
_FETCHED = re.compile(r"<script\b.*?</script\s*>|<link\b[^>]*>|<img\b[^>]*>", re.IGNORECASE | re.DOTALL)
_FETCHED_BY_STYLE = re.compile(r"url\(\s*['\"]?https?://[^)]*\)|@import[^;]*;", re.IGNORECASE)


def site_of(docs_dir: Path, table: str, space_id: str, ds: date) -> Path:
    """The folder of one verdict: days and spaces do not overwrite each other, a rerun of one does."""
    return docs_dir / table / space_id / f"ds={ds.isoformat()}"


def clear(site: Path) -> None:
    """Make ``site`` an empty folder."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)


def finish(verdict: Verdict, docs_dir: Path, *, table: str, space_id: str, ds: date) -> None:
    """Take from the built pages what a network would serve, then write the verdict's page and the index of all verdicts."""
    site = verdict.docs.parent
    shutil.rmtree(site / "static", ignore_errors=True)  # fonts, logos and animations, 4 MB a verdict
    pages = sorted(site.rglob("*.html"))
    for page in pages:
        page.write_text(offline(page.read_text(encoding="utf-8")), encoding="utf-8")
    facts = {
        "table": table, "space_id": space_id, "ds": ds.isoformat(), "state": "passed" if verdict.passed else "failed",
        "rows": verdict.rows, "summary": verdict.summary(), "rules": [asdict(result) for result in verdict.rules],
    }  # fmt: skip
    (site / _VERDICT).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    links = [page.relative_to(site).as_posix() for page in pages]
    verdict.docs.write_text(_render(_VERDICT_PAGE, pages=links, **facts), encoding="utf-8")
    _write_index(docs_dir)


def offline(html: str) -> str:
    """``html`` without anything that a browser would fetch, in a small style of its own."""
    bare = _FETCHED_BY_STYLE.sub("none", _FETCHED.sub("", html))
    return bare.replace("</head>", f"<style>{_STYLE}</style></head>", 1)


def _write_index(docs_dir: Path) -> None:
    verdicts = []
    for path in sorted(docs_dir.glob(f"*/*/*/{_VERDICT}")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        verdicts.append({**facts, "page": (path.parent / INDEX).relative_to(docs_dir).as_posix()})
    (docs_dir / INDEX).write_text(_render(_ALL_PAGE, verdicts=verdicts), encoding="utf-8")


def _render(template: str, **values: object) -> str:
    return Environment(autoescape=True).from_string(template).render(style=_STYLE, **values)
