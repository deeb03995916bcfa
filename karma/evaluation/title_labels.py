"""What a probe of an item's vector is asked for: its categories, the frequent words of its title, the year that the title names."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.evaluation.evaluate import Catalogue
from karma.evaluation.probes import multi_hot
from karma.text import words as words_of

FREQUENT = 0.01
"""Share of the titles that a word must be in to be a label, and not be in more than half."""
MOST_WORDS = 50
_YEAR = re.compile(r"\((\d{4})\)")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """values: float64 [m, labels], 0 or 1, or one column of numbers where ``numeric``;  known: bool [m], rows that have any."""

    values: npt.NDArray[np.float64]
    known: npt.NDArray[np.bool_]
    numeric: bool = False


def labels_of(catalogue: Catalogue) -> dict[str, Labels]:
    """The probes that the catalogue allows: ``category``, ``word`` and, where half of the titles name one, ``year``."""
    titles = [title or "" for title in catalogue.titles]
    found = {"word": _words(titles)}
    names, hot = multi_hot(catalogue.categories)
    if names:
        found["category"] = Labels(values=hot.astype(np.float64), known=np.asarray(hot.any(axis=1)))
    years = np.array([int(match.group(1)) if (match := _YEAR.search(title)) else 0 for title in titles], np.float64)
    if (years > 0).mean() > 0.5:
        found["year"] = Labels(values=years[:, None], known=years > 0, numeric=True)
    return found


def _words(titles: Sequence[str]) -> Labels:
    of_title = [{word for word in words_of(title) if _is_name(word)} for title in titles]
    counts = Counter(word for words in of_title for word in words)
    kept = [word for word, count in counts.most_common() if FREQUENT * len(titles) <= count <= len(titles) / 2][:MOST_WORDS]
    values = np.array([[word in words for word in kept] for words in of_title], np.float64).reshape(len(titles), len(kept))
    return Labels(values=values, known=np.ones(len(titles), bool))


def _is_name(word: str) -> bool:
    return len(word) > 2 and not any(character.isdigit() for character in word)
