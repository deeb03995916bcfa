"""What no file of the project may hold."""

import ast
import re

import pytest

from tests.house.tree import ROOT, package_files, parse, project_files, python_files

LONGEST_FILE = 400
LARGEST_FILE = 2_000_000
NAMED_FOR_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc"}
# Written in pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = "|".join(
    ["pyp" + r"i\.org", "python" + r"hosted\.org", r"repo1?\." + "maven", "registry" + r"\.npm", "crates" + r"\.io", "proxy" + r"\.golang"]
)
MACHINE_PATHS = "|".join(["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]", "/fa" + "rm/", "/Us" + "ers/"])


def test_library_code_prints_nothing() -> None:
    printing = [
        f"{path}:{node.lineno}"
        for path in package_files()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_file_is_named_for_what_it_holds() -> None:
    vague = [str(path) for path in project_files() if path.stem in NAMED_FOR_NOTHING or path.stem.endswith(("_utils", "_helpers"))]
    assert vague == []


def test_package_files_are_short() -> None:
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in package_files()}
    assert {path: length for path, length in lengths.items() if length >= LONGEST_FILE} == {}


@pytest.mark.parametrize("pattern", [REGISTRY_HOSTS, MACHINE_PATHS], ids=["registry host", "machine path"])
def test_no_file_names_a_host_or_a_place_of_one_machine(pattern: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in project_files()
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8", errors="ignore").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (REGISTRY_HOSTS, "--index-url https://" + "pypi" + ".org/simple"),
        (REGISTRY_HOSTS, "https://" + "repo1" + ".maven.org/maven2"),
        (MACHINE_PATHS, "cd /" + "home/anna/project"),
        (MACHINE_PATHS, "/" + "work/main"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: str, line: str) -> None:
    assert re.search(pattern, line)


def test_data_lies_elsewhere() -> None:
    assert [str(path) for path in project_files() if (ROOT / path).stat().st_size > LARGEST_FILE] == []


def test_sessions_are_built_in_one_place() -> None:
    builders = [
        f"{path}:{node.lineno}"
        for path in [*package_files(), *python_files("tests", "benchmarks")]
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and node.attr == "getOrCreate" and str(path) != "jobs/session.py"
    ]
    assert builders == []
