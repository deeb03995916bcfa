"""Who becomes champion, on what evidence, and what the tables say of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs import promote
from jobs.encoders import Encoder, open_encoder
from jobs.evaluate_encoder import known_before
from jobs.held_out_figures import rankable_targets
from jobs.ingest import IngestOptions, ingest_stage
from jobs.ledger import LedgerRow
from jobs.promotion import measured
from jobs.promotion.evidence import NO_CHAMPION, Evidence
from jobs.promotion.verdict import COLLAPSED, NOT_ENOUGH_EVIDENCE, WORSE
from jobs.stage import run_stage
from jobs.transforms.label_window import LabelWindow
from karma.artefact import load_encoder
from karma.evaluation.evaluate import encode_catalogue, encode_users
from schemas import names
from tests.promises.world import COLOURS, RUN_AT, World, click, day, moment, titled
from tests.tiny import tiny_encoder

VISITORS = [f"v{number:03}" for number in range(220)]
GOODS = {f"g{colour}{number}": f"{colour} thing {number * number}" for colour in COLOURS for number in range(12)}
TRAINED_UNTIL = moment(4, hour=0)


def asked(world: World, encoder: Encoder, *arguments: str) -> tuple[int, LedgerRow]:
    """Exit code and final ledger row of a promotion on the world's own clock."""
    where = ["--root", str(world.root), "--run-at", RUN_AT.isoformat()]
    code = promote.main([*where, "--encoder", encoder.version, "--window-days", "2", *arguments])
    row = world.context().ledger.state(names.PROMOTE_JOB, RUN_AT.date(), encoder.space_id)
    assert row is not None
    return code, row


def versions(world: World) -> dict[str, dict[str, Any]]:
    return {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}


def champion(world: World) -> list[str]:
    return [version for version, row in versions(world).items() if row["alias"] == names.CHAMPION]


def heir(world: World, version: str, seed: int) -> Encoder:
    folder = tiny_encoder(world.root / "encoders", version, seed=seed, trained_until=TRAINED_UNTIL.isoformat())
    return world.add_encoder(folder)


def land_what_is_foretold_by(world: World, encoder: Encoder) -> None:
    """Day 3: every visitor's history. Day 4: as the first item of each, the one that ``encoder`` puts first."""

    def ingest(table: str, offset: int) -> None:
        assert run_stage(world.context(), ingest_stage(table, IngestOptions()), day(offset)).status == names.DONE

    pick = sorted(GOODS)
    seen = [
        click(f"h{user}-{step}", user, pick[(number * (step + 3) + step) % len(pick)], moment(3, hour=1 + step))
        for number, user in enumerate(VISITORS)
        for step in range(3)
    ]
    world.land_day(3, events=seen, items=[titled(item, title, moment(-1)) for item, title in GOODS.items()])
    ingest(names.EVENTS, 3)
    ingest(names.ITEMS, 3)
    data = known_before(world.context(), LabelWindow(since=TRAINED_UNTIL, days=2), encoder)
    read = rankable_targets(data, dict.fromkeys(VISITORS, pick[0]))
    opened = load_encoder(encoder.folder)
    items = encode_catalogue(opened, read.catalogue)
    foretold = (encode_users(opened, items, read.place, read.histories) @ items.T).argmax(axis=1)
    taken = [click(f"t{user}", user, read.catalogue.item_ids[row], moment(4)) for user, row in zip(read.users, foretold, strict=True)]
    world.land_day(4, events=[*taken, click("second", VISITORS[0], pick[0], moment(4, hour=13))])
    ingest(names.EVENTS, 4)


