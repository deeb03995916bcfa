"""Measures on targets that are small enough to rank by hand; interest = the item of the newest event."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs import encoder_measures, held_out_figures
from jobs.encoder_measures import Shown, auc_of_impressions, by_age, cold_figures, spread, title_overlap
from jobs.held_out_figures import HeldOutTargets, Judgement
from karma.evaluation.evaluate import Catalogue, Evaluation, History, evaluate_targets
from karma.evaluation.spectrum import spectrum
from tests.evaluation.test_evaluate import ITEMS, NewestItem, catalogue, history

DAY = 86_400_000_000


def judgement(histories: dict[str, History], targets: dict[str, str], items: Catalogue | None = None, encoder: Any = None) -> Judgement:
    shown, reader = items or catalogue(), encoder or NewestItem()
    place = {item: row for row, item in enumerate(shown.item_ids)}
    held_out = HeldOutTargets(catalogue=shown, place=place, of_all=histories, users=list(targets), items=list(targets.values()))
    found: Evaluation = evaluate_targets(reader, shown, held_out.histories, held_out.items, mask_seen=False)
    return Judgement(held_out=held_out, known=held_out, encoder=reader, found=found, ranks={"encoder": found.ranks}, dropped=0)


@pytest.fixture
def small_cutoffs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four items only: hit rates at 1 and 2."""
    monkeypatch.setattr(held_out_figures, "CUTOFFS", (1, 2))
    monkeypatch.setattr(encoder_measures, "JUDGED_AT", 2)


@pytest.mark.usefixtures("small_cutoffs")
def test_an_older_vector_has_not_read_the_newest_events() -> None:
    """u: c long ago, then a half a day before the target a, which is first from a and last from c. v: d long ago, and d again.

    w has no event two weeks before the target, and is measured at no age.
    """
    found = judgement({"u": history("c", "a"), "v": history("d"), "w": history("a")}, {"u": "a", "v": "d", "w": "a"})
    now = 100 * DAY
    times = {"u": np.array([now - 20 * DAY, now - DAY // 2]), "v": np.array([now - 15 * DAY]), "w": np.array([now - 2 * DAY])}

    ages = by_age(found, times, dict.fromkeys("uvw", now))

    assert ages["n"] == 2
    assert ages["days"].pop("0") == {"HR@1": 1.0, "HR@2": 1.0}
    assert ages["days"] == {age: {"HR@1": 1 / 2, "HR@2": 1 / 2} for age in ("1", "3", "7", "14")}
    lost = {"mean": -1 / 2, "low": -1, "high": 0}  # u loses, v does not: both ends are draws of one user twice
    assert ages["differences"] == {age: {"HR@1": lost, "HR@2": lost} for age in ("1", "3", "7", "14")}


@pytest.mark.usefixtures("small_cutoffs")
def test_the_cut_is_exclusive() -> None:
    found = judgement({"u": history("c", "a")}, {"u": "a"})
    at = 100 * DAY
    times = {"u": np.array([at - 30 * DAY, at - DAY])}
    assert by_age(found, times, {"u": at})["days"]["1"]["HR@2"] == 0, "an event exactly a day before is not in a vector of that day"
    assert by_age(found, times, {"u": at + 1})["days"]["1"]["HR@2"] == 1


def test_nobody_is_old_enough() -> None:
    assert by_age(judgement({"u": history("a")}, {"u": "b"}), {"u": np.array([DAY])}, {"u": 2 * DAY}) == {"n": 0}


@pytest.mark.usefixtures("small_cutoffs")
def test_title_overlap_by_hand() -> None:
    """Target a, newest a: its two nearest others are b (no title) and c; popularity: c is taken twice, then b before d."""
    titled = Catalogue(**{**vars(catalogue()), "titles": ["red hat", None, "red coat", "hat"]})
    found = judgement({"u": history("a"), "v": history("c", "c")}, {"u": "a", "v": "a"}, titled)

    overlap = title_overlap(found)

    # u: b 0, c 1/3. v: newest c: c itself 1/3, then b. Popular others of a: c 1/3, b 0.
    assert overlap["encoder"] == pytest.approx((1 / 3 + 0) / 2)
    assert overlap["popularity"] == pytest.approx((1 / 3 + 0) / 2)
    assert overlap["n"] == 2


def test_gauc_reads_the_cosine_and_leaves_out_whom_it_does_not_know() -> None:
    found = judgement({"u": history("a"), "v": history("c")}, {"u": "b", "v": "d"})
    shown = Shown(
        user_ids=["v", "v", "u", "u", "u", "v", "nobody"],
        item_ids=["c", "a", "b", "c", "d", "no item", "a"],
        clicked=[False, True, True, False, True, True, True],
    )
    # u at a: b .9 clicked, c 0, d -1 clicked: one of two pairs. v at c: c 1, a 0 clicked: none.
    # Two users drawn with replacement: both u .5 in a quarter of the draws, both v 0 in another.
    assert auc_of_impressions(found, shown) == {
        "n": 2, "value": pytest.approx((3 * 0.5 + 2 * 0) / 5), "low": 0, "high": 0.5, "dropped": 0, "impressions": 5,
    }  # fmt: skip
    assert auc_of_impressions(found, Shown(user_ids=[], item_ids=[], clicked=[]))["value"] is None


@pytest.mark.usefixtures("small_cutoffs")
def test_cold_targets_by_hand() -> None:
    """Nobody took d before. It enters a top two beyond .9 + 1 (from a), .1 - 0 (from c) and .82 + .9 (from b).

    A quarter of the six places is 1.5, and 2 of them are cold at 1.81: then d is third from a, c second from c, b third from b.
    """
    found = judgement({"u": history("a"), "v": history("c"), "w": history("b")}, {"u": "d", "v": "c", "w": "b"})
    figures = cold_figures(found)
    assert (figures["n"], figures["cold items"], figures["share"], figures["raw share"]) == (1, 1, 0.25, 0)
    assert figures["offset"] == pytest.approx((1.9 + 1.72) / 2)
    assert figures["at an equal share"] == {"warm": 1 / 2, "cold": 0}
    assert figures["among their own kind"] == {"warm": 1.0, "cold": None}
    assert cold_figures(judgement({"u": history("a", "b", "c", "d")}, {"u": "b"})) == {"n": 0}


def test_spread_of_a_cloud() -> None:
    vectors = np.array(list(ITEMS.values()), np.float32)
    figures = spread(vectors, spectrum(vectors))
    assert figures.keys() == {"effective rank", "mean cosine", "uniformity"}
    assert figures["uniformity"] < 0
    assert spread(vectors[:1], None) == {}


def test_times_are_microseconds_by_user(tmp_path: Any) -> None:
    (tmp_path / "histories").mkdir()
    two = [pd.Timestamp(0, tz="UTC"), pd.Timestamp("1970-01-02", tz="UTC")]
    pd.DataFrame({"user_id": ["u", "v"], "event_times": [two, []]}).to_parquet(tmp_path / "histories" / "part.parquet")
    times = encoder_measures.read_event_times(tmp_path)
    assert {user: of.tolist() for user, of in times.items()} == {"u": [0, DAY], "v": []}
