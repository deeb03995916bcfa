"""What the set-up says and does before it fetches anything, run in a copy of the files that it reads."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("scripts", "requirements", "pyproject.toml"):
        source = ROOT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    return tmp_path


def fake_python(folder: Path, name: str, version: str, *, has_venv: bool = True) -> Path:
    """Answers the questions that the set-up asks a Python, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / name
    python.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *sys.version_info*) echo {version};; *ensurepip*) exit {0 if has_venv else 1};; *) echo "$0 $*" >&2; exit 9;; esac\n'
    )
    python.chmod(0o755)
    return python


def set_up(project: Path, path: str | None = None, *, arguments: tuple[str, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"VENV", "AIRFLOW_VENV", "PYTHON", "MAKEFLAGS"}}
    return subprocess.run(
        ["/bin/sh", str(project / "scripts" / "setup.sh"), *arguments],
        env={**clean, **({"PATH": path} if path else {}), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def path_with(project: Path) -> str:
    """A PATH with the tools that the script needs, and no Python but those of ``project/bin``."""
    tools = project / "tools"
    tools.mkdir(exist_ok=True)
    for tool in ("dirname", "cat", "cksum", "uname", "mkdir", "rm", "ls", "find", "sed"):
        where = shutil.which(tool)
        assert where is not None
        (tools / tool).symlink_to(where)
    return f"{project / 'bin'}:{tools}"


def test_another_python_stops_with_a_sentence_that_names_both(project: Path) -> None:
    answer = set_up(project, PYTHON=str(fake_python(project / "bin", "python3.9", "3.9.2")))
    assert answer.returncode == 1
    assert answer.stderr.startswith("Python 3.11 or 3.12 is needed; found: ")
    assert "python3.9=3.9.2" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_no_python_at_all(project: Path) -> None:
    answer = set_up(project, path_with(project))
    assert answer.returncode == 1
    assert "found: none" in answer.stderr


def test_a_stand_in_that_does_not_run_is_passed_over(project: Path) -> None:
    """A version manager puts one on PATH for each version that it knows, active or not."""
    path = path_with(project)
    stand_in = fake_python(project / "bin", "python3.12", "3.12.0")
    stand_in.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    fake_python(project / "bin", "python3.11", "3.11.9")
    answer = set_up(project, path)
    assert "[1/3] Python environment: .venv with python3.11 3.11.9" in answer.stdout
    assert "python3.11 -m venv .venv" in answer.stderr


def test_a_python_without_venv_gets_a_sentence(project: Path) -> None:
    path = path_with(project)
    fake_python(project / "bin", "python3", "3.11.2", has_venv=False)
    answer = set_up(project, path)
    assert answer.returncode == 1
    assert answer.stderr.startswith("python3 3.11.2 lacks the modules venv and ensurepip")


def test_a_python_with_venv_is_preferred_to_a_newer_one_without(project: Path) -> None:
    path = path_with(project)
    fake_python(project / "bin", "python3.12", "3.12.1", has_venv=False)
    fake_python(project / "bin", "python3.11", "3.11.2")
    assert ".venv with python3.11 3.11.2" in set_up(project, path).stdout


def test_a_folder_that_is_no_environment_is_left_alone(project: Path) -> None:
    (project / "mine").mkdir()
    (project / "mine" / "thesis.txt").write_text("three years")
    answer = set_up(project, PYTHON=str(fake_python(project / "bin", "python3", "3.12.1")), VENV="mine")
    assert answer.returncode == 1
    assert "left alone" in answer.stderr
    assert (project / "mine" / "thesis.txt").read_text() == "three years"


def test_a_half_made_environment_is_made_anew(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "pyvenv.cfg").touch()
    (project / ".venv" / "bin" / "leftover").touch()
    answer = set_up(project, PYTHON=str(fake_python(project / "bin", "python3", "3.12.1")))
    assert "[1/3]" in answer.stdout
    assert not (project / ".venv").exists()


def complete(project: Path, python: Path, venv: str = ".venv", locks: str = "requirements/build.lock requirements/karma.lock") -> None:
    """Leave an environment as a finished set-up does: the mark is what the script itself computes for these files."""
    (project / venv / "bin").mkdir(parents=True)
    (project / venv / "pyvenv.cfg").touch()
    shutil.copy(python, project / venv / "bin" / "python")
    script = (project / "scripts" / "setup.sh").read_text()
    definitions = script.partition('\nif [ "${1:-}" = airflow ]')[0].replace('cd "$(dirname "$0")/.."', f'cd "{project}"')
    subprocess.run(["/bin/sh", "-c", f"{definitions}\nvenv={venv} locks='{locks}' version=3.12.1\nmark complete"], check=True)


def test_the_scheduler_is_set_up_after_the_jobs_and_left_alone_when_complete(project: Path) -> None:
    """Its mark depends on its own lock alone."""
    python = fake_python(project / "bin", "python3", "3.12.1")
    complete(project, python)
    complete(project, python, venv=".venv-airflow", locks="requirements/airflow.lock")
    assert set_up(project, arguments=("airflow",)).stdout == ""
    append(project / "requirements" / "airflow.lock", "# another version\n")
    assert set_up(project).stdout == ""
    assert "Airflow: .venv-airflow" in set_up(project, arguments=("airflow",)).stdout


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_complete_environment_is_left_alone(project: Path) -> None:
    complete(project, fake_python(project / "bin", "python3", "3.12.1"))
    append(project / "pyproject.toml", "\n[tool.ruff.lint.pycodestyle]\nmax-line-length = 139\n")  # concerns no package
    done = set_up(project)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_new_lock_makes_the_environment_anew(project: Path) -> None:
    python = fake_python(project / "bin", "python3", "3.12.1")
    complete(project, python)
    append(project / "requirements" / "karma.lock", "# another version\n")
    assert "[1/3]" in set_up(project, PYTHON=str(python)).stdout


def test_another_python_than_the_environments_makes_it_anew(project: Path) -> None:
    complete(project, fake_python(project / "bin", "python3", "3.12.1"))
    other = fake_python(project / "bin", "python3.11", "3.11.9")
    assert "3.11.9" in set_up(project, PYTHON=str(other)).stdout


def test_the_environment_of_a_moved_project_is_made_anew(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its programs hold the path of the interpreter that they were installed for."""
    complete(project, fake_python(project / "bin", "python3", "3.12.1"))
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(project, moved)
    assert "[1/3]" in set_up(moved, PYTHON=str(moved / "bin" / "python3")).stdout
