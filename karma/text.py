"""The text that the item tower and the query tokens read, and the digest of what an item's vector depends on."""

import hashlib
import re
import unicodedata

RENDERER_VERSION = "1"
MISSING_TITLE = "[no title]"
MAX_CHARACTERS = 200

_SEPARATORS = re.compile(r"\s*[|>]\s*")
_JOINERS = {0x200C: None, 0x200D: None}
"""Between letters of one word (Persian, Indic scripts)."""
_UNPRINTED = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\ufeff]+")


def _plain(text: str) -> str:
    """NFKC form, lower case, every run of white space or control characters one space.

    Lower case because it halves the tokens of upper-case titles; NFKC so that full-width letters and ligatures meet their plain forms.
    """
    return _UNPRINTED.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()


def render_item(title: str | None, category: str | None) -> str:
    """The text of an item: ``title. category`` in lower case, at most MAX_CHARACTERS characters; never the price.

    A title that is missing or blank becomes ``[no title]``; a category path ``a|b`` or ``a > b`` becomes ``a, b``.
    """
    name = _plain(title or "") or MISSING_TITLE
    path = _SEPARATORS.sub(", ", _plain(category or ""))
    return (f"{name}. {path}" if path else name)[:MAX_CHARACTERS].rstrip()


def words(text: str) -> list[str]:
    """Runs of letters, their marks, digits and apostrophes of any script, in lower case; of a script without spaces a run is a phrase."""
    runs = "".join(character if _is_of_a_word(character) else " " for character in _plain(text.translate(_JOINERS))).split()
    return [run for run in runs if not all(map(_is_mark, run))]


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or character == "'" or _is_mark(character)


def _is_mark(character: str) -> bool:
    """Vowel signs of Indic scripts, points of Hebrew and Arabic, tone marks: they belong to the letter before them."""
    return unicodedata.category(character).startswith("M")


def category_labels(category: str | None) -> list[str]:
    """The parts of a category path ``a|b`` or ``a > b``, in lower case, each once, in their order; none where it is missing."""
    return list(dict.fromkeys(part for part in _SEPARATORS.split(_plain(category or "")) if part))


def render_query(query: str | None) -> str:
    """The text of a query, in lower case and capped like an item's; empty where there is none."""
    return _plain(query or "")[:MAX_CHARACTERS].rstrip()


def content_hash(item_id: str, title: str | None, category: str | None, image_sha256: str | None) -> str:
    """Hex sha256 of everything that an item's vector depends on within one space.

    The hashed UTF-8 string is the renderer's version, the item_id, then title, category and image digest, each ``"0"`` where
    null and ``"1"`` + value otherwise, joined by U+001F. The item_id counts because a vector may carry a collaborative part.
    """
    optional = ("0" if value is None else "1" + value for value in (title, category, image_sha256))
    return hashlib.sha256("\x1f".join([RENDERER_VERSION, item_id, *optional]).encode()).hexdigest()
