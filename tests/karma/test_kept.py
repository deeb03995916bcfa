"""What a run keeps for its page equals what naive code makes of the same encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.held_out_figures import read_catalogue, read_histories
from karma.artefact import load_encoder
from karma.evaluation import sinks
from karma.evaluation.evaluate import Catalogue, History, encode_catalogue, encode_users
from karma.training import kept, train
from karma.training.arms import arm_config
from karma.training.kept import EARLIER, LAST_TITLES, SHOWN_USERS, Asked, decoded, examples_of
from karma.training.study import AskedTargets, run_arm
from tests.karma.conftest import Planted

EVENTS = 12


@pytest.fixture(scope="module")
def held_out(planted: Planted) -> AskedTargets:
    histories = list(read_histories(planted.data).values())
    targets = [f"{row % 2}-19" if row % 4 else f"{row % 2}-3" for row in range(len(histories))]
    cold = np.array([target.endswith("-19") for target in targets])
    typed = np.arange(len(histories)) % 5 == 0
    return AskedTargets(catalogue=read_catalogue(planted.data), histories=histories, targets=targets, cold=cold, with_query=typed)


def test_a_run_keeps_what_its_page_needs(
    planted: Planted, held_out: AskedTargets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The planted histories have 13 events, the first a query; the attention of their newest 12 is judged here."""
    monkeypatch.setattr(sinks, "HISTORY", EVENTS)
    base = planted.config.model_copy(update={"encoder": planted.config.encoder.model_copy(update={"history_length": EVENTS + 4})})
    monkeypatch.setattr(kept, "STEPS", 3)
    config = arm_config(base, "action", "lm", 0, {"steps": 40, "validate_every": 20})
    told = run_arm(config, planted.data, held_out, tmp_path, decode=True)
    assert told["training"]["step"] > 0
    left = np.load(tmp_path / f"{config.name}.npz")

    assert left["history_length"].tolist() == [EVENTS] * 40
    assert left["target_with_query"].tolist() == [row % 5 == 0 for row in range(40)]
    assert left["cold"].tolist() == [row % 4 != 0 for row in range(40)]
    assert not left["new"].any()

    encoder = load_encoder(train(config, planted.data, tmp_path / "again" / "encoders", progress=False))
    items = encode_catalogue(encoder, held_out.catalogue)
    interests = encode_users(encoder, items, held_out.asked.place, held_out.histories)
    values = np.linalg.svd(interests, compute_uv=False)
    assert left["singular"] == pytest.approx(values / values.sum(), abs=1e-5)

    found = sinks.sinks_of(encoder, items, held_out.asked.place, held_out.histories)
    assert found is not None
    assert left["attention"] == pytest.approx(found.mean_map.numpy(), abs=1e-5)
    assert float(left["sinks"]) == pytest.approx(found.score)
    assert left["attention_untrained"].shape == (EVENTS + 1, EVENTS + 1)
    assert left["attention_untrained"].sum(1) == pytest.approx(1, abs=1e-5)
    assert np.abs(left["attention_untrained"] - left["attention"]).max() > 0, "step 0 is not the end"
    assert len(told["decoded"]) == SHOWN_USERS
    assert json.loads((tmp_path / f"{config.name}.json").read_text())["decoded"] == told["decoded"]


def test_a_path_without_a_language_model_keeps_no_attention(planted: Planted, held_out: AskedTargets, tmp_path: Path) -> None:
    config = arm_config(planted.config, "action", "pool", 0, {"steps": 2, "validate_every": 2})
    told = run_arm(config, planted.data, held_out, tmp_path)
    left = np.load(tmp_path / f"{config.name}.npz")
    assert {"attention", "sinks", "attention_untrained", "decodability"}.isdisjoint(left.files)
    assert "decoded" not in told


