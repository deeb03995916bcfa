"""Titles and queries, and what an ideal reader of a title knows about its style."""

import re
from collections.abc import Iterable
from functools import cache
from random import Random

import numpy as np
import numpy.typing as npt

from jobs.sample_world.styles import CATEGORIES, STYLES

SILENT_SHARE = 0.55
"""Titles that say nothing about the style: only the picture tells."""
STRAY_WORD_SHARE = 0.15
"""Style words that are taken from any style, as titles in shops often are."""

_FILLER = ("new", "premium", "classic", "original", "limited", "everyday", "gift", "best-seller", "handmade", "large", "small", "set of 2")
_BRANDS = ("Alder", "Brook & Co", "Casa Lume", "Delmar", "Esker", "Finch", "Gable", "Hollis", "Ivo", "Juniper", "Kestrel", "Lowell")
_STYLE_WORDS = tuple(sorted({word for style in STYLES for word in style.words}))


def make_title(style: int, category: int, rng: Random) -> str:
    """Brand, filler, one to three style words (or none, in a silent title) and what the thing is called."""
    words = [] if rng.random() < SILENT_SHARE else [_style_word(style, rng) for _ in range(rng.choice((1, 2, 2, 3)))]
    words += rng.sample(_FILLER, rng.choice((0, 1, 1, 2)))
    rng.shuffle(words)
    words = [*dict.fromkeys(words), rng.choice(CATEGORIES[category].words)]
    return f"{rng.choice(_BRANDS)} {' '.join(words)}".title() if rng.random() < 0.5 else f"{rng.choice(_BRANDS)} {' '.join(words)}"


def make_query(style: int, category: int, rng: Random) -> str:
    """What a user types who has this style and category in mind: words of either or of both."""
    named = [_style_word(style, rng)] if rng.random() < 0.6 else []
    if not named or rng.random() < 0.75:
        named.append(rng.choice(CATEGORIES[category].words))
    return " ".join(named)


def _style_word(style: int, rng: Random) -> str:
    return rng.choice(_STYLE_WORDS) if rng.random() < STRAY_WORD_SHARE else rng.choice(STYLES[style].words)


def read_styles(titles: Iterable[str | None]) -> npt.NDArray[np.float64]:
    """log P(style words of the title | style) up to a constant, float64 [titles, styles]; a row of zeros where it says nothing.

    Naive Bayes with the very probabilities that ``make_title`` draws from: no reader can know more.
    """
    table = _word_log_likelihoods()
    rows = [[table[word] for word in _words(title) if word in table] for title in titles]
    return np.stack([np.sum(row, axis=0) if row else np.zeros(len(STYLES)) for row in rows])


def _words(title: str | None) -> list[str]:
    return re.findall(r"[a-z]+", (title or "").lower())


@cache
def _word_log_likelihoods() -> dict[str, npt.NDArray[np.float64]]:
    stray = STRAY_WORD_SHARE / len(_STYLE_WORDS)
    own = [(1 - STRAY_WORD_SHARE) / len(style.words) for style in STYLES]
    return {word: np.log([stray + own[index] * (word in style.words) for index, style in enumerate(STYLES)]) for word in _STYLE_WORDS}
