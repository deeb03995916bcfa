"""Pictures of the real web page of a running `make airflow`, for the docs: the graph of a DAG, and a day's run.

Run by the scheduler's Python. Needs a Chromium (Debian and Ubuntu: the package chromium), and speaks its DevTools protocol.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from scripts.local_airflow import PROJECT, WEB, LocalAirflow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DAG = "interest_features"
DRAWN_WITHIN_SECONDS = 60
SETTLED_AFTER_SECONDS = 4  # fonts and animations


def browser() -> str:
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise SystemExit(f"no browser was found ({', '.join(BROWSERS)}): install one, or name it in CHROMIUM")
    return found


class Page:
    """One tab, by the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._sent = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        await self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    async def value(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def show(self, address: str, drawn: str) -> None:
        """Go to ``address`` and wait until something there matches the CSS selector ``drawn``."""
        await self.call("Page.navigate", url=address)
        ends = time.monotonic() + DRAWN_WITHIN_SECONDS
        while not await self.value(f"!!document.querySelector({json.dumps(drawn)})"):
            if time.monotonic() > ends:
                raise SystemExit(f"{address}: nothing matches {drawn}")
            await asyncio.sleep(0.5)
        await asyncio.sleep(SETTLED_AFTER_SECONDS)

    async def save(self, path: Path) -> None:
        picture = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))


def debugger(profile: Path) -> str:
    """The socket of the browser's one tab, once it listens."""
    note, ends = profile / "DevToolsActivePort", time.monotonic() + 60
    while not note.exists() and time.monotonic() < ends:
        time.sleep(0.2)
    port = note.read_text().splitlines()[0]
    pages = WEB.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
    return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))


async def take(local: LocalAirflow, socket: str, folder: Path) -> None:
    runs = local.api("GET", f"dags/{DAG}/dagRuns?state=success&order_by=-run_after&limit=1")["dag_runs"]
    if not runs:
        raise SystemExit(f"no run of {DAG} is green yet")
    async with connect(socket, max_size=None) as connection:
        page = Page(connection)
        await page.call("Page.enable")
        await page.call("Network.setCookie", name="_token", value=local.token(), url=local.address)
        await page.show(f"{local.address}/dags/{DAG}", "main, #root *")
        await page.value("localStorage.setItem('default_dag_view', JSON.stringify('graph'))")
        await page.show(f"{local.address}/dags/{DAG}", ".react-flow__node")
        await page.save(folder / "airflow-graph.png")
        await page.show(f"{local.address}/dags/{DAG}/runs/{runs[0]['dag_run_id']}", ".react-flow__node")
        await page.save(folder / "airflow-run.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=PROJECT / "var" / "airflow" / "home")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--out", type=Path, default=PROJECT / "docs")
    args = parser.parse_args()
    local = LocalAirflow(home=args.home.absolute(), world=args.home.absolute(), port=args.port)
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1600,900"]
        unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
        shown = subprocess.Popen([browser(), *options, *unboxed, "about:blank"], stderr=subprocess.DEVNULL)
        try:
            asyncio.run(take(local, debugger(Path(profile)), args.out))
        finally:
            shown.terminate()
            shown.wait(30)
    sys.stdout.write(f"{args.out}/airflow-graph.png, {args.out}/airflow-run.png\n")


if __name__ == "__main__":
    main()
