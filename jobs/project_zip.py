"""project-zip: the packages as one zip for spark-submit --py-files; nothing else of the project has to be on a cluster's nodes."""

import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from schemas import names

PACKAGES = ("schemas", "karma", "udfs", "jobs")
_PROJECT = Path(__file__).resolve().parents[1]
# One fixed time makes equal sources equal zips.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class ProjectZipArgs:
    """Write the project's packages as a zip, with the packages at its root."""

    out: Path
    """The file to write."""


def write_zip(out: Path) -> None:
    """Write ``out`` whole or not at all. Equal sources give equal bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for path in _sources():
            info = zipfile.ZipInfo(path.relative_to(_PROJECT).as_posix(), date_time=_EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, path.read_bytes())
    os.replace(draft, out)


def _sources() -> list[Path]:
    found = [path for package in PACKAGES for path in (_PROJECT / package).rglob("*") if path.is_file()]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma project-zip``."""
    write_zip(tyro.cli(ProjectZipArgs, args=argv, prog="karma project-zip", description=ProjectZipArgs.__doc__).out)
    return names.EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
