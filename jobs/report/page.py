"""Facts -> one HTML page that needs nothing beside it: styles, script and figures are inside, and its policy allows no address."""

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from jobs.report import words
from jobs.report.facts import Facts
from jobs.report.figures import cutoffs, figures_of, ordered
from karma.evaluation.bootstrap import JUDGED_SEEDS, JUDGED_USERS

_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that could end a script or start a tag, as JSON may spell them."""


def render(facts: Facts) -> str:
    """The page of a run."""
    return filled("page.html.jinja", figures_of(facts), facts=facts)


def filled(template: str, figures: dict[str, go.Figure], **values: object) -> str:
    """A page. The same values give the same text. Every text of the source's is escaped; no script but the page's own may run."""
    loader = jinja2.FunctionLoader(_packaged)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["share"] = lambda part, whole: words.share(part, whole)
    environment.filters["n"] = lambda number: "–" if number is None else f"{number:,}"
    library, drawing = get_plotlyjs(), _packaged("draw.js")
    return environment.get_template(template).render(
        words=words,
        judged_users=JUDGED_USERS,
        judged_seeds=JUDGED_SEEDS,
        cutoffs=cutoffs,
        ordered=ordered,
        figures={name: figure.layout.height for name, figure in figures.items()},
        data=_data(figures),
        style=_packaged("page.css"),
        scripts=[library, drawing],
        allowed=" ".join(_digest(script) for script in (library, drawing)),
        **values,
    )


def write_page(page: Path, text: str) -> Path:
    """Write ``text`` to ``page``, whole or not at all, and return it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    draft = page.with_name(f".{page.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, page)
    return page


def _packaged(name: str) -> str:
    return resources.files("jobs.report").joinpath(name).read_text(encoding="utf-8")


def _data(figures: dict[str, go.Figure]) -> str:
    """The figures as one JSON object that may stand inside a script element."""
    members = ",".join(f'"{name}":{figure.to_json()}' for name, figure in figures.items())
    return in_script(f"{{{members}}}")


def in_script(json: str) -> str:
    """The same JSON, such that nothing in it ends a script element or starts a tag."""
    for character, spelling in _IN_SCRIPT.items():
        json = json.replace(character, spelling)
    return json


def _digest(script: str) -> str:
    """How a content security policy names a script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
