"""One Airflow for all tests of this folder: made, driven, and ended with every process."""

import os
import shutil
from collections.abc import Iterator

import pytest

from scripts.local_airflow import PROJECT, LocalAirflow, is_alive, members, start, stop
from tests.scheduler.driven import Driven, port

PLACE = PROJECT / "var" / "airflow-test"
TINY = {
    "--users": "40", "--items": "300", "--history-days": "20", "--image-px": "32", "--config": "tests/end_to_end/tiny.toml",
}  # fmt: skip
# A night's patience, in seconds.
HASTE = {"KARMA_RETRY_DELAY_SECONDS": "3", "KARMA_POLL_SECONDS": "1", "KARMA_LATE_HOURS": "0.05"}


@pytest.fixture(scope="session")
def driven() -> Iterator[Driven]:
    local = LocalAirflow(home=PLACE / "home", world=PLACE / "world", port=port())
    stop(local)
    for folder in (local.home, local.world, PLACE / "twin"):
        shutil.rmtree(folder, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("KARMA_")]:
        del os.environ[name]  # of another deployment, where the nights of this test must not publish
    os.environ.update(HASTE)
    try:
        start(local, [word for pair in TINY.items() for word in pair])
        shutil.copytree(local.world, PLACE / "twin")
        yield Driven(local, PLACE / "twin")
        started = members(local)
    finally:
        stop(local)
    assert [process.pid for process in started if is_alive(process)] == []
