"""Run by the jobs' Python: looks into a world's tables, and stages and spoils one of its days. Commands: see the end."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import names
from tests.published_rows import differences


def table(root: Path, name: str) -> pl.DataFrame:
    return pl.read_delta(str(root / "warehouse" / name))


def ledger(root: Path) -> list[dict[str, Any]]:
    """Every final row, oldest first."""
    rows = table(root, names.RUN_LEDGER).filter(pl.col("status") != names.STARTED).sort("at")
    return rows.with_columns(pl.col("ds").cast(pl.String)).select("job", "ds", "status", "attempt", "run_id", "reason").to_dicts()


def published(root: Path) -> dict[str, dict[str, Any]]:
    """Day -> how it was published, and its users."""
    if not (root / "warehouse" / names.INTEREST_EMBEDDINGS).exists():
        return {}
    days = table(root, names.INTEREST_EMBEDDINGS).group_by("ds").agg(pl.col("publication").first(), pl.len().alias("users"))
    return {str(row.pop("ds")): row for row in days.to_dicts()}


def stage(root: Path, ds: date) -> None:
    """All of a day up to its staged vectors, in one session. Imported here: the other commands need neither Spark nor torch."""
    from jobs.day import DAY, DayOptions, run_day
    from jobs.encoders import active_encoders
    from jobs.places import Places
    from jobs.session import FEW_ROWS, build_session
    from jobs.stage import Context, utc_now

    context = Context(spark=build_session("stage", FEW_ROWS), places=Places(str(root)), run_at=utc_now())
    before = DAY[: [step.job for step in DAY].index(names.VALIDATE_JOB)]
    rows = run_day(context, DayOptions(), ds, active_encoders(context), before)
    if not all(row.settled for row in rows):
        raise SystemExit(f"not staged: {[(row.job, row.status, row.reason) for row in rows]}")


def spoil(root: Path, ds: date) -> None:
    """Twice as long vectors in the staged files of a day, as a broken disk or a stranger's hand could leave them.

    The log keeps every file's size, so it is told the new one; Hadoop's checksums beside the files would notice, so they go.
    """
    folder = root / "warehouse" / names.INTEREST_EMBEDDINGS_STAGED
    for file in sorted(folder.glob(f"ds={ds}/*/*/*.parquet")):
        rows = pq.ParquetFile(file).read()
        at = rows.schema.get_field_index("embedding")
        doubled = pa.array([[2 * x for x in vector] for vector in rows["embedding"].to_pylist()], rows.schema.field(at).type)
        before = file.stat().st_size
        pq.write_table(rows.set_column(at, rows.schema.field(at), doubled), file)
        for log in (folder / "_delta_log").glob("*.json"):
            lines = log.read_text().splitlines()
            log.write_text("".join(f"{_resized(line, file, before)}\n" for line in lines))
    for checksum in [*folder.rglob(".*.crc"), *(folder / "_delta_log").glob("*.crc")]:
        checksum.unlink(missing_ok=True)


def _resized(line: str, file: Path, before: int) -> str:
    return line.replace(f'"size":{before}', f'"size":{file.stat().st_size}') if file.name in line and '"add"' in line else line


COMMANDS: dict[str, Any] = {
    "ledger": lambda root: ledger(Path(root)),
    "published": lambda root: published(Path(root)),
    "stage": lambda root, ds: stage(Path(root), date.fromisoformat(ds)),
    "spoil": lambda root, ds: spoil(Path(root), date.fromisoformat(ds)),
    "differences": lambda root, other: differences(Path(root) / "warehouse", Path(other) / "warehouse"),
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:]), default=str))
