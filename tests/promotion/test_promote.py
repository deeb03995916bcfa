"""Who becomes champion, on what evidence, and what the tables say of it: a shop of visitors, without a published day."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import encoders, promote
from jobs.encoders import Encoder, make_champion, open_encoder, register
from jobs.errors import JobError
from jobs.ingest import IngestOptions, ingest_stage
from jobs.ledger import LedgerRow
from jobs.promotion import measured
from jobs.promotion.evidence import NO_CHAMPION, Comparison, Evidence, Interval
from jobs.promotion.verdict import COLLAPSED, DECODABILITY_LOST, NOT_ENOUGH_EVIDENCE, WORSE
from jobs.stage import Context, run_stage
from karma.artefact import load_encoder
from karma.evaluation.evaluate import Catalogue, History, encode_catalogue, encode_users
from schemas import names, promotion_rules
from tests.promises.world import RUN_AT, World, click, day, moment, titled
from tests.tiny import tiny_encoder

VISITORS = [f"v{number:03}" for number in range(440)]
EARLY = 240
"""The first visitors take their target on day 1, the others on day 2. Half of all are enough for decodability, half of these are not."""
LETTERS = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), size=(72, 11))
GOODS = {f"g{number:02}": f"{''.join(row[:5])} {''.join(row[5:])}" for number, row in enumerate(LETTERS)}
TRAINED_UNTIL = moment(1, hour=0)


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> World:
    """Nothing in it yet."""
    return World(spark, tmp_path)


def encoder_in(world: World, version: str, seed: int) -> Encoder:
    """An encoder of random weights, not registered yet."""
    return open_encoder(tiny_encoder(world.root / "encoders", version, seed=seed, trained_until=TRAINED_UNTIL.isoformat()))


def encoder(world: World, version: str, seed: int, **metrics: float) -> Encoder:
    """A registered encoder of random weights, whose manifest has these metrics."""
    folder = encoder_in(world, version, seed).folder
    manifest = open_encoder(folder).manifest.model_copy(update={"metrics": metrics})
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return world.add_encoder(folder)


def asked(world: World, candidate: Encoder, *arguments: str) -> tuple[int, LedgerRow]:
    """Exit code and final ledger row of a promotion on the world's own clock."""
    code = promote.main(["--root", str(world.root), "--run-at", RUN_AT.isoformat(), "--encoder", candidate.version, *arguments])
    row = world.context().ledger.state(names.PROMOTE_JOB, RUN_AT.date(), candidate.space_id)
    assert row is not None
    return code, row


def evidence_in(row: LedgerRow) -> Evidence:
    return Evidence.model_validate_json(row.details["evidence"])


def comparison_in(row: LedgerRow) -> Comparison:
    found = evidence_in(row).comparison
    assert found is not None
    return found


def decodability_in(row: LedgerRow) -> tuple[Interval, Interval]:
    """The candidate's own, and what it is more than the champion's."""
    found = evidence_in(row)
    assert isinstance(found.decodability, Interval)
    assert isinstance(found.decodability_difference, Interval)
    return found.decodability, found.decodability_difference


def versions(world: World) -> dict[str, dict[str, Any]]:
    return {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}


def champion(world: World) -> list[str]:
    return [version for version, row in versions(world).items() if row["alias"] == names.CHAMPION]


def land_what_is_foretold_by(world: World, seer: Encoder) -> None:
    """Day 0: two events of every visitor, then the item that ``seer`` puts first. Days 1 and 2: the one that it puts first after these."""
    rng, ids = np.random.default_rng(1), sorted(GOODS)
    drawn = [[str(item) for item in rng.choice(ids, size=2)] for _ in VISITORS]
    thirds = _first_choices(seer, ids, drawn)
    seen = {user: [*two, third] for user, two, third in zip(VISITORS, drawn, thirds, strict=True)}
    taken = _first_choices(seer, ids, list(seen.values()))
    histories = [click(f"{user}-{hour}", user, item, moment(0, hour=hour)) for user in VISITORS for hour, item in enumerate(seen[user])]
    targets = [
        click(f"{user}-t", user, item, moment(1 if n < EARLY else 2)) for n, (user, item) in enumerate(zip(seen, taken, strict=True))
    ]
    later = click("second", VISITORS[0], ids[0], moment(1, hour=13))
    world.land_day(0, events=histories, items=[titled(item, title, moment(-1)) for item, title in GOODS.items()])
    world.land(names.EVENTS, 1, [*targets[:EARLY], later])
    world.land(names.EVENTS, 2, targets[EARLY:])
    for table, offset in ((names.ITEMS, 0), (names.EVENTS, 0), (names.EVENTS, 1), (names.EVENTS, 2)):
        assert run_stage(world.context(), ingest_stage(table, IngestOptions()), day(offset)).status == names.DONE


