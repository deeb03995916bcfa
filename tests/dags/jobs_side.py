"""Run by the jobs' Python: the order of a day as ``jobs/day.py`` has it, and whether a job takes the arguments that a DAG gives it."""

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import jobs.cli
from jobs.day import DAY


class Accepted(BaseException):
    """Raised where a job would start its session: by then it has read all its arguments. No handler of the jobs takes it."""


def _accept(*_: object) -> None:
    raise Accepted


def answer_to(module: str, argv: Sequence[str]) -> str:
    """``accepted``, or the exit code that the job ended with."""
    try:
        return f"exit code {importlib.import_module(module).main(argv)}"
    except Accepted:
        return "accepted"
    except SystemExit as ended:
        return f"exit code {ended.code}"


def main() -> None:
    jobs.cli.build_session = _accept  # type: ignore[assignment]
    answers: dict[str, Any] = {
        "day": lambda calls: {step.job: sorted(step.after) for step in DAY},
        "arguments": lambda calls: [answer_to(module, argv) for module, argv in calls],
    }
    sys.stdout.write(json.dumps(answers[sys.argv[1]](json.load(sys.stdin))))


if __name__ == "__main__":
    main()
