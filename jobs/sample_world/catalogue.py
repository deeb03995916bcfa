"""The catalogue: items with latent style, popularity and launch time, and the versions of them that land."""

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from jobs.sample_world.config import US_PER_DAY, WorldConfig
from jobs.sample_world.styles import CATEGORIES, STYLES
from jobs.sample_world.titles import make_title

ZIPF_EXPONENT = 0.7
LAUNCHED_SHARE = 0.12
COLD_SHARE = 0.03
COLD_BOOST = 2.0
RENAMED_ITEMS = 3
REPRICED_PER_DAY = 5
MISSING_IMAGE_SHARE = 0.08
MISSING_TITLE_SHARE = 0.02
MISSING_CATEGORY_SHARE = 0.02
BROKEN_IMAGE_EVERY = 400
_US_PER_HOUR = US_PER_DAY // 24


class Item(NamedTuple):
    """One item. ``popularity`` is its weight among the items that are valid at a time; ``valid_from_us`` its launch."""

    number: int
    style: int
    category: int
    popularity: float
    valid_from_us: int
    title: str | None
    names_category: bool
    price: float
    image: str

    @property
    def item_id(self) -> str:
        return item_id(self.number)


class ItemVersion(NamedTuple):
    """One row of the items landing zone, its picture still to be rendered."""

    landing: str
    item_id: str
    number: int
    style: int
    category: int
    valid_from_us: int
    title: str | None
    category_name: str | None
    price: float
    image: str


HAS_IMAGE, NO_IMAGE, BROKEN_IMAGE = "rendered", "none", "truncated"


def item_id(index: int) -> str:
    return f"i{index:07d}"


@dataclass(frozen=True)
class Catalogue:
    """All items of a world, by index: first those from before the history, then those launched in it, then the cold ones."""

    config: WorldConfig
    items: tuple[Item, ...]

    @cached_property
    def cold(self) -> tuple[Item, ...]:
        """Items launched on a demo day: no event of the history names them."""
        return tuple(item for item in self.items if item.valid_from_us >= self.config.demo_start_us)

    @cached_property
    def tardy(self) -> Item:
        """A cold item that lands a day after its launch (where there is such a day): its first events name an unknown item."""
        return next(item for item in self.cold if self.config.day_index(item.valid_from_us) == self.config.history_days)

    @cached_property
    def renamed(self) -> tuple[Item, ...]:
        """Popular titled items that are renamed on the second demo day and get their old title back on the third.

        A world of fewer days ends before that.
        """
        titled = [item for item in self.items if item.title and item.valid_from_us < self.config.start_us]
        return tuple(sorted(titled, key=lambda item: (-item.popularity, item.number))[:RENAMED_ITEMS])

    def versions(self) -> list[ItemVersion]:
        """All versions that land, oldest first: launches, renames and their undoing, new prices."""
        rows = [_version(self.config, item, item.valid_from_us) for item in self.items]
        rows = [row._replace(landing=self._tardy_landing(row)) for row in rows]
        rows += [row for day in range(self.config.history_days, self.config.last_day_index + 1) for row in self._changes(day)]
        return sorted(rows, key=lambda row: (row.valid_from_us, row.number))

    def _tardy_landing(self, row: ItemVersion) -> str:
        is_tardy = self.config.days > 1 and row.number == self.tardy.number
        return self.config.landing(self.config.history_days + 1) if is_tardy else row.landing

    def _changes(self, day: int) -> list[ItemVersion]:
        at = self.config.day_us(day) + 3 * _US_PER_HOUR
        rng = self.config.rng("changes", day)
        demo_day = day - self.config.history_days
        stock = [item for item in self.items if item.valid_from_us < self.config.start_us and item not in self.renamed]
        rows = [
            _version(self.config, item._replace(price=round(item.price * rng.uniform(0.7, 0.95), 2)), at)
            for item in rng.sample(stock, REPRICED_PER_DAY)
        ]
        if demo_day == 1:
            rows += [_version(self.config, item._replace(title=f"{item.title} (relaunch)"), at) for item in self.renamed]
        if demo_day == 2:
            rows += [_version(self.config, item, at) for item in self.renamed]
        return rows


def make_catalogue(config: WorldConfig) -> Catalogue:
    """The catalogue of ``config``. Every (style, category) holds an item from before the history, so no need goes unmet."""
    cells = [(style, category) for style in range(len(STYLES)) for category in range(len(CATEGORIES))]
    order = config.rng("cells")
    ranks = list(range(1, config.items + 1))
    config.rng("popularity").shuffle(ranks)
    items = []
    for index in range(config.items):
        if index % len(cells) == 0:
            order.shuffle(cells)
        items.append(_item(config, index, *cells[index % len(cells)], ranks[index]))
    return Catalogue(config, tuple(items))


def _item(config: WorldConfig, index: int, style: int, category: int, rank: int) -> Item:
    rng = config.rng("item", index)
    valid_from_us, boost = _launch(config, index, rng)
    return Item(
        number=index,
        style=style,
        category=category,
        popularity=boost * rank**-ZIPF_EXPONENT,
        valid_from_us=valid_from_us,
        title=None if rng.random() < MISSING_TITLE_SHARE else make_title(style, category, rng),
        names_category=rng.random() >= MISSING_CATEGORY_SHARE,
        price=round(rng.lognormvariate(3.2, 0.6), 2),
        image=_image_kind(index, rng),
    )


def _launch(config: WorldConfig, index: int, rng: Random) -> tuple[int, float]:
    """Launch time and popularity boost: most items precede the history; the last few appear on the demo days, in turn."""
    cold = max(config.days, round(COLD_SHARE * config.items))
    from_end = config.items - 1 - index
    if from_end < cold:
        day = config.history_days + from_end % config.days
        return config.day_us(day) + rng.randrange(12) * _US_PER_HOUR, COLD_BOOST
    if from_end < cold + round(LAUNCHED_SHARE * config.items):
        return config.day_us(rng.randrange(config.history_days)) + rng.randrange(24) * _US_PER_HOUR, 1.0
    return config.day_us(-rng.randint(1, 30)), 1.0


def _image_kind(index: int, rng: Random) -> str:
    if index % BROKEN_IMAGE_EVERY == BROKEN_IMAGE_EVERY // 2:
        return BROKEN_IMAGE
    return NO_IMAGE if rng.random() < MISSING_IMAGE_SHARE else HAS_IMAGE


def _version(config: WorldConfig, item: Item, valid_from_us: int) -> ItemVersion:
    return ItemVersion(
        landing=config.landing(config.day_index(valid_from_us)),
        item_id=item.item_id,
        number=item.number,
        style=item.style,
        category=item.category,
        valid_from_us=valid_from_us,
        title=item.title,
        category_name=CATEGORIES[item.category].name if item.names_category else None,
        price=item.price,
        image=item.image,
    )