def _first_choices(seer: Encoder, ids: list[str], seen: list[list[str]]) -> list[str]:
    opened, place = load_encoder(seer.folder), {item: row for row, item in enumerate(ids)}
    no_pictures = {"visual": np.zeros((len(ids), 0), np.float32), "has_visual": np.zeros(len(ids), bool)}
    catalogue = Catalogue(item_ids=ids, titles=[GOODS[item] for item in ids], categories=["home"] * len(ids), **no_pictures)
    histories = [History(item_ids=items, event_types=["click"] * len(items), queries=[None] * len(items)) for items in seen]
    items = encode_catalogue(opened, catalogue)
    return [ids[row] for row in (encode_users(opened, items, place, histories) @ items.T).argmax(axis=1)]


def test_a_better_one_takes_over_and_a_worse_one_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "PROBE_STEPS", 40)
    first, better = encoder(world, "first", seed=0), encoder(world, "better", seed=3)
    code, row = asked(world, better)  # nothing is there to be judged on
    assert (code, row.status, champion(world)) == (names.EXIT_GATE_BLOCKED, names.BLOCKED, ["first"])
    land_what_is_foretold_by(world, better)

    code, row = asked(world, better, "--window-days", "1")
    assert (code, row.status, champion(world)) == (names.EXIT_GATE_BLOCKED, names.BLOCKED, ["first"])
    assert (row.reason or "").startswith(f"[{NOT_ENOUGH_EVIDENCE}]")
    assert "decodability was not measured" in row.details["rule"]
    assert (comparison_in(row).users, evidence_in(row).decodability) == (EARLY, "not_measured")

    code, row = asked(world, better, "--window-days", "3", "--require-better")
    assert (code, row.status, champion(world)) == (names.EXIT_DONE, names.DONE, ["better"])
    found = comparison_in(row)
    assert (found.since, found.users, found.corpus) == (TRAINED_UNTIL.isoformat(), len(VISITORS), len(GOODS))
    assert found.hit_rates["candidate"] == {10: 1.0, 50: 1.0, 200: None}
    assert found.days_not_ingested == (day(3).isoformat(),)
    clouds = {(cloud.of, cloud.vectors) for cloud in evidence_in(row).clouds}
    assert clouds == {("items", len(GOODS)), ("interests", len(VISITORS))}
    assert evidence_in(row).champion == "first"
    read, kept = decodability_in(row)
    assert (read.users, kept.users) == (len(VISITORS) // 2, len(VISITORS) // 2)  # the other half of the users trained the probe
    assert read.low > 0
    assert kept.low > 0
    assert versions(world)["better"]["details"] == {"evidence": row.details["evidence"]}

    code, row = asked(world, first, "--window-days", "3")
    assert (code, row.status, champion(world)) == (names.EXIT_GATE_BLOCKED, names.BLOCKED, ["better"])
    assert (row.reason or "").startswith(f"[{WORSE}]")
    assert "--without-evidence" in row.details["hint"]
    assert comparison_in(row).differences[50].high < 0
    read, kept = decodability_in(row)
    assert DECODABILITY_LOST in row.details["rule"]
    assert read.low > 0  # by itself it would do
    assert kept.high < -promotion_rules.DECODABILITY_MARGIN

    monkeypatch.setattr(measured, "measure", None)  # what follows measures nothing anew
    assert [asked(world, better)[1].status for _ in range(2)] == [names.UNCHANGED, names.UNCHANGED]
    assert asked(world, first, "--window-days", "3", "--margin", "0.01")[0] == names.EXIT_GATE_BLOCKED
    code, row = asked(world, first, "--window-days", "3", "--without-evidence", "the other one is slow")
    assert (code, champion(world)) == (names.EXIT_DONE, ["first"])
    assert row.details["without_evidence"] == "the other one is slow"
    assert [line.partition(":")[0] for line in row.details["overruled"].splitlines()] == [WORSE, DECODABILITY_LOST]
    assert versions(world)["first"]["details"] == {name: row.details[name] for name in ("evidence", "without_evidence", "overruled")}

    shutil.rmtree(first.folder)  # a champion that cannot be opened is compared with nothing: it may have to go
    code, row = asked(world, better)
    assert (code, "ARTEFACT_LOST" in (row.reason or "")) == (names.EXIT_GATE_BLOCKED, True)
    assert asked(world, better, "--without-evidence", "its folder is lost")[0] == names.EXIT_DONE
    assert champion(world) == ["better"]


def test_the_first_champion_needs_no_rival_but_must_not_have_collapsed(world: World) -> None:
    flat = encoder(world, "flat", seed=1, held_out_users=300, effective_rank_items=1.4, effective_rank_interests=20.0)
    assert champion(world) == []
    code, row = asked(world, flat, "--without-evidence", "there is no other")
    assert (code, champion(world)) == (names.EXIT_GATE_BLOCKED, [])
    assert (row.reason or "").startswith(f"[{COLLAPSED}]")
    sound = encoder(world, "sound", seed=2, held_out_users=300, effective_rank_items=14.0, effective_rank_interests=20.0)
    assert champion(world) == ["sound"]
    found = Evidence.model_validate_json(versions(world)["sound"]["details"]["evidence"])
    assert (found.candidate, found.not_compared, len(found.clouds)) == ("sound", NO_CHAMPION, 2)
    assert asked(world, sound)[1].status == names.UNCHANGED


def test_a_version_that_was_trained_again_to_other_weights_is_not_taken_for_the_registered_one(world: World) -> None:
    encoder(world, "timed", seed=1)
    with pytest.raises(JobError, match=r"ARTEFACT_CHANGED.*karma retire --encoder timed"):
        encoder(world, "timed", seed=2)
    world.add_encoder(tiny_encoder(world.root / "encoders", "another", seed=3))
    world.add_encoder(world.root / "encoders" / "another")
    assert sorted(versions(world)) == ["another", "timed"]


def test_a_version_made_again_from_newer_tables_is_the_registered_one(world: World) -> None:
    """Its manifest names other versions of the tables: another digest, the same weights."""
    first = encoder(world, "made", seed=1)
    other = first.manifest.model_copy(update={"training_tables": {"events": 7}})
    (first.folder / "manifest.json").write_text(other.model_dump_json())
    again = world.add_encoder(first.folder)
    assert again.digest != first.digest
    assert (versions(world)["made"]["artefact_digest"], champion(world)) == (again.digest, ["made"])


def test_the_same_weights_take_the_place_of_a_version_whose_files_are_lost(world: World) -> None:
    lost = encoder(world, "lost", seed=1)
    next(lost.folder.glob("*.safetensors")).unlink()
    world.add_encoder(tiny_encoder(world.root / "encoders", "after", seed=1, trained_until=TRAINED_UNTIL.isoformat()))
    rows = versions(world)
    assert ({version: row["status"] for version, row in rows.items()}) == {"lost": names.RETIRED, "after": names.ACTIVE}
    assert champion(world) == ["after"]
    assert rows["after"]["details"] == rows["lost"]["details"] is not None


def test_a_promotion_while_a_lost_version_is_replaced_leaves_one_champion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder(world, "lost", seed=1)
    encoder(world, "better", seed=2)

    def promoted_meanwhile(folder: Path, digest: str) -> bool:
        make_champion(world.context(), "better", {"why": "it was asked for"}, instead_of="lost")
        return True

    monkeypatch.setattr(encoders, "is_lost", promoted_meanwhile)
    world.add_encoder(tiny_encoder(world.root / "encoders", "after", seed=1, trained_until=TRAINED_UNTIL.isoformat()))
    assert {version: row["status"] for version, row in versions(world).items()}["lost"] == names.RETIRED
    assert champion(world) == ["better"]


def test_of_two_first_registrations_at_once_one_is_champion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Encoder] = []

    def registered_meanwhile(context: Context) -> None:
        if not looked:
            looked.append(first)
            register(world.context(), encoder_in(world, "other", seed=2), {})

    first = encoder_in(world, "first", seed=1)
    monkeypatch.setattr(encoders, "champion_row", registered_meanwhile)
    register(world.context(), first, {})
    assert champion(world) == ["other"]


