"""``python -m jobs <job> ...``, where the console script is not installed."""

import sys

from jobs.console import main

if __name__ == "__main__":
    sys.exit(main())
