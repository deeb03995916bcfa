"""How large a world is, on which days it plays, and which seed it grows from."""

import random
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from jobs.digests import digest_of
from jobs.errors import UsageError
from jobs.sample_world.styles import CATEGORIES, STYLES

GENERATOR_VERSION = 1
"""Part of a world's digest: raise it whenever the same config would give other rows."""

US_PER_SECOND = 1_000_000
US_PER_DAY = 86_400 * US_PER_SECOND
BULK = "bulk"
IMPRESSION_DAYS = 14
TOO_LATE_BY_DAYS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """A world. Equal configs give equal rows, whatever the parallelism.

    Attributes:
        users: ids u00000000 to u<users - 1>; the user index alone decides which data oddities a user shows.
        items: all items, the new ones of the last days included.
        days: daily partitions after the bulk load.
        history_days: days of the bulk load, ending where ``first_day`` begins.
        seed: of every draw.
        image_px: side of the rendered pictures, in pixels.
        first_day: the first daily partition; the world has its own clock, so that two runs never differ.
    """

    users: int = 600
    items: int = 1000
    days: int = 3
    history_days: int = 60
    seed: int = 7
    image_px: int = 96
    first_day: date = date(2026, 3, 2)

    def __post_init__(self) -> None:
        smallest = {
            "users": 1,
            "items": 2 * len(STYLES) * len(CATEGORIES) + 2 * self.days,  # a need of every style and category can be met
            "days": 1,
            "history_days": IMPRESSION_DAYS,
            "image_px": 16,
        }
        for name, least in smallest.items():
            value = getattr(self, name)
            if value < least:
                flag = name.replace("_", "-")
                raise UsageError("WORLD_TOO_SMALL", f"--{flag} is too small", expected=f">= {least}", got=value)

    @cached_property
    def start_us(self) -> int:
        """00:00 UTC of the first day of history, microseconds since 1970."""
        return self.day_us(0)

    @cached_property
    def demo_start_us(self) -> int:
        """00:00 UTC of ``first_day``: the end of the bulk load, exclusive."""
        return self.day_us(self.history_days)

    @property
    def last_day_index(self) -> int:
        return self.history_days + self.days - 1

    @property
    def demo_days(self) -> tuple[date, ...]:
        return tuple(self.first_day + timedelta(days=offset) for offset in range(self.days))

    @property
    def trained_until(self) -> datetime:
        """Where the bulk load ends: nothing at or after this instant may influence the encoder."""
        return datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC)

    @property
    def digest(self) -> str:
        return digest_of(GENERATOR_VERSION, asdict(self))

    def day_us(self, index: int) -> int:
        """00:00 UTC of day ``index`` of the world (0 is the first of the history), microseconds since 1970."""
        first_day_us = (self.trained_until - _EPOCH) // timedelta(microseconds=1)
        return first_day_us + (index - self.history_days) * US_PER_DAY

    def day_index(self, time_us: int) -> int:
        return (time_us - self.start_us) // US_PER_DAY

    def landing(self, day_index: int) -> str:
        """The landing partition that day ``day_index`` arrives in: ``bulk``, or an ISO date."""
        if day_index < self.history_days:
            return BULK
        return (self.first_day + timedelta(days=day_index - self.history_days)).isoformat()

    def rng(self, *stream: object) -> random.Random:
        """The generator of one stream, such as ("user", 17): no stream sees another's draws."""
        return random.Random("/".join(map(str, (self.seed, *stream))))
