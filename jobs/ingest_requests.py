"""ingest-requests: landed requests into their table."""

import sys
from collections.abc import Sequence

from jobs.ingest import ingest_main
from schemas import names


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma ingest-requests``."""
    return ingest_main(names.REQUESTS, argv)


if __name__ == "__main__":
    sys.exit(main())
