"""submit-conf: a properties file with which spark-submit runs the jobs on this machine as ``karma`` does."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jobs.delta_jars import delta_jars
from jobs.session import FEW_ROWS, local_settings
from schemas import names


@dataclass(frozen=True, kw_only=True)
class SubmitConfArgs:
    """Write the settings of a local session (Delta's jars, this Python, few tasks) for spark-submit --properties-file."""

    out: Path
    """The file to write."""
    few_rows: bool = False
    """For tables of a few thousand rows: queries are interpreted, which starts faster."""


def properties(settings: Mapping[str, str]) -> str:
    """``key value`` a line, as java.util.Properties reads it."""
    return "".join(f"{key} {value.replace(chr(92), chr(92) * 2)}\n" for key, value in sorted(settings.items()))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma submit-conf``."""
    args = tyro.cli(SubmitConfArgs, args=argv, prog="karma submit-conf", description=SubmitConfArgs.__doc__)
    python = {"spark.pyspark.python": sys.executable, "spark.pyspark.driver.python": sys.executable}
    with delta_jars() as jars:
        settings = {**local_settings(), **jars, **python, **(FEW_ROWS if args.few_rows else {})}
    settings.pop("spark.master")  # the scheduler's connection says where
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draft = args.out.with_name(f".{args.out.name}.{os.getpid()}")
    draft.write_text(properties(settings), encoding="utf-8")
    os.replace(draft, args.out)
    return names.EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
