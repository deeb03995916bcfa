"""The ladder: its probabilities are those of the generator, its readers recover what was planted, its rungs are apart."""

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from jobs.sample_world import World, WorldConfig
from jobs.sample_world.behaviour import Pick, Shelves, picks_of
from jobs.sample_world.catalogue import make_catalogue
from jobs.sample_world.images import read_palette, render_image
from jobs.sample_world.ladder import LadderInputs, climb, infer_mixture, next_item_scores, read_pictures
from jobs.sample_world.styles import CATEGORIES, STYLES
from jobs.sample_world.titles import make_title, read_styles
from jobs.sample_world.users import tastes_of


def test_rungs_are_apart_on_the_small_world(world: World) -> None:
    assert [rung.name for rung in world.ladder] == ["oracle", "title + image", "title only", "popularity"]
    oracle, both, title, popularity = (rung.hit_rate for rung in world.ladder)
    assert oracle > both + 0.08
    assert both > title + 0.05
    assert title > popularity + 0.1
    assert oracle > 0.5


def test_scores_are_the_generators_probabilities() -> None:
    """One known state, worked out by hand from the shares of whims, styles and follow-ups."""
    catalogue = make_catalogue(WorldConfig(items=400))
    category = np.array([item.category for item in catalogue.items])
    style = np.array([item.style for item in catalogue.items])
    weight = np.array([item.popularity for item in catalogue.items])
    mixture = np.zeros(len(STYLES))
    mixture[[2, 5]] = 0.75, 0.25
    scores = next_item_scores(np.eye(len(STYLES))[style], mixture, category, 4, weight)
    scarf = [row.name for row in CATEGORIES].index("scarf")
    assert scores.sum() == pytest.approx(1)
    # 8 % whims; else 3/4 of style 2; and category: 55 % the scarf that follows a jacket (4), 45 % any of twelve
    whims = weight / weight.sum()
    assert scores[style == 2].sum() == pytest.approx(0.92 * 0.75 + 0.08 * whims[style == 2].sum())
    assert scores[category == scarf].sum() == pytest.approx(0.92 * (0.55 + 0.45 / 12) + 0.08 * whims[category == scarf].sum())
    cell = (style == 5) & (category == scarf)
    inside = 0.92 * 0.25 * (0.55 + 0.45 / 12) * weight[cell] / weight[cell].sum() + 0.08 * whims[cell]
    assert scores[cell] == pytest.approx(inside)


def test_the_generator_follows_the_latent_model() -> None:
    """Frequencies among ordinary picks: the follow-up category, and styles by the user's mixture at that time."""
    config = WorldConfig(users=300, items=1000)
    catalogue = make_catalogue(config)
    shelves = Shelves.of(catalogue)
    follows, expected_style, met_style = [], 0.0, 0
    for user in range(config.users):
        picks: list[Pick] = picks_of(config, shelves, user)
        if len(picks) > 60:  # tastes of the busy are used up: repeats are redrawn
            continue
        categories = [catalogue.items[pick.item].category for pick in picks]
        follows += [CATEGORIES[a].next == CATEGORIES[b].name for a, b in pairwise(categories)]
        favourites = [np.argmax(tastes_of(config, user).at(pick.time_us)) for pick in picks]
        expected_style += sum(max(tastes_of(config, user).at(pick.time_us)) for pick in picks)
        met_style += sum(catalogue.items[pick.item].style == style for pick, style in zip(picks, favourites, strict=True))
    # 92 % of (55 % + 45 % / 12) and a twelfth of the whims; what was seen is redrawn, which costs a few points
    assert np.mean(follows) == pytest.approx(0.92 * (0.55 + 0.45 / 12) + 0.08 / 12, abs=0.06)
    assert met_style / expected_style == pytest.approx(0.92, abs=0.06)


def test_a_planted_mixture_is_recovered_and_the_newest_events_count_most() -> None:
    rng = np.random.default_rng(0)
    steady = np.full((300, 4), 0.02)
    steady[np.arange(300), rng.choice(4, 300, p=[0.6, 0.4, 0.0, 0.0])] = 1.0
    assert infer_mixture(np.tile(np.eye(4)[[0, 1]] + 0.02, (40, 1)))[:2] == pytest.approx([0.48, 0.48], abs=0.05)
    assert infer_mixture(steady)[:2].sum() > 0.9
    moved = np.full((60, 4), 0.02)
    moved[:30, 0] = moved[30:, 3] = 1.0
    assert infer_mixture(moved)[3] > 0.85


