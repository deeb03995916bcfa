"""``karma <job> ...``: the list of jobs, the way to their mains, and mistyped names."""

import subprocess
import sys
import types
from collections.abc import Sequence

import pytest

from jobs import console
from tests.house.tree import ROOT


def test_help_lists_every_job_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["--help"]) == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert {"demo", "own-data", "days", "ingest-events", "publish", "sample-world"} <= lines.keys()
    assert [job for job, summary in lines.items() if not summary] == []


def test_every_main_in_jobs_is_a_job() -> None:
    """Found by its text, without a parser: the console must not miss a spark-submit entry point."""
    mains = {path.stem.replace("_", "-") for path in (ROOT / "jobs").glob("*.py") if "\ndef main(" in path.read_text()} - {"console"}
    assert mains | {"sample-world"} == set(console.find_jobs())


def test_no_job_is_imported_for_the_list() -> None:
    """The list must come at once: Spark and torch take seconds to import."""
    program = "import sys; from jobs.console import main; main(['--help']); sys.exit('pyspark' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True).returncode == 0


def test_a_mistyped_job_is_a_usage_error_that_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["ingest-event"]) == 2
    assert "Did you mean ingest-events" in capsys.readouterr().err


def test_no_job_at_all_shows_the_list_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main([]) == 2
    assert "ingest-events" in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "module"), [("ingest-events", "jobs.ingest_events"), ("sample-world", "jobs.sample_world.__main__")])
def test_arguments_and_exit_code_pass_through(monkeypatch: pytest.MonkeyPatch, typed: str, module: str) -> None:
    seen: list[tuple[str, Sequence[str]]] = []

    def import_module(name: str) -> types.SimpleNamespace:
        def job_main(argv: Sequence[str]) -> int:
            seen.append((name, argv))
            return 4

        return types.SimpleNamespace(main=job_main)

    monkeypatch.setattr(console.importlib, "import_module", import_module)
    assert console.main([typed, "--ds", "2026-01-01"]) == 4
    assert seen == [(module, ["--ds", "2026-01-01"])]
