"""A Chromium without a window: a page as a person's browser makes it of the file."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "chrome")
WITHOUT_CONTENT = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def browser() -> str | None:
    """CHROMIUM, else the first of BROWSERS on the PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


@dataclass(frozen=True)
class Opened:
    """The document after the scripts ran, and what the console said."""

    dom: str
    console: list[str]


def open_page(program: str, page: Path, profile: Path) -> Opened:
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000", "--enable-logging=stderr",
        f"--user-data-dir={profile}", "--window-size=1400,4000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run([program, *options], capture_output=True, text=True, timeout=180, check=True)
    return Opened(dom=done.stdout, console=[line for line in done.stderr.splitlines() if "CONSOLE" in line])


class Elements(HTMLParser):
    """What a document holds: ``texts`` and ``classes`` by the id of every element around them, all ``tags`` with their attributes, and
    the cells of each table with an id, ``rows``."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.classes: dict[str, set[str]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag in ("tr", "th", "td") and (table := self._table()):
            rows = self.rows.setdefault(table, [])
            rows.append([]) if tag == "tr" else rows[-1].append("")
        for _, around in self._open:
            if around:
                self.classes.setdefault(around, set()).update((found.get("class") or "").split())
        if tag not in WITHOUT_CONTENT:
            self._open.append((tag, found.get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while any(opened == tag for opened, _ in self._open) and self._open.pop()[0] != tag:
            pass

    def _table(self) -> str | None:
        return next((name for tag, name in reversed(self._open) if tag == "table"), None)

    def handle_data(self, data: str) -> None:
        if (table := self._table()) and any(tag in ("th", "td") for tag, _ in self._open):
            self.rows[table][-1][-1] += data
        for _, around in self._open:
            if around:
                self.texts[around] = self.texts.get(around, "") + data
