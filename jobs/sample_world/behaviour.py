"""What a user does: sessions of item events drawn from the latent model, the queries typed on the way, and when it all lands."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import NamedTuple

from jobs.sample_world.catalogue import Catalogue, item_id
from jobs.sample_world.config import US_PER_DAY, US_PER_SECOND, WorldConfig
from jobs.sample_world.styles import CATEGORIES, CATEGORY_INDEX, FOLLOW_UP_SHARE, STYLES
from jobs.sample_world.titles import make_query
from jobs.sample_world.users import Tastes, Trait, arrival_day, sessions_of, tastes_of, trait_of, user_id
from schemas import names

WHIM_SHARE = 0.08
"""Item events that follow no taste: any item, by popularity."""
REPEAT_FACTOR = 0.05
"""How much less likely an item is once the user has taken it."""
QUERY_SHARE = 0.25
_TRIES = 30
_TYPES = (names.CLICK, names.CART, names.PURCHASE, names.RATING)
_TYPE_SHARES = (0.84, 0.92, 0.98, 1.0)
_FOLLOW_UP = tuple(CATEGORY_INDEX[category.next] for category in CATEGORIES)


class Event(NamedTuple):
    """One row of the events landing zone: ``landing`` is the partition it arrives in, ``event_time`` is in microseconds since 1970."""

    landing: str
    event_id: str
    user_id: str | None
    event_time: int
    event_type: str
    item_id: str | None
    query: str | None
    value: float | None


class Pick(NamedTuple):
    """An item event before it has an id: what was taken, when, how, and what was typed, in the event's row or ahead of it."""

    time_us: int
    item: int
    event_type: str
    query: str | None
    query_ahead_us: int
    value: float | None


@dataclass(frozen=True)
class Shelves:
    """The catalogue, ready to draw from: valid items by (style, category) or at large, in proportion to popularity."""

    valid_from_us: list[int]
    item_cells: list[tuple[int, int]]
    cells: dict[tuple[int, int], tuple[list[int], list[float]]]
    everything: list[float]

    @staticmethod
    def of(catalogue: Catalogue) -> "Shelves":
        members: dict[tuple[int, int], list[int]] = {}
        for item in catalogue.items:
            members.setdefault((item.style, item.category), []).append(item.number)
        popularity = [item.popularity for item in catalogue.items]
        return Shelves(
            valid_from_us=[item.valid_from_us for item in catalogue.items],
            item_cells=[(item.style, item.category) for item in catalogue.items],
            cells={cell: (items, list(accumulate(popularity[item] for item in items))) for cell, items in members.items()},
            everything=list(accumulate(popularity)),
        )

    def cell_of(self, item: int) -> tuple[int, int]:
        """(style, category)."""
        return self.item_cells[item]

    def from_cell(self, style: int, category: int, at_us: int, rng: Random) -> int:
        items, cumulative = self.cells[style, category]
        while self.valid_from_us[item := items[_draw(cumulative, rng)]] > at_us:
            pass
        return item

    def from_all(self, at_us: int, rng: Random) -> int:
        while self.valid_from_us[item := _draw(self.everything, rng)] > at_us:
            pass
        return item


def _draw(cumulative: list[float], rng: Random) -> int:
    return bisect_left(cumulative, rng.random() * cumulative[-1])


def picks_of(config: WorldConfig, shelves: Shelves, index: int) -> list[Pick]:
    """The item events of one user in the order in which they happened."""
    rng = config.rng("picks", index)
    tastes = tastes_of(config, index)
    seen: set[int] = set()
    category: int | None = None
    picks = []
    for time_us in _times(config, index, rng):
        style, category, item = _next_item(shelves, tastes, category, time_us, seen, rng)
        seen.add(item)
        picks.append(_pick(time_us, style, category, item, rng))
    return picks


def events_of(config: WorldConfig, shelves: Shelves, index: int) -> list[Event]:
    """All rows of one user as they land, broken and repeated ones included."""
    rng = config.rng("arrival", index)
    trait = trait_of(index)
    happened = sorted(_rows(picks_of(config, shelves, index), index), key=lambda event: event.event_time)
    arrivals = {day: arrival_day(config, trait, day, rng) for day in dict.fromkeys(config.day_index(row.event_time) for row in happened)}
    landed = [
        row._replace(landing=config.landing(arrivals[config.day_index(row.event_time)]), event_id=f"e{index:08d}-{ordinal:06d}")
        for ordinal, row in enumerate(happened)
    ]
    return [*landed, *_redelivered(config, trait, landed), *_broken(config, trait, index)]