def test_champions_that_are_several_end_with_the_next_promotion(world: World) -> None:
    for seed, version in enumerate(("one", "two", "next")):
        encoder(world, version, seed=seed)
    change = {"one": names.CHAMPION, "two": names.CHAMPION, "next": None}
    world.context().tables.change_rows(lambda rows: [{**row, "alias": change[row["version"]]} for row in rows], names.ENCODER_VERSIONS)
    make_champion(world.context(), "next", {"why": "it was asked for"}, instead_of="two")
    assert champion(world) == ["next"]


def test_the_same_weights_take_the_place_of_a_version_whose_manifest_was_changed(world: World) -> None:
    changed = encoder(world, "changed", seed=1)
    (changed.folder / "manifest.json").write_text(changed.manifest.model_copy(update={"metrics": {"hr@50": 1.0}}).model_dump_json())
    world.add_encoder(tiny_encoder(world.root / "encoders", "after", seed=1, trained_until=TRAINED_UNTIL.isoformat()))
    assert (champion(world), versions(world)["changed"]["status"]) == (["after"], names.RETIRED)


def test_the_same_weights_under_another_version_leave_the_one_before_in_place(world: World) -> None:
    """What a release whose training changed elsewhere gives for the same data: were it refused, no champion could be trained again."""
    before = encoder(world, "before", seed=1)
    after = open_encoder(tiny_encoder(world.root / "encoders", "after", seed=1, trained_until=TRAINED_UNTIL.isoformat()))
    assert (after.space_id, after.digest == before.digest) == (before.space_id, False)
    assert register(world.context(), after, {}) == before
    assert (list(versions(world)), champion(world)) == (["before"], ["before"])


def test_an_encoder_that_is_no_champion_may_still_be_the_first_to_be_promoted(world: World) -> None:
    sole = encoder(world, "sole", seed=1)
    world.context().tables.change_rows(lambda rows: [{**row, "alias": None} for row in rows], names.ENCODER_VERSIONS)
    code, row = asked(world, sole)
    assert (code, row.status, row.details["champion_before"], champion(world)) == (names.EXIT_DONE, names.DONE, "none", ["sole"])
    assert evidence_in(row).not_compared == NO_CHAMPION
    assert row.details["figures"] == f"{NO_CHAMPION}; decodability not_measured"
