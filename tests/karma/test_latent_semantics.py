"""Latent semantic analysis against its definition, written out in loops."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from karma.model.latent_semantics import LatentSemantics
from karma.tokenizer import bag_of
from karma.training.latent_semantics import latent_directions

TEXTS = [[3, 4], [3, 4, 4], [5, 6], [5, 6, 7], [3, 7], [8], [], [4, 6, 6]]
VOCABULARY = 12


def weighted(texts: list[list[int]]) -> np.ndarray:
    """tf * idf in unit rows, idf from TEXTS."""
    rows = np.zeros((len(texts), VOCABULARY))
    for row, text in enumerate(texts):
        for token, count in Counter(text).items():
            idf = 1 + math.log((1 + len(TEXTS)) / (1 + sum(token in other for other in TEXTS)))
            rows[row, token] = count * idf
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def read(texts: list[list[int]], directions: int) -> torch.Tensor:
    made = LatentSemantics(VOCABULARY, directions)
    made.table.copy_(latent_directions(bag_of(TEXTS), vocabulary=VOCABULARY, directions=directions, seed=0))
    return made(bag_of(texts))


@pytest.mark.parametrize("directions", [2, 3, 20])
def test_cosines_are_those_of_the_truncated_decomposition(directions: int) -> None:
    left, scales, _ = np.linalg.svd(weighted(TEXTS), full_matrices=False)
    kept = left[:, :directions] * scales[:directions]
    expected = kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-9)
    found = read(TEXTS, directions).numpy()
    assert found.shape == (len(TEXTS), directions)
    full = [row for row, text in enumerate(TEXTS) if text and np.linalg.norm(kept[row]) > 1e-6]
    assert len(full) >= 4
    np.testing.assert_allclose(found[full] @ found[full].T, expected[full] @ expected[full].T, atol=1e-4)


def test_of_many_texts_the_directions_are_those_of_evenly_chosen_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("karma.training.latent_semantics.MOST_TEXTS", 4)  # of eight: every second one
    _, scales, directions = np.linalg.svd(weighted(TEXTS)[::2], full_matrices=False)
    kept = weighted(TEXTS) @ directions[scales > 1e-9].T
    found = read(TEXTS, 20).numpy()
    assert not read([[8]], 20).any()  # in none of the four
    seen = [row for row in range(len(TEXTS)) if np.linalg.norm(kept[row]) > 1e-6]
    unit = kept[seen] / np.linalg.norm(kept[seen], axis=1, keepdims=True)
    np.testing.assert_allclose(found[seen] @ found[seen].T, unit @ unit.T, atol=1e-4)


def test_texts_that_repeat_leave_no_direction_to_chance() -> None:
    """Five texts twenty times over have four directions; a text of their words in another mix is read alike at every seed."""
    texts = TEXTS[:5] * 20
    tables = [latent_directions(bag_of(texts), vocabulary=VOCABULARY, directions=20, seed=seed) for seed in (0, 1)]
    assert int(tables[0].any(0).sum()) == np.linalg.matrix_rank(weighted(TEXTS[:5])) == 4
    assert torch.allclose(*tables, atol=1e-4)  # signs too


def test_a_new_text_lies_where_its_known_words_are() -> None:
    new = read([[3, 4, 9]], 20).numpy()[0]
    known = read(TEXTS, 20).numpy()
    assert np.argmax(known @ new) == 0  # token 9 is in no text: only 3 and 4 speak


def test_without_known_tokens_there_is_no_direction() -> None:
    assert not read([[], [10], [9, 11]], 4).any()


def test_the_same_seed_gives_the_same_table_and_leaves_other_draws_alone() -> None:
    torch.manual_seed(1)
    undisturbed = torch.rand(3)
    torch.manual_seed(1)
    tables = [latent_directions(bag_of(TEXTS), vocabulary=VOCABULARY, directions=3, seed=5) for _ in range(2)]
    assert torch.equal(torch.rand(3), undisturbed)
    assert torch.equal(*tables)


def test_no_text_at_all_gives_an_empty_table() -> None:
    assert not latent_directions(bag_of([[], []]), vocabulary=VOCABULARY, directions=3, seed=0).any()
