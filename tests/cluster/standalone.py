"""A standalone cluster on loopback whose nodes see no more than nodes elsewhere would."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from jobs.java import ensure_java
from jobs.project_zip import PACKAGES

PROJECT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
READY_WITHIN_SECONDS = 90
# A mount namespace of its own: what is hidden in it stays where it is for everyone else.
UNSHARE = ("unshare", "--mount", "--propagation", "private") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")


# To look into such a namespace from outside.
ENTER = ("nsenter", "-m") if os.geteuid() == 0 else ("nsenter", "-U", "--preserve-credentials", "-m")


def can_hide() -> bool:
    """Whether this machine lets a process have mounts of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Standalone:
    """A master and workers of one core each, all below ``folder``.

    Attributes:
        hidden: folders that the workers, and all that they start, find empty.
    """

    folder: Path
    hidden: Sequence[Path]
    port: int = field(default_factory=free_port)
    parts: list[subprocess.Popen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    @property
    def work(self) -> Path:
        """Where executors run and log: ``<worker>/app-*/<executor>/stderr``."""
        return self.folder / "work"

    def start(self, workers: int = 2) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        master = "org.apache.spark.deploy.master.Master"
        self._start("master", [master, "--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(free_port())], hide=False)
        self._wait(lambda: "I have been elected leader" in self.log("master"), "the master")
        for number in range(workers):
            place = ["-d", str(self.work / f"worker-{number}"), "--webui-port", str(free_port())]
            self._start(
                f"worker-{number}",
                ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "2g", *place, self.url],
            )
        self._wait(lambda: self.log("master").count("Registering worker") == workers, "the workers")

    def log(self, part: str) -> str:
        return (self.folder / f"{part}.log").read_text(errors="replace")

    def _start(self, name: str, command: list[str], *, hide: bool = True) -> None:
        words = [str(SPARK_HOME / "bin" / "spark-class"), *command]
        if hide and can_hide():
            mounts = " && ".join(f"mount -t tmpfs none '{folder}'" for folder in self.hidden)
            words = [*UNSHARE, "sh", "-c", f'{mounts} && exec "$@"', "sh", *words]
        with (self.folder / f"{name}.log").open("wb") as said:
            environ = {**environment(), "SPARK_DAEMON_MEMORY": "256m"}
            self.parts.append(
                subprocess.Popen(
                    words, env=environ, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
                )
            )

    def _wait(self, question: Callable[[], bool], what: str) -> None:
        ends = time.monotonic() + READY_WITHIN_SECONDS
        while not question():
            if time.monotonic() > ends or any(part.poll() is not None for part in self.parts):
                raise AssertionError(f"{what} did not come up; the logs are in {self.folder}")
            time.sleep(0.2)

    def members(self) -> list[int]:
        """Every process of the parts' sessions: daemons, executors, Python workers."""
        sessions = {str(part.pid) for part in self.parts}
        listed = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listed.splitlines()]
        return [int(pid) for pid, session, state in rows if session in sessions and not state.startswith("Z")]

    def stop(self) -> None:
        """End all of it; none is left when this returns. Raises AssertionError otherwise."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.members():
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    continue
            ends = time.monotonic() + 15
            while self.members() and time.monotonic() < ends:
                for part in self.parts:
                    part.poll()
                time.sleep(0.2)
        assert self.members() == []


def environment() -> dict[str, str]:
    """Of a submission and of the daemons: which Java, which Python, which Spark."""
    environ = {**os.environ, "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"}
    ensure_java(environ)
    return {**environ, "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}


def project_folders() -> list[Path]:
    """What a node elsewhere does not have."""
    return [PROJECT / package for package in PACKAGES]
