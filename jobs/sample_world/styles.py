"""The latent structure: styles that cut across categories, their words and looks, and which category follows which."""

from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Style:
    """One latent style.

    Attributes:
        words: synonyms that a title may show it by; a few belong to two styles.
        palette: background, two pattern colours and the colour of the object.
        pattern: a function of ``images.PATTERNS``.
    """

    name: str
    words: tuple[str, ...]
    palette: tuple[Rgb, Rgb, Rgb, Rgb]
    pattern: str


@dataclass(frozen=True, kw_only=True)
class Category:
    """One kind of thing.

    Attributes:
        words: what a title may call it.
        outline: polygon of the object on a unit square, y downwards.
        next: the category that a user is most likely to need after it.
    """

    name: str
    words: tuple[str, ...]
    outline: tuple[tuple[float, float], ...]
    next: str


def _style(name: str, words: str, pattern: str, *palette: Rgb) -> Style:
    background, first, second, accent = palette
    return Style(name=name, words=tuple(words.split()), palette=(background, first, second, accent), pattern=pattern)


STYLES: tuple[Style, ...] = (
    _style("nordic minimal", "nordic scandi hygge birch fjord minimal pale lagom", "plain",
           (236, 239, 241), (207, 216, 220), (176, 190, 197), (120, 144, 156)),
    _style("gothic", "gothic raven cathedral midnight crypt occult bat noir", "diamonds",
           (24, 18, 28), (74, 20, 60), (52, 40, 66), (140, 18, 40)),
    _style("retro surf", "surf california wave longboard palm tiki shoreline sunset", "waves",
           (64, 196, 190), (250, 214, 140), (255, 138, 101), (255, 250, 235)),
    _style("boho", "boho bohemian macrame wanderer kilim fringe desert nomad", "zigzag",
           (202, 110, 70), (224, 170, 60), (20, 110, 110), (100, 36, 70)),
    _style("industrial", "industrial steel rivet factory loft pipe foundry gauge", "grid",
           (112, 117, 120), (70, 74, 77), (150, 155, 158), (183, 92, 42)),
    _style("cottage", "cottage floral garden rustic meadow gingham posy shabby", "flowers",
           (250, 240, 225), (233, 150, 170), (150, 180, 130), (196, 106, 130)),
    _style("cyberpunk", "cyberpunk neon glitch synth android chrome hacker noir", "scanlines",
           (16, 10, 40), (0, 230, 240), (240, 0, 190), (150, 60, 255)),
    _style("art deco", "deco gatsby jazz geometric gilded twenties sunburst glamour", "rays",
           (14, 38, 34), (204, 164, 60), (20, 90, 74), (245, 235, 205)),
    _style("kawaii", "kawaii cute pastel bunny bubble candy sweet chibi", "dots",
           (255, 214, 232), (190, 240, 220), (214, 200, 250), (255, 246, 160)),
    _style("nautical", "nautical anchor sailor marine harbour regatta captain shoreline", "stripes",
           (250, 250, 250), (20, 40, 100), (20, 40, 100), (214, 36, 44)),
    _style("zen", "zen wabi sabi bamboo tatami ink stone minimal", "rings",
           (214, 206, 184), (120, 134, 96), (88, 90, 84), (44, 46, 44)),
    _style("western", "western cowboy rodeo ranch saddle prairie denim desert", "checks",
           (150, 98, 58), (58, 84, 126), (110, 66, 36), (236, 214, 170)),
)  # fmt: skip


def _category(name: str, words: str, following: str, outline: str) -> Category:
    """``outline``: "x y" pairs in percent of the square."""
    points = [tuple(int(number) / 100 for number in pair.split()) for pair in outline.split(",")]
    return Category(name=name, words=tuple(words.split()), next=following, outline=tuple((x, y) for x, y in points))


CATEGORIES: tuple[Category, ...] = (
    _category("mug", "mug cup beaker", "teapot", "15 20, 70 20, 70 35, 90 35, 90 65, 70 65, 70 85, 15 85"),
    _category("teapot", "teapot kettle pot", "cushion", "30 30, 45 10, 60 30, 75 40, 95 25, 80 65, 65 85, 25 85, 10 55"),
    _category("lamp", "lamp light lantern", "bulb", "35 10, 65 10, 85 50, 55 50, 55 80, 75 90, 25 90, 45 80, 45 50, 15 50"),
    _category("bulb", "bulb filament globe", "mirror", "30 15, 70 15, 85 40, 62 65, 62 90, 38 90, 38 65, 15 40"),
    _category("jacket", "jacket coat parka", "scarf", "35 10, 65 10, 95 35, 85 60, 72 45, 72 92, 28 92, 28 45, 15 60, 5 35"),
    _category("scarf", "scarf shawl wrap", "backpack", "10 15, 40 10, 50 40, 95 75, 85 95, 40 65, 30 95, 10 90, 20 50"),
    _category("backpack", "backpack rucksack bag", "bottle", "40 5, 60 5, 62 18, 82 30, 88 90, 12 90, 18 30, 38 18"),
    _category("bottle", "bottle flask canteen", "mug", "42 5, 58 5, 58 25, 72 40, 72 95, 28 95, 28 40, 42 25"),
    _category("notebook", "notebook journal planner", "pen", "20 10, 80 10, 80 90, 20 90"),
    _category("pen", "pen ballpoint fineliner", "notebook", "80 5, 95 20, 30 85, 8 92, 15 70"),
    _category("cushion", "cushion pillow bolster", "lamp", "8 12, 50 20, 92 12, 82 50, 92 88, 50 80, 8 88, 18 50"),
    _category("mirror", "mirror looking-glass reflector", "jacket", "50 10, 78 20, 90 50, 78 80, 50 90, 22 80, 10 50, 22 20"),
)

CATEGORY_INDEX: dict[str, int] = {category.name: index for index, category in enumerate(CATEGORIES)}

FOLLOW_UP_SHARE = 0.55
"""How often the next item is of the category that follows the last one; otherwise any category, all alike."""