def test_to_ask_a_finished_run_for_what_it_did_not_decode_is_answered_in_the_log(
    planted: Planted, held_out: AskedTargets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = arm_config(planted.config, "action", "pool", 0, {"steps": 1, "validate_every": 1})
    told = run_arm(config, planted.data, held_out, tmp_path)
    caplog.set_level("INFO", "karma.arms")
    assert run_arm(config, planted.data, held_out, tmp_path) == told
    assert not [record for record in caplog.records if record.name == "karma.arms"]
    assert run_arm(config, planted.data, held_out, tmp_path, decode=True) == told
    (said,) = (record.message for record in caplog.records if record.name == "karma.arms")
    assert "nothing is decoded" in said
    assert f"{config.name}.json" in said


def asked_of(titles: list[str | None], targets: list[int], histories: list[list[str]]) -> Asked:
    m, n = len(titles), len(targets)
    ids = [f"i{row}" for row in range(m)]
    return Asked(
        catalogue=Catalogue(
            item_ids=ids, titles=titles, categories=[None] * m, visual=np.zeros((m, 0), np.float32), has_visual=np.zeros(m, bool)
        ),
        histories=[History(item_ids=of, event_types=["click"] * len(of), queries=[None] * len(of)) for of in histories],
        targets=np.array(targets), users=np.arange(n), cold=np.zeros(n, bool), new=np.zeros(n, bool),
    )  # fmt: skip


def test_a_vector_that_says_what_was_taken_is_read_and_told(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two titles, two directions: the probe, trained on half of the users, writes each of the others' titles."""
    monkeypatch.setattr(kept, "STEPS", 60)
    monkeypatch.setattr(kept, "examples_of", lambda asked: (asked.histories[:60], asked.targets[:60]))
    monkeypatch.setattr(kept, "encode_users", lambda encoder, items, place, histories: vectors[:60])
    n = 120
    targets = [row % 2 for row in range(n)]
    histories = [["i2"] * row + [f"i{(row + 1) % 2}"] * LAST_TITLES for row in range(n)]
    asked = asked_of(["red wool scarf", "blue steel drill", "old lamp"], targets, histories)
    vectors = np.eye(4, dtype=np.float32)[targets]
    before = torch.random.get_rng_state()
    told, arrays = decoded(planted.encoder, vectors, vectors, np.arange(1, n + 1), asked)
    assert torch.equal(torch.random.get_rng_state(), before)
    gains = arrays["decodability"]
    lines = told["decoded"]
    assert [line["written"] for line in lines] == [line["took"] for line in lines]
    assert len(lines) == SHOWN_USERS
    assert not np.isnan(gains[[line["row"] for line in lines]]).any(), "who is shown was measured"
    assert 0 < np.isnan(gains).sum() < n
    assert told["decodability"] == pytest.approx(np.nanmean(gains))
    assert told["decodability"] > 0.5
    for line in lines:
        other = "blue steel drill" if line["took"].startswith("red") else "red wool scarf"
        assert line["history"] == [other] * LAST_TITLES
        assert line["rank"] == line["row"] + 1
    lengths = [len(asked.histories[line["row"]].item_ids) for line in lines]
    assert lengths == sorted(lengths)


def test_the_probe_is_trained_on_other_users_than_it_is_measured_on(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example is of a user whose pairs are not measured: the last target, and the newest events, each after all before it."""
    monkeypatch.setattr(kept, "STEPS", 1)
    monkeypatch.setattr(kept, "encode_users", lambda encoder, items, place, histories: np.ones((len(histories), 4), np.float32))
    n, before = 30, 14
    titles = [f"item {row}" for row in range(n * 2)]
    asked = asked_of(titles, list(range(n)), [[f"i{n + row}"] * before for row in range(n)])
    _, arrays = decoded(planted.encoder, np.eye(n, 4, dtype=np.float32) + 0.1, np.ones((n * 2, 4), np.float32), np.ones(n, np.int64), asked)
    measured = set(np.flatnonzero(~np.isnan(arrays["decodability"])).tolist())
    assert 0 < len(measured) < n
    expected = {
        (f"i{n + user}", cut, user if cut == before else n + user)
        for user in set(range(n)) - measured
        for cut in range(before - EARLIER, before + 1)
    }
    histories, targets = examples_of(asked)
    told = {(history.item_ids[0], len(history.item_ids), target) for history, target in zip(histories, targets.tolist(), strict=True)}
    assert told == expected
    monkeypatch.setattr(kept, "EXAMPLES", 7)
    assert len(examples_of(asked)[0]) == len(examples_of(asked)[1]) == 7


def test_targets_without_a_title_are_left_out_and_too_few_users_tell_nothing(planted: Planted) -> None:
    asked = asked_of([None, "a"], [0] * 20 + [1], [["i0"]] * 21)
    vectors = np.eye(21, 4, dtype=np.float32)
    assert decoded(planted.encoder, vectors, vectors, np.ones(21, np.int64), asked) == ({}, {})
