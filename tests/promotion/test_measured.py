"""What both encoders are measured on: the same users, titles and strangers, and the same candidates; tiny encoders of random weights."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jobs import knowledge_measures
from jobs.encoders import open_encoder
from jobs.held_out_figures import Judgement
from jobs.promotion import measured
from jobs.promotion.evidence import Interval
from jobs.promotion.measured import decodability_beside
from jobs.transforms.label_window import LabelWindow
from karma.artefact import load_encoder
from karma.evaluation.decodability import Decodability, TitlePairs, decodability
from karma.evaluation.evaluate import evaluate_targets
from schemas.promotion_rules import USERS
from tests.evaluation.test_knowledge_measures import judgement

MEASURED = 15


@pytest.fixture(autouse=True)
def _few_users_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "PROBE_STEPS", 2)
    monkeypatch.setattr(measured, "USERS", replace(USERS, minimum=MEASURED))


def judged(folder: Path, seed: int = 0) -> Judgement:
    """30 judged users, half of whom are measured, among 60."""
    return judgement(folder / str(seed), users=60, seed=seed)


def test_an_encoder_beside_itself_loses_nothing(tmp_path: Path) -> None:
    found = decodability_beside(judged(tmp_path), judged(tmp_path))
    assert found["decodability_difference"] == Interval(mean=0, low=0, high=0, users=MEASURED)
    assert found["decodability"].users == MEASURED
    assert found["decodability"].mean != 0


def test_the_difference_is_that_of_what_each_says(tmp_path: Path) -> None:
    one, other = judged(tmp_path), judged(tmp_path, seed=1)
    found, turned = decodability_beside(one, other), decodability_beside(other, one)
    difference = found["decodability"].mean - turned["decodability"].mean
    assert difference != 0
    assert found["decodability_difference"].mean == pytest.approx(difference)
    assert turned["decodability_difference"].mean == pytest.approx(-difference)


def test_encoders_of_other_dimensions_are_asked_with_the_same_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TitlePairs] = []
    found: list[Decodability] = []

    def seen(training: TitlePairs, held_out: TitlePairs, **settings: Any) -> Decodability:
        asked.append(held_out)
        found.append(decodability(training, held_out, **settings))
        return found[-1]

    monkeypatch.setattr(knowledge_measures, "decodability", seen)
    narrow = judged(tmp_path)
    monkeypatch.setattr("tests.tiny.DIM", 24)
    decodability_beside(narrow, judged(tmp_path, seed=1))
    assert [of.vectors.shape for of in asked] == [(MEASURED, 16), (MEASURED, 24)]
    assert torch.equal(asked[0].tokens, asked[1].tokens)
    assert torch.equal(found[0].strangers, found[1].strangers)


def test_it_takes_enough_users_that_are_measured_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "USERS", replace(USERS, minimum=MEASURED + 1))
    assert decodability_beside(judged(tmp_path), judged(tmp_path)) == {}


@pytest.mark.parametrize(("repeats", "policy"), [((False, False), "masked"), ((True, False), "kept"), ((False, None), "kept")])
def test_seen_items_are_no_candidates_where_neither_was_trained_against_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeats: tuple[bool | None, bool | None], policy: str
) -> None:
    """A manifest that does not say how it was trained (None) leaves them in."""
    held_out = judgement(tmp_path, users=60, events=12).held_out
    for name, told in {"targets_in": {}, "known_before": tmp_path, "rankable_targets": held_out, "days_not_ingested": []}.items():
        monkeypatch.setattr(measured, name, lambda *_, told=told: told)
    monkeypatch.setattr(measured, "decodability_beside", lambda *_: {})
    encoder = open_encoder(tmp_path / "tiny")
    training = [{} if told is None else {"training": {"softmax": {"repeats": told}}} for told in repeats]
    candidate, champion = (replace(encoder, manifest=encoder.manifest.model_copy(update={"config": of})) for of in training)
    window = LabelWindow(since=datetime(2026, 3, 1, tzinfo=UTC), days=1)
    found = measured.measure(SimpleNamespace(), candidate, champion, window).comparison
    assert found is not None
    assert found.seen_items == policy
    masked = evaluate_targets(load_encoder(encoder.folder, encoder.digest), held_out.catalogue, held_out.histories, held_out.items, True)
    kept = evaluate_targets(load_encoder(encoder.folder, encoder.digest), held_out.catalogue, held_out.histories, held_out.items, False)
    new = [item not in history.item_ids for history, item in zip(held_out.histories, held_out.items, strict=True)]
    assert not all(new)
    rates = {"masked": (masked.ranks[new] <= 10).mean(), "kept": (kept.ranks <= 10).mean()}
    assert rates["masked"] != rates["kept"]
    assert found.hit_rates["candidate"][10] == pytest.approx(rates[policy])
