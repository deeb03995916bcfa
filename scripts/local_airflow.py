"""A local Airflow with the project's DAGs on a sample world: start, stop. Run by the scheduler's Python; needs nothing but its packages.

Its parts (scheduler, DAG processor, triggerer, API server) are started one by one, not by `airflow standalone`: that one serves logs on
every address of the machine, and leaves its children running when it is ended.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
AIRFLOW = Path(sys.executable).with_name("airflow")
JOBS = PROJECT / os.environ.get("VENV", ".venv") / "bin"
PARTS = {
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "api-server": ("api-server",),
}
USER = "admin"
DAGS_SHOWN = ("interest_features", "ranking_features")
READY_WITHIN_SECONDS = 180
NIGHT = timedelta(hours=2)
"""When a day's run begins, after midnight UTC."""
END_WITHIN_SECONDS = 20
WEB = requests.Session()
WEB.trust_env = False  # on loopback, past every proxy


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass(frozen=True, kw_only=True)
class LocalAirflow:
    """One local Airflow.

    Attributes:
        home: AIRFLOW_HOME: database, logs, passwords, and the notes of this script.
        world: root folder of the jobs.
        port: of the web page and the API, on loopback.
    """

    home: Path
    world: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def notes(self) -> Path:
        """Which processes were started."""
        return self.home / "processes.json"

    @property
    def spark_conf(self) -> Path:
        return self.home / "spark.conf"

    @property
    def passwords(self) -> Path:
        return self.home / "passwords.json"

    def environ(self) -> dict[str, str]:
        """Of all its processes. The caller's KARMA_* win; the caller's AIRFLOW* do not count, they speak of another Airflow."""
        own = {
            "AIRFLOW_HOME": self.home,
            "AIRFLOW__CORE__DAGS_FOLDER": PROJECT / "dags",
            "AIRFLOW__CORE__LOAD_EXAMPLES": False,
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": 4,
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": True,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.passwords,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.address}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": self.port,
            "AIRFLOW__API__BASE_URL": self.address,
            # With no connection the provider's master silently becomes YARN.
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]", "extra": {"deploy-mode": "client"}}),
            "KARMA_ROOT": self.world,
            "KARMA_SPARK_SUBMIT": JOBS / "spark-submit",
            "KARMA_SPARK_CONF": self.spark_conf,
            "KARMA_ALERTS": self.home / "alerts.log",
            "SPARK_LOCAL_IP": "127.0.0.1",
            # Else that of the caller would run the jobs; and spark-submit's own search for it breaks on a path with a space.
            "SPARK_HOME": next((JOBS.parent / "lib").glob("python*/site-packages/pyspark")),
            # The parts speak with each other, which is no business of a proxy.
            **{name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"])) for name in ("NO_PROXY", "no_proxy")},
            # By which spark-submit finds Spark itself; PATH has the python of Airflow first.
            "PYSPARK_PYTHON": JOBS / "python",
            "PYSPARK_DRIVER_PYTHON": JOBS / "python",
            "JAVA_HOME": java_home(),
            "PATH": f"{AIRFLOW.parent}:{os.environ['PATH']}",
        }
        given = {name: value for name, value in os.environ.items() if name in own and name.startswith("KARMA_")}
        others = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        return {**others, **{name: str(value) for name, value in own.items()}, **given, "PYTHONPATH": str(PROJECT)}

    def airflow(self, *arguments: str) -> None:
        """One command of the Airflow CLI; what it says goes to a log unless it fails."""
        done = subprocess.run([AIRFLOW, *arguments], env=self.environ(), cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"airflow {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")

    def token(self) -> str:
        """A token of the API for the user."""
        password = json.loads(self.passwords.read_text())[USER]
        answer = WEB.post(f"{self.address}/auth/token", json={"username": USER, "password": password}, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def api(self, method: str, path: str, **body: Any) -> Any:
        """One call of the REST API; its answer."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        answer = WEB.request(method, f"{self.address}/api/v2/{path}", json=body or None, headers=headers, timeout=60)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


def java_home() -> str:
    """The JAVA_HOME that the jobs would choose; empty where PATH has a Java."""
    program = "import os, sys; from jobs.java import ensure_java; ensure_java(); sys.stdout.write(os.environ.get('JAVA_HOME', ''))"
    return subprocess.run([JOBS / "python", "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def start(local: LocalAirflow, world: Iterable[str]) -> None:
    """Make ready what is missing, start the parts and wait until they answer."""
    if len(running(local)) == len(PARTS):
        refuse_another_port(local)
        return
    if members(local):
        stop(local)  # a part of it was lost
    refuse_taken_port(local.port)
    remove_outdated(local)
    local.home.mkdir(parents=True, exist_ok=True)
    if not local.spark_conf.exists():  # written last: the world is whole
        say(f"[1/3] Sample world with an encoder trained on its past: {local.world} (one to three minutes)")
        make_world(local, list(world))
    say(f"[2/3] Database, pool and connection: {local.home}")
    if not local.passwords.exists():
        local.passwords.write_text(json.dumps({USER: secrets.token_urlsafe(9)}))
        local.passwords.chmod(0o600)
    local.airflow("db", "migrate")
    local.airflow("pools", "set", "spark", "1", "Spark sessions at once: a local disk does not arbitrate between writers")
    say("[3/3] Scheduler, DAG processor, triggerer, API server")
    start_parts(local)
    wait_until_ready(local)


def refuse_another_port(local: LocalAirflow) -> None:
    port = next(iter(notes_of(local).values()))["port"]
    if port != local.port:
        raise SystemExit(f"Airflow runs already, at http://127.0.0.1:{port}; `make airflow-stop` ends it.")


def refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        raise SystemExit(f"Port {port} is taken by another program; name another one: make airflow AIRFLOW_PORT=8081")


def last_day(now: datetime) -> date:
    """The newest day whose night has come: the run at 02:00 UTC takes the day before (dags/days.py)."""
    return (now - NIGHT).date() - timedelta(days=1)


def day_landed_last() -> date:
    return last_day(datetime.now(UTC))


def remove_outdated(local: LocalAirflow) -> None:
    """A sample world ends with the day of the last night, so that its run finds it landed; an older one is made anew."""
    manifest = local.world / "world" / "world.json"
    if manifest.is_file() and (last := max(json.loads(manifest.read_text())["days"])) != day_landed_last().isoformat():
        say(f"The sample world in {local.world} ends on {last}: it is made anew, and so is Airflow's database.")
        shutil.rmtree(local.world)
        shutil.rmtree(local.home, ignore_errors=True)


def make_world(local: LocalAirflow, arguments: list[str]) -> None:
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    first = day_landed_last() - timedelta(days=int(options.setdefault("--days", "3")) - 1)
    words = [word for pair in options.items() for word in pair]
    run_job(local, "demo", "--only-encoder", "--root", str(local.world), "--first-day", first.isoformat(), *words)
    run_job(local, "submit-conf", "--out", str(local.spark_conf), "--few-rows")


def run_job(local: LocalAirflow, *arguments: str) -> None:
    log = local.home / "set-up.log"
    with log.open("a") as said:
        done = subprocess.run([JOBS / "python", "-m", "jobs", *arguments], cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"karma {' '.join(arguments)} ended with exit code {done.returncode}; what it said is in {log}")


def start_parts(local: LocalAirflow) -> None:
    """Each in a session of its own, so that it is found with all that it starts."""
    started = {}
    for name, command in PARTS.items():
        with (local.home / f"{name}.log").open("ab") as said:
            part = subprocess.Popen(
                [AIRFLOW, *command], env=local.environ(), cwd=local.home, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        started[name] = {"pid": part.pid, "since": psutil.Process(part.pid).create_time(), "port": local.port}
        written = local.notes.with_suffix(".new")
        written.write_text(json.dumps(started))
        os.replace(written, local.notes)  # never half a file: by it the processes are found again


def wait_until_ready(local: LocalAirflow) -> None:
    ends = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < ends:
        if len(running(local)) < len(PARTS):
            stop(local)
            raise SystemExit(f"A part of Airflow ended; its log is in {local.home}")
        if is_healthy(local) and all(is_parsed(local, dag_id) for dag_id in DAGS_SHOWN):
            return
        time.sleep(1)
    stop(local)
    raise SystemExit(f"Airflow was not ready within {READY_WITHIN_SECONDS} s; its logs are in {local.home}")


def is_healthy(local: LocalAirflow) -> bool:
    try:
        health: Mapping[str, Any] = WEB.get(f"{local.address}/api/v2/monitor/health", timeout=10).json()
    except (requests.RequestException, ValueError):
        return False
    return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"))


def is_parsed(local: LocalAirflow, dag_id: str) -> bool:
    try:
        return bool(local.api("GET", f"dags/{dag_id}"))
    except RuntimeError:
        return False


def show_days(local: LocalAirflow) -> None:
    """Let the last night's run go, and fill the days before it."""
    for dag_id in DAGS_SHOWN:
        local.api("PATCH", f"dags/{dag_id}", is_paused=False)
    days = sorted(json.loads((local.world / "world" / "world.json").read_text())["days"])[:-1]
    if days and not local.api("GET", "backfills?dag_id=interest_features")["backfills"]:
        window = {"from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T23:59:59Z"}
        local.api("POST", "backfills", dag_id="interest_features", max_active_runs=1, **window)


def running(local: LocalAirflow) -> list[psutil.Process]:
    """The parts that are alive."""
    found = []
    for pid in sessions_of(local):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return [process for process in found if is_alive(process)]


def sessions_of(local: LocalAirflow) -> set[int]:
    """Ids of the sessions that the parts were started in: a process id may have been given to another program since, or the machine
    have started anew."""
    notes = notes_of(local).values()
    return {note["pid"] for note in notes if note["since"] > psutil.boot_time() and not is_another(note["pid"], note["since"])}


def notes_of(local: LocalAirflow) -> dict[str, dict[str, Any]]:
    """By part its process id, since when it runs (epoch seconds), and the port; empty where nothing was started."""
    try:
        notes: dict[str, dict[str, Any]] = json.loads(local.notes.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise SystemExit(f"{local.notes} is damaged: end Airflow's processes by hand, then remove it") from None
    return notes


def is_another(pid: int, since: float) -> bool:
    """Whether a process ``pid`` lives that did not begin at ``since``."""
    try:
        return bool(psutil.Process(pid).create_time() != since)
    except psutil.NoSuchProcess:
        return False


def members(local: LocalAirflow) -> list[psutil.Process]:
    """All processes of the parts' sessions, and what those have started: workers, spark-submit, its driver and their workers."""
    sessions = sessions_of(local)
    found = set(running(local))
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and os.getsid(process.pid) in sessions:
                found.add(process)
        except (ProcessLookupError, PermissionError):
            continue
    for process in list(found):
        try:
            found.update(process.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(local: LocalAirflow) -> None:
    """End all its processes: asked first, then killed. What they were doing is as if it had been interrupted."""
    ended = 0
    for how in (signal.SIGTERM, signal.SIGKILL):
        left = members(local)
        ended = ended or len(left)
        for process in left:
            try:
                process.send_signal(how)
            except psutil.NoSuchProcess:
                continue
        ends = time.monotonic() + END_WITHIN_SECONDS
        while members(local) and time.monotonic() < ends:
            time.sleep(0.2)
    if left := members(local):
        raise SystemExit(f"these processes did not end: {[process.pid for process in left]}")
    local.notes.unlink(missing_ok=True)
    say(f"Airflow is stopped ({ended} processes ended)." if ended else "Airflow is not running.")


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["start", "stop", "airflow"], help="airflow: a command of its CLI, on this Airflow")
    parser.add_argument("--home", type=Path, default=PROJECT / "var" / "airflow" / "home")
    parser.add_argument("--world", type=Path, default=PROJECT / "var" / "airflow" / "world")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--idle", action="store_true", help="leave the DAGs paused")
    parser.epilog = "After -- come, for start, arguments of `karma demo` for the sample world, each with its value; for airflow, its own."
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    own, others = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    args = parsed(own)
    local = LocalAirflow(home=args.home.absolute(), world=args.world.absolute(), port=args.port)
    if args.command == "stop":
        stop(local)
        return
    if args.command == "airflow":
        os.execvpe(str(AIRFLOW), [str(AIRFLOW), *others], local.environ())
    start(local, others)
    if not args.idle:
        show_days(local)
    say(f"Airflow: {local.address}   user {USER}, password {json.loads(local.passwords.read_text())[USER]}")
    say("`make airflow-stop` ends it. Its logs: " + str(local.home))


if __name__ == "__main__":
    main()
