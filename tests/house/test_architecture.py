"""The one-way house: schemas <- karma <- udfs <- jobs, and what each part may know of the outside."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOT, imported_modules, package_files, parse, python_files

Rule = Callable[[Path, str], bool]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_or_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def against_the_order(path: Path, module: str) -> bool:
    return _top(module) in PACKAGES and PACKAGES.index(_top(module)) > PACKAGES.index(path.parts[0])


def spark_in_the_encoder(path: Path, module: str) -> bool:
    return path.parts[0] == "karma" and _top(module) in {"pyspark", "delta", "py4j"}


def more_than_names_in_the_encoder(path: Path, module: str) -> bool:
    return path.parts[0] == "karma" and _top(module) == "schemas" and module != "schemas" and not _is_or_in(module, "schemas.names")


def anything_in_names(path: Path, module: str) -> bool:
    return path == Path("schemas/names.py")


def plotly_outside_the_report(path: Path, module: str) -> bool:
    return _top(module) == "plotly" and path.parts[:2] != ("jobs", "report")


def a_test_or_a_dag(path: Path, module: str) -> bool:
    return _top(module) in {"tests", "dags", "benchmarks"}


RULES: tuple[Rule, ...] = (
    against_the_order,
    spark_in_the_encoder,
    more_than_names_in_the_encoder,
    anything_in_names,
    a_test_or_a_dag,
    plotly_outside_the_report,
)


def broken_imports(rule: Rule, files: list[Path]) -> list[str]:
    return [f"{path}:{line} imports {module}" for path in files for line, module in imported_modules(parse(path)) if rule(path, module)]


DRIVERS = (
    "run_day",
    "ranking_features",
    "request_embeddings",
    "training_shards",
    "table_upkeep",
    "promote",
)  # run_day imports all jobs of a day
FOR_WORKERS_AND_GATES = ("torch", "transformers", "great_expectations", "plotly")


def test_drivers_load_no_library_that_only_workers_need(tmp_path: Path) -> None:
    """Seven seconds of every submission: torch and transformers run in the workers, Great Expectations once there is a day to judge."""
    imports = "".join(f"import jobs.{job}\n" for job in DRIVERS)
    program = tmp_path / "program.py"  # a file: PySpark takes a main module without one for a doctest run, and exits on import
    program.write_text(f"import sys\n{imports}print([name for name in {FOR_WORKERS_AND_GATES} if name in sys.modules])\n")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(program)], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_import_breaks_the_rule(rule: Rule) -> None:
    assert broken_imports(rule, package_files()) == []


@pytest.mark.parametrize(
    ("rule", "path", "module"),
    [
        (against_the_order, "schemas/names.py", "karma.text"),
        (against_the_order, "karma/text.py", "jobs"),
        (against_the_order, "udfs/batching.py", "jobs.tables"),
        (spark_in_the_encoder, "karma/text.py", "pyspark.sql"),
        (more_than_names_in_the_encoder, "karma/text.py", "schemas.contracts"),
        (anything_in_names, "schemas/names.py", "os"),
        (a_test_or_a_dag, "jobs/day.py", "tests.tiny"),
        (plotly_outside_the_report, "jobs/showing/picture.py", "plotly.graph_objects"),
    ],
)
def test_a_rule_names_an_import_against_it(rule: Rule, path: str, module: str) -> None:
    assert rule(Path(path), module)


@pytest.mark.parametrize(
    ("rule", "path", "module"),
    [
        (against_the_order, "jobs/tables.py", "karma.text"),
        (against_the_order, "udfs/batching.py", "udfs.shipping"),
        (more_than_names_in_the_encoder, "karma/text.py", "schemas.names.QUERY"),
        (spark_in_the_encoder, "udfs/interest_udf.py", "pyspark.sql"),
        (plotly_outside_the_report, "jobs/report/figures.py", "plotly.graph_objects"),
    ],
)
def test_a_rule_lets_an_allowed_import_be(rule: Rule, path: str, module: str) -> None:
    assert not rule(Path(path), module)


def test_dags_know_airflow_names_and_themselves_only() -> None:
    known = {"airflow", "dags", "jinja2", *sys.stdlib_module_names}  # jinja2: Airflow's templates raise its errors

    def foreign(path: Path, module: str) -> bool:
        return _top(module) not in known and module != "schemas" and not _is_or_in(module, "schemas.names")

    assert broken_imports(foreign, python_files("dags")) == []


def test_import_linter_agrees() -> None:
    """It follows chains of imports, which the rules above do not."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--cache-dir", ROOT / "var" / "cache" / "import_linter"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
