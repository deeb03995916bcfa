"""Run by the jobs' Python: looks into a world's tables, and stages and spoils one of its days. Commands: see the end."""

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import names

# What may differ between two ways to the same rows: clocks, run ids, publication; and where a vector was computed (P5b).
ASIDE = {"run_id", "created_at", "available_at", "publication", "encoded_ds", "embedding", "interest_embedding"}
VECTORS = ("embedding", "interest_embedding")
KEYS = {
    names.ITEM_EMBEDDINGS: ["content_hash", "space_id"],
    names.INTEREST_EMBEDDINGS: ["user_id", "ds", "space_id"],
    names.RANKING_FEATURES: ["request_id", "item_id", "space_id"],
}


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


def differences(root: Path, other: Path) -> list[str]:
    """In words, where the published tables of two worlds differ."""
    return [line for name, keys in KEYS.items() for line in _differing(table(root, name).sort(keys), table(other, name).sort(keys), name)]


def _differing(one: pl.DataFrame, two: pl.DataFrame, name: str) -> Iterator[str]:
    if one.is_empty() or one.height != two.height:
        yield f"{name}: {one.height} and {two.height} rows"
        return
    for column in one.columns:
        if column in VECTORS:
            worst = _worst_cosine(one[column], two[column])
            if worst < 0.99999:
                yield f"{name}.{column}: cosine {worst}"
        elif column == "candidate_cosine":
            apart = (one[column] - two[column]).abs().max()
            if (apart is not None and apart > 1e-4) or not one[column].is_null().equals(two[column].is_null()):
                yield f"{name}.{column}: {apart} apart"
        elif column not in ASIDE and not one[column].equals(two[column]):
            yield f"{name}.{column}: {(one[column].ne_missing(two[column])).sum()} of {one.height} values"


def _worst_cosine(one: pl.Series, two: pl.Series) -> float:
    if not one.is_null().equals(two.is_null()):
        return -1.0
    if one.drop_nulls().is_empty():
        return 1.0
    vectors = [np.stack([np.asarray(vector, dtype=np.float64) for vector in series.drop_nulls().to_list()]) for series in (one, two)]
    unit = [matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in vectors]
    return float((unit[0] * unit[1]).sum(axis=1).min())


COMMANDS: dict[str, Any] = {
    "ledger": lambda root: ledger(Path(root)),
    "published": lambda root: published(Path(root)),
    "stage": lambda root, ds: stage(Path(root), date.fromisoformat(ds)),
    "spoil": lambda root, ds: spoil(Path(root), date.fromisoformat(ds)),
    "differences": lambda root, other: differences(Path(root), Path(other)),
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:]), default=str))
