"""retire: stop producing the space of an encoder; what is published in it stays."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.cli import RootArgs, context_of, run_main
from jobs.encoders import retire_version
from schemas import names


@dataclass(frozen=True, kw_only=True)
class RetireArgs(RootArgs):
    """Take an encoder out of the daily run. The champion cannot be retired; readers of its space keep what was published."""

    encoder: str
    """Encoder version."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma retire``."""

    def body(args: RetireArgs) -> int:
        retire_version(context_of(args, names.RETIRE_JOB), args.encoder)
        return names.EXIT_DONE

    return run_main(RetireArgs, body, argv, prog="karma retire")


if __name__ == "__main__":
    sys.exit(main())
