"""Users: which oddity of the data each one shows, and what each one likes when."""

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import NamedTuple

from jobs.sample_world.config import TOO_LATE_BY_DAYS, US_PER_DAY, WorldConfig
from jobs.sample_world.styles import STYLES

REGIME_DAYS = 45.0
_MOST_STYLES = ((0.45, 1), (0.85, 2), (1.0, 3))


class Trait(Enum):
    """What is special about a user. A user has one trait, by index alone, so that any world of 200 users has them all.

    Values: (period, remainder): the user has the trait where index % period == remainder.
    """

    HEAVY = (200, 7)
    """Thousands of events."""
    NONE = (25, 3)
    """No event at all, but impressions."""
    ONE = (25, 4)
    """One item event."""
    NEWCOMER = (25, 5)
    """No event before the second demo day (the first, where there is one)."""
    LATE = (25, 16)
    """Events of the last days arrive one to three days late."""
    BURST = (25, 18)
    """Six item events with one time stamp."""
    REDELIVERED = (25, 19)
    """An event of the first demo day arrives twice that day, another one again on the next."""
    TOO_LATE = (50, 17)
    """Events of a day ten days before the first demo day arrive on it."""
    NULL_USER = (50, 10)
    """Sends one extra row without a user id."""
    UNKNOWN_TYPE = (50, 11)
    """Sends one extra row of an event type that nobody knows."""
    UNKNOWN_ITEM = (50, 12)
    """Sends one extra event with an item that no catalogue ever lists."""
    FUTURE = (50, 13)
    """Sends one extra event dated two days after its arrival."""
    ORDINARY = (1, 0)

    def holds(self, index: int) -> bool:
        period, remainder = self.value
        return bool(index % period == remainder)


def trait_of(index: int) -> Trait:
    return next(trait for trait in Trait if trait.holds(index))


def user_id(index: int) -> str:
    return f"u{index:08d}"


@dataclass(frozen=True, kw_only=True)
class Tastes:
    """A user's style mixture in time: ``mixtures[k]`` holds from ``starts_us[k]``, inclusive, to the next start, exclusive."""

    starts_us: tuple[int, ...]
    mixtures: tuple[tuple[float, ...], ...]

    def at(self, time_us: int) -> tuple[float, ...]:
        """The mixture over styles at ``time_us``; sums to 1. The first one holds before its start, too."""
        return self.mixtures[max(0, bisect_right(self.starts_us, time_us) - 1)]


def tastes_of(config: WorldConfig, index: int) -> Tastes:
    """One to three styles, and a new regime every six weeks or so: one style gives way to another, or the user starts afresh."""
    rng = config.rng("tastes", index)
    end_us = config.day_us(config.last_day_index + 1)
    styles = _some_styles(rng)
    starts, mixtures = [config.start_us], [_mixture(styles, rng)]
    while (start := starts[-1] + round(rng.expovariate(1 / REGIME_DAYS) * US_PER_DAY)) < end_us:
        styles = _replaced_one(styles, rng) if rng.random() < 0.7 else _some_styles(rng)
        starts.append(start)
        mixtures.append(_mixture(styles, rng))
    return Tastes(starts_us=tuple(starts), mixtures=tuple(mixtures))


def _some_styles(rng: Random) -> list[int]:
    drawn = rng.random()
    return rng.sample(range(len(STYLES)), next(count for upper, count in _MOST_STYLES if drawn < upper))


def _replaced_one(styles: list[int], rng: Random) -> list[int]:
    others = [style for style in range(len(STYLES)) if style not in styles]
    leaving = rng.choice(styles)
    return [style for style in styles if style != leaving] + [rng.choice(others)]


def _mixture(styles: list[int], rng: Random) -> tuple[float, ...]:
    weights = {style: rng.gammavariate(2.0, 1.0) for style in styles}
    total = sum(weights.values())
    return tuple(weights.get(style, 0.0) / total for style in range(len(STYLES)))


class Session(NamedTuple):
    """A visit: on which day of the world, with how many item events, and whether they share one time stamp."""

    day: int
    length: int
    is_burst: bool = False


BURST_LENGTH = 6
_BURST_SHARE = 0.02
_RETURN_SHARE = 0.6


def sessions_of(config: WorldConfig, index: int) -> list[Session]:
    """The visits of a user over the days of the world, in no order; the trait adds the visit that shows it."""
    rng = config.rng("sessions", index)
    trait = trait_of(index)
    if trait is Trait.NONE:
        return []
    if trait is Trait.ONE:
        return [Session(rng.randrange(config.history_days), 1)]
    shown = _session_of_trait(config, trait)
    first = 0 if rng.random() < 0.7 else rng.randrange(config.history_days // 2)
    if trait is Trait.NEWCOMER:
        first = shown[0].day
    return [*_usual_sessions(config, trait, first, rng), *shown]


def _usual_sessions(config: WorldConfig, trait: Trait, first: int, rng: Random) -> list[Session]:
    """Visits from day ``first`` on, and with some luck one more on a demo day."""
    span = config.last_day_index + 1 - first
    if trait is Trait.HEAVY:
        lengths = [rng.randint(10, 20) for _ in range(rng.randint(110, 180))]
    else:
        events = min(400.0, rng.lognormvariate(3.7, 0.75)) * span / (config.last_day_index + 1)
        lengths = [rng.randint(1, 7) for _ in range(max(1, round(events / 4)))]
    sessions = [Session(first + rng.randrange(span), length, rng.random() < _BURST_SHARE) for length in lengths]
    if rng.random() < _RETURN_SHARE:
        sessions.append(Session(config.history_days + rng.randrange(config.days), rng.randint(1, 5)))
    return [session for session in sessions if session.day >= first]


def _session_of_trait(config: WorldConfig, trait: Trait) -> list[Session]:
    today = config.history_days
    return {
        Trait.NEWCOMER: [Session(min(today + 1, config.last_day_index), 2)],
        Trait.LATE: [Session(today - 1, 3)],
        Trait.BURST: [Session(today - 5, BURST_LENGTH, is_burst=True)],
        Trait.REDELIVERED: [Session(today, 2)],
        Trait.TOO_LATE: [Session(today - TOO_LATE_BY_DAYS, 2)],
    }.get(trait, [])


def arrival_day(config: WorldConfig, trait: Trait, event_day: int, rng: Random) -> int:
    """Day index on which an event of ``event_day`` lands; within the world, so that every event arrives."""
    if trait is Trait.TOO_LATE and event_day == config.history_days - TOO_LATE_BY_DAYS:
        return config.history_days
    if trait is Trait.LATE and event_day >= config.history_days - 1:
        return min(event_day + rng.randint(1, 3), config.last_day_index)
    return event_day