def test_a_reader_knows_styles_from_titles_and_nothing_from_silent_ones() -> None:
    read = read_styles(["Finch neon android Lamp", None, "Alder premium mug", "Ivo Minimal Cushion"])
    assert STYLES[int(read[0].argmax())].name == "cyberpunk"
    assert np.ptp(read[1]) == np.ptp(read[2]) == 0
    best = {STYLES[index].name for index in np.flatnonzero(np.isclose(read[3], read[3].max()))}
    assert best == {"nordic minimal", "zen"}


def test_about_half_of_the_titles_are_silent_about_style() -> None:
    titles = [make_title(number % 12, number % 11, random.Random(number)) for number in range(2000)]
    read = read_styles(titles)
    telling = np.ptp(read, axis=1) > 0
    assert telling.mean() == pytest.approx(0.45, abs=0.04)
    right = read.argmax(axis=1) == np.arange(2000) % 12
    assert 0.75 < right[telling].mean() < 0.97


def test_pictures_tell_the_style_of_items_that_were_not_fitted() -> None:
    style = np.arange(180) % 12
    pictures = [render_image(int(kind), number // 12 % 12, 48, random.Random(number)) for number, kind in enumerate(style)]
    palettes = [read_palette(data) for data in pictures]
    palettes[7] = None
    read = read_pictures(palettes, style, 12)
    assert np.ptp(read[7]) == 0
    assert (np.delete(read, 7, axis=0).argmax(axis=1) == np.delete(style, 7)).mean() > 0.9


def test_unreadable_pictures_have_no_palette() -> None:
    data = render_image(0, 0, 48, random.Random(0))
    assert read_palette(None) is None
    assert read_palette(b"no picture") is None
    assert read_palette(data[:200]) is None
    palette = read_palette(data)
    assert palette is not None
    assert float(palette @ palette) == pytest.approx(1, abs=1e-5)


def _inputs(**changed: object) -> LadderInputs:
    """60 items in one category, five a style; two users, who like style 3 and took its first item."""
    items = 60
    facts = {
        "style": np.arange(items) % 12, "category": np.zeros(items, dtype=np.int64), "popularity": np.ones(items),
        "counts": np.zeros(items, dtype=np.int64), "valid_from_us": np.zeros(items, dtype=np.int64),
        "titles": np.zeros((items, 12)), "pictures": np.log(np.eye(12)[np.arange(items) % 12] + 1e-3),
        "target": np.array([15, 27]), "target_time_us": np.array([10, 10]), "mixture": np.eye(12)[[3, 3]],
        "histories": [np.array([3]), np.array([3])],
    }  # fmt: skip
    return LadderInputs(**(facts | changed))  # type: ignore[arg-type]


def test_ties_count_against_a_rung() -> None:
    """Unseen: 59. Popularity ties them all: rank 59, a miss at 50. The oracle ties the four left of style 3: rank 4, a hit."""
    rates = {rung.name: rung.hit_rate for rung in climb(_inputs())}
    assert rates == {"oracle": 1.0, "title + image": 1.0, "title only": 0.0, "popularity": 0.0}


def test_items_that_are_not_launched_yet_are_no_candidates() -> None:
    launched_later = np.where(np.arange(60) < 45, 0, 99)
    rates = {rung.name: rung.hit_rate for rung in climb(_inputs(valid_from_us=launched_later))}
    assert rates["popularity"] == 1.0  # 44 candidates
    assert Counter(rung.n for rung in climb(_inputs())) == Counter({2: 4})


def test_items_of_the_history_are_no_candidates() -> None:
    seen = np.arange(15, 30)  # the popular ones; 45 remain, so that every rung hits item 50
    rates = {
        rung.name: rung.hit_rate
        for rung in climb(_inputs(counts=np.isin(np.arange(60), seen) * 9, histories=[seen, seen], target=np.array([50, 51])))
    }
    assert rates["popularity"] == 1.0
