"""Rendered texts and content hashes at their edges."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma.text import MAX_CHARACTERS, MISSING_TITLE, RENDERER_VERSION, content_hash, render_item, render_query, words


@pytest.mark.parametrize(
    ("title", "category", "text"),
    [
        ("Toy Story (1995)", "Adventure|Children", "toy story (1995). adventure, children"),
        ("WHITE  HANGING\tHEART ", None, "white hanging heart"),
        (None, "shoes > boots", "[no title]. shoes, boots"),
        ("   ", "", MISSING_TITLE),
        ("\ufb01ne \uff21rt", None, "fine art"),
        ("a\x1f\u200bb", None, "a b"),
    ],
)
def test_render_item(title: str | None, category: str | None, text: str) -> None:
    assert render_item(title, category) == text


def test_long_titles_are_capped() -> None:
    assert render_item("x" * 500, "c") == "x" * 200
    assert MAX_CHARACTERS == 200


@given(st.none() | st.text(), st.none() | st.text())
def test_rendering_its_own_title_changes_nothing(title: str | None, category: str | None) -> None:
    text = render_item(title, category)
    assert text
    assert len(text) <= MAX_CHARACTERS
    assert text == " ".join(text.split())


def test_no_query_is_an_empty_text() -> None:
    assert render_query(None) == "" == render_query(" \n")
    assert render_query(" Red  SHOES") == "red shoes"


def test_content_hash_is_the_documented_digest() -> None:
    expected = hashlib.sha256(f"{RENDERER_VERSION}\x1fi1\x1f1Hat\x1f0\x1f1ab".encode()).hexdigest()
    assert content_hash("i1", "Hat", None, "ab") == expected


def test_content_hash_tells_null_from_empty_and_items_apart() -> None:
    inputs = [
        ("i", None, None, None),
        ("i", "", None, None),
        ("i", "0", None, None),
        ("i", None, "", None),
        ("i", None, None, ""),
        ("j", None, None, None),
    ]
    assert len({content_hash(*values) for values in inputs}) == len(inputs)


def test_words_are_of_any_script() -> None:
    assert words("Am\u00e9lie's 2nd_Caf\u0065\u0301 (\u041a\u0440\u0430\u0441\u043d\u0430\u044f) \u7ea2\u8272 \uff21!") == [
        "am\u00e9lie's", "2nd", "caf\u00e9", "\u043a\u0440\u0430\u0441\u043d\u0430\u044f", "\u7ea2\u8272", "a",
    ]  # fmt: skip
    hindi, book = "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0915\u093f\u0924\u093e\u092c"  # with vowel signs, which are marks
    assert words(f"{hindi}, {book} \u2764\ufe0f") == [hindi, book]
    assert words("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == ["\u0645\u06cc\u062e\u0648\u0627\u0647\u0645"], "one Persian word"
