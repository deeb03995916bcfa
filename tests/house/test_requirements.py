"""The locks: every package with its hashes, what was asked for and nothing stale, and no word of where it is fetched from."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import PACKAGES, ROOT, imported_modules, package_files, parse, python_files

FOLDER = ROOT / "requirements"
LOCKS = {"build.lock": ["build.in"], "karma.lock": ["runtime.in", "dev.in"], "airflow.lock": ["airflow.in"]}
OWN_TOP_LEVEL = {*PACKAGES, "tests", "dags", "benchmarks"}
# They run in the scheduler's environment, on the scheduler's lock.
SCHEDULER_TESTS = (Path("tests/dags"), Path("tests/scheduler"))
# Run, not imported.
COMMANDS = {"import-linter", "mypy", "pytest-xdist", "ruff"}


def asked_for(*names: str) -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for name in names for line in (FOLDER / name).read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    return {canonicalize_name(requirement.name): requirement for requirement in wanted}


def locked(name: str) -> dict[str, list[str]]:
    """Package -> lines of its entry (the pin first), for ``name`` in the requirements folder."""
    entries: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        if found := re.match(r"^([a-z0-9][a-z0-9._-]*)==", line):
            entries[canonicalize_name(found.group(1))] = entry = [line]
        elif line.startswith((" ", "\t")) and entries:
            entry.append(line.strip())
    return entries


def version_of(entry: list[str]) -> str:
    return entry[0].partition("==")[2].split()[0]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes(lock: str) -> None:
    entries = locked(lock)
    assert len(entries) >= 5
    assert [name for name, entry in entries.items() if not any(re.match(r"--hash=sha256:[0-9a-f]{64}", line) for line in entry)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_asked_for(lock: str) -> None:
    entries = locked(lock)
    wrong = {
        name: str(requirement)
        for name, requirement in asked_for(*LOCKS[lock]).items()
        if name not in entries or not requirement.specifier.contains(version_of(entries[name]))
    }
    assert wrong == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_that_nobody_asks_for_any_more(lock: str) -> None:
    """uv notes beside each pin who wants it: a .in file, or another package of the lock."""
    direct = {name for name, entry in locked(lock).items() if any("-r requirements/" in line for line in entry)}
    assert direct == set(asked_for(*LOCKS[lock]))


@pytest.mark.parametrize("name", [*LOCKS, *(name for names in LOCKS.values() for name in names)])
def test_no_requirement_says_where_it_is_fetched_from(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert re.findall(r"--(?:extra-)?index-url|--find-links|--trusted-host|https?://", text) == []


def test_the_locks_agree() -> None:
    build, karma = locked("build.lock"), locked("karma.lock")
    shared = build.keys() & karma.keys()
    assert shared  # setuptools at least
    assert {name for name in shared if version_of(build[name]) != version_of(karma[name])} == set()


def test_the_scheduler_has_no_spark_of_its_own() -> None:
    """It calls the jobs' spark-submit; a second PySpark beside it would be another version sooner or later."""
    assert [name for name in locked("airflow.lock") if name.startswith("pyspark")] == []


def own_files() -> list[Path]:
    """The tests and benchmarks that run in the jobs' environment."""
    return [path for path in python_files("tests", "benchmarks") if not any(path.is_relative_to(folder) for folder in SCHEDULER_TESTS)]


def providers(files: list[Path]) -> dict[str, set[str]]:
    """Import name -> the distributions that provide it, for the packages from outside that ``files`` import."""
    imported = {module.partition(".")[0] for path in files for _, module in imported_modules(parse(path))}
    outside = imported - OWN_TOP_LEVEL - sys.stdlib_module_names
    distributions = importlib.metadata.packages_distributions()
    return {name: {canonicalize_name(owner) for owner in distributions.get(name, [])} for name in outside}


def test_what_the_packages_import_is_asked_for() -> None:
    """A package that is there only because another one wants it is gone one day. py4j is a part of Spark's own interface."""
    asked = set(asked_for("runtime.in"))
    assert {name for name, owners in providers(package_files()).items() if not owners & asked} <= {"py4j"}


def test_what_the_tests_import_is_asked_for() -> None:
    asked = set(asked_for("runtime.in", "dev.in"))
    assert {name for name, owners in providers(own_files()).items() if not owners & asked} == set()


def test_what_is_asked_for_is_imported() -> None:
    used = set().union(*providers([*package_files(), *own_files()]).values())
    assert set(asked_for("runtime.in", "dev.in")) - used - COMMANDS == set()
