"""Figures on targets that are small enough to rank by hand, with a tiny encoder of random weights."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs import held_out_figures as figures_module
from jobs.held_out_figures import held_out_figures
from karma.artefact import artefact_digest
from karma.evaluation.evaluate import History
from tests.tiny import tiny_encoder

ITEMS = [f"i{n:02}" for n in range(14)]
HISTORIES = {"a": ["i00", "i01"], "b": ["i00", "i02"], "c": ["i00", "i01", "i03", None, "i03"], "d": ITEMS[4:13] * 2}
TARGETS = {"a": "i02", "b": "i01", "c": "i13", "without events": "i00", "a's friend": "no item"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A training data folder of HISTORIES and ITEMS, without images."""
    folder = tmp_path / "data"
    (folder / "histories").mkdir(parents=True)
    titles = [f"film {item}" for item in ITEMS]
    catalogue = pd.DataFrame({"item_id": ITEMS, "content_hash": ITEMS, "title": titles, "category": None, "features": None})
    catalogue.astype({"features": object}).to_parquet(folder / "catalogue.parquet", index=False)
    times = {user: [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(len(items))] for user, items in HISTORIES.items()}
    rows = [
        {
            "user_id": user, "event_times": times[user], "event_types": ["click"] * len(items), "item_ids": items,
            "queries": ["lamp" if item is None else None for item in items],
        }
        for user, items in HISTORIES.items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "histories" / "part-0.parquet", index=False)
    (folder / "meta.json").write_text(json.dumps({"trained_until": "2026-02-01T00:00:00+00:00", "fingerprint": "f"}))
    return folder


def _figures(data: Path, *, mask_seen: bool) -> dict[str, Any]:
    encoder = tiny_encoder(data.parent / "encoders", "tiny")
    return held_out_figures(data, encoder, artefact_digest(encoder), TARGETS, mask_seen=mask_seen)


def test_popularity_by_hand_with_seen_items_masked(data: Path) -> None:
    """A user's second time does not count: i00 3, i01 2, i02 to i12 1 each, i13 0; ties count against the target.

    a: i02 behind its equals i03 to i12: rank 11. b: i01 first. c: i13 behind i02 and i04 to i12: rank 11.
    """
    figures = _figures(data, mask_seen=True)
    assert figures["popularity"] == {"HR@10": pytest.approx(1 / 3), "HR@50": None, "HR@200": None}
    assert (figures["n"], figures["dropped"], figures["corpus"]) == (3, 2, 14)
    assert set(figures) >= {"encoder", "popularity", "co", "text", "co+text"}


def test_kept_seen_items_are_candidates(data: Path) -> None:
    """Every time counts: i00 3, i01, i03 and i04 to i12 2 each, i02 1: b's i01 too is behind eleven others now."""
    figures = _figures(data, mask_seen=False)
    assert figures["popularity"]["HR@10"] == 0
    assert "own past items" in figures


def test_the_encoder_is_ranked_on_the_same_targets(data: Path) -> None:
    figures = _figures(data, mask_seen=True)
    assert figures["encoder"]["HR@10"] in [pytest.approx(hits / 3) for hits in range(4)]
    assert figures["encoder"]["HR@50"] is None
    assert {name: list(of) for name, of in figures["differences"].items()} == {
        name: ["HR@10"] for name in ("popularity", "co", "text", "co+text")
    }, "50 and 200 are more than the corpus"
    told = figures["differences"]["co"]["HR@10"]
    assert told["mean"] == pytest.approx(figures["encoder"]["HR@10"] - figures["co"]["HR@10"])


def test_a_slice_is_judged_where_it_has_targets_enough(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_module, "JUDGED_USERS", 2)
    monkeypatch.setattr(figures_module, "JUDGED_AT", 10)
    slices = _figures(data, mask_seen=True)["slices"]
    assert "interval" not in slices["cold items"], "one target"
    told = slices["items of 1 to 4 events"]
    assert told["interval"]["mean"] == told["encoder"]["HR@10"]
    assert told["interval"]["low"] <= told["interval"]["mean"] <= told["interval"]["high"]


