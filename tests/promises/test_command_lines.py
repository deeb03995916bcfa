"""Every job by its command line: help, exit codes, the ledger's line a day."""

import importlib
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs import interest_embeddings
from jobs.day import DAY
from jobs.days import HOLE, day_lines
from jobs.places import Places
from jobs.stage import Context
from schemas import names
from tests.promises.world import World, day, moment

BESIDE_THE_DAY = (
    "run-day", "training-examples", "train-encoder", "evaluate-encoder", "training-shards", "table-upkeep", "promote", "retire", "days",
    "demo", "own-data", "ingest-requests", "request-embeddings",
)  # fmt: skip
JOBS = [step.job for step in DAY] + list(BESIDE_THE_DAY)


def run(job: str, *arguments: str) -> int:
    return importlib.import_module(f"jobs.{job.replace('-', '_')}").main(list(arguments))


@pytest.mark.parametrize("job", JOBS)
def test_help(job: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        run(job, "--help")
    assert ended.value.code == names.EXIT_DONE
    assert "--root" in capsys.readouterr().out or job == "own-data"


@pytest.mark.parametrize("job", [step.job for step in DAY])
@pytest.mark.parametrize(
    "days",
    [
        ["--ds", "2026-3-1"],
        ["--ds", "None"],
        ["--ds", "20260301"],
        ["--ds", "9999-12-31"],
        [],
        ["--ds-from", "2026-03-02", "--ds-to", "2026-03-01"],
    ],
)
def test_a_day_that_is_none_is_a_usage_error(job: str, days: list[str], tmp_path: Any) -> None:
    assert run(job, "--root", str(tmp_path), *days) == names.EXIT_USAGE == 2


def test_an_unknown_flag_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        run(names.PUBLISH_JOB, "--dss", "2026-03-01")
    assert ended.value.code == names.EXIT_USAGE


def test_exit_codes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ["--root", str(world.root), "--ds", day(3).isoformat()]
    assert run(names.USER_HISTORIES_JOB, *where) == names.EXIT_INPUT_MISSING == 4  # nothing was ingested
    assert run(names.INGEST_EVENTS_JOB, "--root", str(world.root), "--ds", day(9).isoformat()) == names.EXIT_INPUT_MISSING
    assert world.context().ledger.state(names.INGEST_EVENTS_JOB, day(9)).status == names.MISSING_INPUT
    for step in DAY[:6]:
        assert run(step.job, *where) == names.EXIT_DONE
    honest = interest_embeddings._encoded
    monkeypatch.setattr(interest_embeddings, "_encoded", lambda *args: honest(*args).withColumn("embedding", _zeros()))
    assert run(names.INTEREST_EMBEDDINGS_JOB, *where) == names.EXIT_DONE
    assert run(names.VALIDATE_JOB, *where) == names.EXIT_GATE_BLOCKED == 3
    assert run(names.PUBLISH_JOB, *where) == names.EXIT_INPUT_MISSING
    assert world.snapshot(3) == {}


@pytest.mark.parametrize(
    "job",
    [step.job for step in DAY if step.per_space]
    + [names.TRAINING_SHARDS_JOB, names.REQUEST_EMBEDDINGS_JOB, names.PROMOTE_JOB, names.RETIRE_JOB],
)
def test_without_an_encoder_the_ledger_says_so(spark: Any, job: str, tmp_path: Any) -> None:
    lifecycle = job in (names.PROMOTE_JOB, names.RETIRE_JOB)
    which = ["--encoder", "none", "--run-at", day(0).isoformat()] if lifecycle else ["--ds", day(0).isoformat()]
    assert run(job, "--root", str(tmp_path), *which) == names.EXIT_INPUT_MISSING
    row = Context(spark=spark, places=Places(str(tmp_path)), run_at=moment(0)).ledger.state(job, day(0))
    assert (row.status, "NO_ENCODER" in row.reason) == (names.MISSING_INPUT, True)


def test_with_a_lost_artefact_the_ledger_says_so(world: World) -> None:
    shutil.rmtree(world.encoder.folder)
    assert run(names.VALIDATE_JOB, "--root", str(world.root), "--ds", day(2).isoformat()) == names.EXIT_FAILED
    row = world.context().ledger.state(names.VALIDATE_JOB, day(2))
    assert (row.status, "ARTEFACT_LOST" in row.reason, "karma retire" in row.reason) == (names.FAILED, True, True)


def _one_byte_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


def _of_other_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("karma.manifest._space_under_this_code", lambda manifest: "0" * 16)


@pytest.mark.parametrize(("damage", "code"), [(_one_byte_changed, "ARTEFACT_CHANGED"), (_of_other_code, "OTHER_CODE")])
@pytest.mark.parametrize("job", [names.ITEM_EMBEDDINGS_JOB, names.INTEREST_EMBEDDINGS_JOB])
def test_weights_that_cannot_be_used_are_refused_before_a_task_reads_them(
    world: World, job: str, damage: Callable[..., None], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, space = day(2), world.encoder.space_id
    if job == names.ITEM_EMBEDDINGS_JOB:  # else there is nothing new to encode
        shutil.rmtree(world.root / "warehouse" / names.ITEM_EMBEDDINGS)
    damage(world.encoder.folder, monkeypatch)
    assert run(job, "--root", str(world.root), "--ds", last.isoformat(), "--recompute") == names.EXIT_FAILED
    row = world.context().ledger.state(job, last, space)
    assert (row.status, code in row.reason, "karma retire" in row.reason) == (names.FAILED, True, True)
    assert run(names.PUBLISH_JOB, "--root", str(world.root), "--ds", last.isoformat()) == 0


def _zeros() -> Any:
    from pyspark.sql import functions as F

    return F.transform("embedding", lambda x: (x * 0).cast("float"))


def test_a_backfill_runs_missing_and_stale_days_alone(world: World) -> None:
    first, last = day(2).isoformat(), day(3).isoformat()
    assert run("run-day", "--root", str(world.root), "--ds-from", first, "--ds-to", last) == names.EXIT_DONE
    ledger = world.context().ledger
    statuses = [ledger.state(names.PUBLISH_JOB, day(offset), world.encoder.space_id).status for offset in (2, 3)]
    assert statuses == [names.UNCHANGED, names.DONE]
    assert world.snapshot(3)["u00"]["publication"] == names.SIMULATED


def test_days_shows_holes(world: World) -> None:
    lines = day_lines(world.context().ledger, [day(0) + timedelta(days=offset) for offset in (2, 3)], [world.encoder.space_id])
    assert [line[names.PUBLISH_JOB] for line in lines] == [names.DONE, HOLE]
    assert [line["ds"] for line in lines] == ["2026-03-03", "2026-03-04"]
