"""Pages that users were shown: those that led to a click, and those that did not."""

from random import Random
from typing import NamedTuple

from jobs.sample_world.behaviour import Pick, Shelves, picks_of
from jobs.sample_world.catalogue import item_id
from jobs.sample_world.config import IMPRESSION_DAYS, US_PER_SECOND, WorldConfig
from jobs.sample_world.styles import STYLES
from jobs.sample_world.users import user_id
from schemas import names

PAGE_LENGTH = 8
CLICK_FROM_PAGE_SHARE = 0.4
_UNCLICKED_PER_USER = 3
MAX_SECONDS_TO_CLICK = 30


class Impression(NamedTuple):
    """One row of the impressions landing zone."""

    landing: str
    request_id: str
    item_id: str
    user_id: str
    impression_time: int
    query: str | None
    position: int
    clicked: bool


def impressions_of(config: WorldConfig, shelves: Shelves, index: int) -> list[Impression]:
    """The pages of one user on the last days of the history and the demo days.

    The latent model clicks: a page that led to a click holds the item that the user took, among items that were not taken; the click
    follows within ``MAX_SECONDS_TO_CLICK`` as an event of its own. Pages land on the day on which they were shown.
    """
    rng = config.rng("impressions", index)
    pages = [
        *(_clicked_page(shelves, pick, rng) for pick in picks_of(config, shelves, index) if _is_from_page(config, pick, rng)),
        *(_unclicked_page(config, shelves, rng) for _ in range(rng.randint(1, 2 * _UNCLICKED_PER_USER))),
    ]
    return [row for ordinal, page in enumerate(pages) for row in _rows(config, page, f"r{index:08d}-{ordinal:05d}", index)]


class _Page(NamedTuple):
    time_us: int
    items: list[int]
    clicked: int | None
    query: str | None


def _first_day(config: WorldConfig) -> int:
    return config.history_days - IMPRESSION_DAYS


def _is_from_page(config: WorldConfig, pick: Pick, rng: Random) -> bool:
    from_page = rng.random() < CLICK_FROM_PAGE_SHARE
    return from_page and pick.event_type == names.CLICK and config.day_index(pick.time_us) >= _first_day(config)


def _clicked_page(shelves: Shelves, pick: Pick, rng: Random) -> _Page:
    """The click's page, shown after what was typed ahead of it; the item taken tends to stand further up."""
    ahead_us = rng.randint(1, MAX_SECONDS_TO_CLICK) * US_PER_SECOND
    ahead_us = min(ahead_us, pick.query_ahead_us or ahead_us)
    time_us = max(pick.time_us - ahead_us, shelves.valid_from_us[pick.item])
    category = shelves.cell_of(pick.item)[1]
    others = _others(shelves, pick.item, category, time_us, rng)
    position = min(int(rng.expovariate(1 / 2.5)), PAGE_LENGTH - 1)
    return _Page(time_us, [*others[:position], pick.item, *others[position:]], pick.item, pick.query)


def _unclicked_page(config: WorldConfig, shelves: Shelves, rng: Random) -> _Page:
    first_us, end_us = config.day_us(_first_day(config)), config.day_us(config.last_day_index + 1)
    time_us = rng.randrange(first_us, end_us)
    first = shelves.from_all(time_us, rng)
    return _Page(time_us, [first, *_others(shelves, first, shelves.cell_of(first)[1], time_us, rng)], None, None)


def _others(shelves: Shelves, item: int, category: int, at_us: int, rng: Random) -> list[int]:
    """``PAGE_LENGTH`` - 1 other items that are valid then, none twice: half of them of the same category, in any style."""
    others: dict[int, None] = {}
    while len(others) < PAGE_LENGTH - 1:
        style = rng.randrange(len(STYLES)) if rng.random() < 0.5 else None
        other = shelves.from_all(at_us, rng) if style is None else shelves.from_cell(style, category, at_us, rng)
        if other != item:
            others[other] = None
    return list(others)


def _rows(config: WorldConfig, page: _Page, request_id: str, index: int) -> list[Impression]:
    landing, who = config.landing(config.day_index(page.time_us)), user_id(index)
    return [
        Impression(landing, request_id, item_id(item), who, page.time_us, page.query, position, item == page.clicked)
        for position, item in enumerate(page.items, start=1)
    ]