def test_the_other_policy_stands_beside_the_one_asked_for(data: Path) -> None:
    masked, kept = _figures(data, mask_seen=True), _figures(data, mask_seen=False)
    assert (masked["seen_items"], masked["other_policy"]["seen_items"]) == ("masked", "kept")
    for method in ("encoder", "popularity", "co+text"):
        assert masked["other_policy"][method] == kept[method]
        assert kept["other_policy"][method] == masked[method]


def test_slices_by_hand(data: Path) -> None:
    """Nobody took i13, the target of c; i02 and i01 have at most four events; every history that is left is short."""
    slices = _figures(data, mask_seen=True)["slices"]
    assert {name: of_slice["n"] for name, of_slice in slices.items()} == {
        "cold items": 1, "items of 1 to 4 events": 2, "histories of 1 to 9 events": 3,
    }  # fmt: skip
    assert slices["cold items"]["popularity"]["HR@10"] == 0
    assert slices["items of 1 to 4 events"]["popularity"]["HR@10"] == pytest.approx(1 / 2)


def test_a_query_that_was_typed_for_a_target_is_read_last(data: Path) -> None:
    encoder = tiny_encoder(data.parent / "encoders", "tiny")
    queries = {"a": "film i02", "nobody": "lamp"}
    figures = held_out_figures(data, encoder, artefact_digest(encoder), TARGETS, mask_seen=True, queries=queries)
    assert figures["query"]["n"] == figures["slices"]["targets with a typed query"]["n"] == 1
    assert figures["slices"]["targets without a query"]["n"] == 2, "c typed one earlier, for another item"
    assert {"encoder", "encoder, query appended", "popularity"} <= figures["query"].keys()
    assert _figures(data, mask_seen=True)["query"] == {"n": 0}


def test_what_a_query_adds_is_paired_over_the_targets_that_have_one(data: Path) -> None:
    encoder = tiny_encoder(data.parent / "encoders", "tiny")
    queries = {"a": "film i02", "b": "film i01", "c": "film i13"}
    query = held_out_figures(data, encoder, artefact_digest(encoder), TARGETS, mask_seen=True, queries=queries)["query"]
    assert query["differences"]["encoder"].keys() == {"HR@10"}, "50 is more than the corpus"
    told = query["differences"]["encoder"]["HR@10"]
    assert told["mean"] == pytest.approx(query["encoder, query appended"]["HR@10"] - query["encoder"]["HR@10"])
    assert told["low"] <= told["mean"] <= told["high"]
    alone = held_out_figures(data, encoder, artefact_digest(encoder), TARGETS, mask_seen=True, queries={"a": "film i02"})["query"]
    assert alone["differences"] == {"encoder": {}}, "one user has no interval"


def test_a_query_is_appended_as_an_event_without_an_item() -> None:
    history = History(item_ids=["i00"], event_types=["click"], queries=[None]).asking("lamp")
    assert (history.item_ids, history.event_types, history.queries) == (["i00", None], ["click", "query"], [None, "lamp"])


def test_an_item_that_its_user_had_is_a_target_only_where_it_is_a_candidate(data: Path) -> None:
    """d's i04 would be ranked among i00 to i03 and i13 alone, which d never had."""
    encoder = tiny_encoder(data.parent / "encoders", "tiny")
    masked, kept = (
        held_out_figures(data, encoder, artefact_digest(encoder), {**TARGETS, "d": "i04"}, mask_seen=mask_seen)
        for mask_seen in (True, False)
    )
    assert (masked["n"], masked["dropped"], masked["other_policy"]["n"]) == (3, 3, 4)
    assert (kept["n"], kept["dropped"], kept["other_policy"]["n"]) == (4, 2, 3)
    for method in ("encoder", "popularity", "co+text"):
        assert kept["other_policy"][method] == masked[method]
        assert masked["other_policy"][method] == kept[method]
