"""Run by the jobs' Python: the order of a day as ``jobs/day.py`` has it, and whether a job takes the arguments that a DAG gives it."""

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import tyro

import jobs.cli
from jobs.day import DAY
from jobs.run_day import RunDayArgs


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


def days_of(argv: Sequence[str]) -> dict[str, Any]:
    """What ``run-day`` makes of its arguments."""
    args = tyro.cli(RunDayArgs, args=argv)
    return {"days": [day.isoformat() for day in args.days], "publication": args.options().publication.mode}


def main() -> None:
    jobs.cli.build_session = _accept  # type: ignore[assignment]
    answers: dict[str, Any] = {
        "day": lambda calls: {step.job: sorted(step.after) for step in DAY},
        "days": days_of,
        "arguments": lambda calls: [answer_to(module, argv) for module, argv in calls],
    }
    sys.stdout.write(json.dumps(answers[sys.argv[1]](json.load(sys.stdin))))


if __name__ == "__main__":
    main()