def test_a_better_one_takes_over_and_a_worse_one_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    better, worse = heir(world, "better", seed=2), heir(world, "worse", seed=4)
    land_what_is_foretold_by(world, better)

    code, row = asked(world, better, "--require-better")
    assert (code, row.status, champion(world)) == (names.EXIT_DONE, names.DONE, ["better"])
    evidence = Evidence.model_validate_json(row.details["evidence"])
    assert evidence.comparison is not None
    assert (evidence.champion, evidence.comparison.since) == ("tiny", TRAINED_UNTIL.isoformat())
    assert (evidence.comparison.users, evidence.comparison.hit_rates["candidate"][10]) == (len(VISITORS), 1.0)
    assert evidence.comparison.days_not_ingested == (day(5).isoformat(),)
    assert {(cloud.of, cloud.vectors) for cloud in evidence.clouds} == {("items", evidence.comparison.corpus), ("interests", len(VISITORS))}
    assert evidence.decodability == "not_measured"
    assert versions(world)["better"]["details"] == {"evidence": row.details["evidence"]}

    code, row = asked(world, worse)
    assert (code, row.status, champion(world)) == (names.EXIT_GATE_BLOCKED, names.BLOCKED, ["better"])
    assert row.reason.startswith(f"[{WORSE}]")
    assert "--without-evidence" in row.details["hint"]
    assert Evidence.model_validate_json(row.details["evidence"]).comparison.differences[50].high < 0

    monkeypatch.setattr(measured, "measure", None)  # nothing below measures anew
    assert [asked(world, better)[1].status for _ in range(2)] == [names.UNCHANGED, names.UNCHANGED]
    assert asked(world, worse, "--margin", "0.5", "--require-better")[0] == names.EXIT_GATE_BLOCKED
    code, row = asked(world, worse, "--without-evidence", "the other one is slow")
    assert (code, champion(world)) == (names.EXIT_DONE, ["worse"])
    assert (row.details["without_evidence"], row.details["overruled"].partition(":")[0]) == ("the other one is slow", WORSE)
    assert versions(world)["worse"]["details"] == {name: row.details[name] for name in ("evidence", "without_evidence", "overruled")}


def test_few_users_are_not_enough(world: World) -> None:
    small = world.add_encoder(tiny_encoder(world.root / "encoders", "small", seed=2, trained_until=f"{day(1)}T00:00:00+00:00"))
    code, row = asked(world, small)
    assert (code, row.status, champion(world)) == (names.EXIT_GATE_BLOCKED, names.BLOCKED, ["tiny"])
    assert row.reason.startswith(f"[{NOT_ENOUGH_EVIDENCE}]")
    assert json.loads(row.details["evidence"])["comparison"]["users"] == 20
    shutil.rmtree(world.encoder.folder)  # a champion that cannot be opened is not compared: it may have to go
    code, row = asked(world, small, "--window-days", "1")
    assert (code, "ARTEFACT_LOST" in row.reason) == (names.EXIT_GATE_BLOCKED, True)
    assert asked(world, small, "--window-days", "1", "--without-evidence", "its folder is lost")[0] == names.EXIT_DONE
    assert champion(world) == ["small"]


@pytest.fixture
def nothing_yet(spark: Any, tmp_path: Path) -> World:
    return World(spark, tmp_path)


def encoder_that_says(world: World, version: str, **metrics: float) -> Encoder:
    """A registered encoder whose manifest has these metrics."""
    folder = tiny_encoder(world.root / "encoders", version, seed=len(version))
    manifest = open_encoder(folder).manifest.model_copy(update={"metrics": metrics})
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return world.add_encoder(folder)


def test_the_first_champion_needs_no_rival_but_must_not_have_collapsed(nothing_yet: World) -> None:
    world = nothing_yet
    flat = encoder_that_says(world, "flat", held_out_users=300, effective_rank_items=1.4, effective_rank_interests=20.0)
    assert champion(world) == []
    code, row = asked(world, flat, "--without-evidence", "there is no other")
    assert (code, champion(world)) == (names.EXIT_GATE_BLOCKED, [])
    assert row.reason.startswith(f"[{COLLAPSED}]")
    round_one = encoder_that_says(world, "round one", held_out_users=300, effective_rank_items=14.0, effective_rank_interests=20.0)
    assert champion(world) == ["round one"]
    evidence = Evidence.model_validate_json(versions(world)["round one"]["details"]["evidence"])
    assert (evidence.candidate, evidence.not_compared, len(evidence.clouds)) == ("round one", NO_CHAMPION, 2)
    assert asked(world, round_one)[1].status == names.UNCHANGED