def _times(config: WorldConfig, index: int, rng: Random) -> list[int]:
    """Times of all item events, ascending. A session starts between 06:00 and 23:00 and ends within its day."""
    times: list[int] = []
    for day, length, is_burst in sessions_of(config, index):
        at = config.day_us(day) + 6 * 3600 * US_PER_SECOND + rng.randrange(17 * 3600 * US_PER_SECOND)
        for _ in range(length):
            times.append(at)
            at += 0 if is_burst else round(min(120.0, 5.0 + rng.expovariate(1 / 40)) * US_PER_SECOND)
    return sorted(times)


def _next_item(
    shelves: Shelves, tastes: Tastes, last_category: int | None, at_us: int, seen: set[int], rng: Random
) -> tuple[int, int, int]:
    """(style, category, item); the whole draw is made again where the item was taken before, but for one time in twenty."""
    mixture = tastes.at(at_us)
    for _ in range(_TRIES):
        style, category, item = _draw_item(shelves, mixture, last_category, at_us, rng)
        if item not in seen or rng.random() < REPEAT_FACTOR:
            break
    return style, category, item


def _draw_item(shelves: Shelves, mixture: tuple[float, ...], last_category: int | None, at_us: int, rng: Random) -> tuple[int, int, int]:
    if rng.random() < WHIM_SHARE:
        item = shelves.from_all(at_us, rng)
        return *shelves.cell_of(item), item
    style = rng.choices(range(len(STYLES)), mixture)[0]
    follows = last_category is not None and rng.random() < FOLLOW_UP_SHARE
    category = _FOLLOW_UP[last_category] if follows and last_category is not None else rng.randrange(len(CATEGORIES))
    return style, category, shelves.from_cell(style, category, at_us, rng)


def _pick(time_us: int, style: int, category: int, item: int, rng: Random) -> Pick:
    drawn = rng.random()
    event_type = next(kind for kind, upper in zip(_TYPES, _TYPE_SHARES, strict=True) if drawn < upper)
    query = make_query(style, category, rng) if rng.random() < QUERY_SHARE else None
    ahead = rng.randint(3, 25) * US_PER_SECOND if query and rng.random() < 0.5 else 0
    value = {names.RATING: float(rng.randint(1, 5)), names.PURCHASE: 1.0}.get(event_type)
    return Pick(time_us, item, event_type, query, ahead, value)


def _rows(picks: list[Pick], index: int) -> Iterator[Event]:
    who = user_id(index)
    for pick in picks:
        if pick.query_ahead_us:
            yield Event("", "", who, pick.time_us - pick.query_ahead_us, names.QUERY, None, pick.query, None)
        query = None if pick.query_ahead_us else pick.query
        yield Event("", "", who, pick.time_us, pick.event_type, item_id(pick.item), query, pick.value)


def _redelivered(config: WorldConfig, trait: Trait, landed: list[Event]) -> list[Event]:
    """The first event of the first demo day once more that day, the last one once more on the day after."""
    if trait is not Trait.REDELIVERED:
        return []
    today = [row for row in landed if row.landing == config.landing(config.history_days)]
    tomorrow = [today[-1]._replace(landing=config.landing(config.history_days + 1))] if config.days > 1 else []
    return [today[0], *tomorrow]


def _broken(config: WorldConfig, trait: Trait, index: int) -> list[Event]:
    """The extra row of a user whose trait is to send one, at noon of a demo day (users take turns)."""
    day = config.history_days + index // 50 % config.days
    noon = config.day_us(day) + US_PER_DAY // 2
    row = Event(config.landing(day), f"e{index:08d}-extra", user_id(index), noon, names.CLICK, item_id(0), None, None)
    match trait:
        case Trait.NULL_USER:
            return [row._replace(user_id=None)]
        case Trait.UNKNOWN_TYPE:
            return [row._replace(event_type="hover")]
        case Trait.UNKNOWN_ITEM:
            return [row._replace(item_id=f"unlisted-{index}")]
        case Trait.FUTURE:
            return [row._replace(event_time=noon + 2 * US_PER_DAY)]
        case _:
            return []
