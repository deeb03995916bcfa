"""A planted world: four titles; a vector either names its user's next title or does not."""

import numpy as np
import pytest
import torch

from karma.evaluation import decodability as module
from karma.evaluation.decodability import TitlePairs, decodability

TITLES = torch.tensor([[3, 4, 2], [5, 6, 2], [7, 2, 0], [8, 9, 2]])
REAL = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], dtype=torch.bool)
VOCABULARY = 10


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 32)
    monkeypatch.setattr(module, "LEARNING_RATE", 5e-3)


def pairs(n: int, *, told: bool, seed: int, narrow: float = 1.0) -> TitlePairs:
    """Users of four kinds; their vectors lie in the kind's direction, or in one that says nothing, around a far common point."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(4, (n,), generator=generator)
    said = kinds if told else torch.randint(4, (n,), generator=generator)
    vectors = torch.eye(4)[said] + 0.05 * torch.randn(n, 4, generator=generator)
    return TitlePairs(vectors=vectors * narrow + (1 - narrow) * 10, tokens=TITLES[kinds], real=REAL[kinds])


def test_vectors_that_tell_the_title_are_decodable_and_others_are_not() -> None:
    told = decodability(pairs(200, told=True, seed=0), pairs(80, told=True, seed=1), vocabulary=VOCABULARY, seed=0, steps=60)
    silent = decodability(pairs(200, told=False, seed=0), pairs(80, told=False, seed=1), vocabulary=VOCABULARY, seed=0, steps=60)

    assert told.own.mean() < 0.2
    assert told.value > 1
    assert silent.value == pytest.approx(0, abs=0.15)
    assert told.gains == pytest.approx(told.shuffled - told.own)


def test_a_narrow_cloud_far_from_the_origin_is_read_as_well() -> None:
    narrow = [pairs(n, told=True, seed=seed, narrow=0.01) for n, seed in ((200, 0), (80, 1))]

    assert decodability(*narrow, vocabulary=VOCABULARY, seed=0, steps=60).value > 1


def test_the_same_seed_gives_the_same_probe_and_leaves_the_callers_randomness_alone() -> None:
    train, test = pairs(50, told=True, seed=0), pairs(20, told=True, seed=1)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first = decodability(train, test, vocabulary=VOCABULARY, seed=5, steps=3)

    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(decodability(train, test, vocabulary=VOCABULARY, seed=5, steps=3).gains, first.gains)
    assert not np.array_equal(decodability(train, test, vocabulary=VOCABULARY, seed=6, steps=3).gains, first.gains)


def test_nats_a_token_equal_a_loop_and_padding_costs_nothing() -> None:
    torch.manual_seed(0)
    probe = module.TextDecoder(module.PROBE, dim=4, vocabulary=VOCABULARY).eval()
    asked = pairs(5, told=True, seed=2)
    expected = []
    for vector, tokens, real in zip(asked.vectors, asked.tokens, asked.real, strict=True):
        text = tokens[real]
        with torch.no_grad():
            logits = probe.head(probe(vector[None], text[None])[0])
        nats = [-float(torch.log_softmax(logits[probe.prefix_tokens - 1 + j], 0)[token]) for j, token in enumerate(text)]
        expected.append(sum(nats) / len(text))

    assert module._nats_a_token(probe, asked) == pytest.approx(expected, rel=1e-4)


def test_nobody_keeps_the_own_vector() -> None:
    """Two users: each is judged with the other's vector, so the shuffled figures are those of the exchanged pairs."""
    train, two = pairs(50, told=True, seed=0), pairs(2, told=True, seed=3)
    exchanged = TitlePairs(vectors=two.vectors.flip(0), tokens=two.tokens, real=two.real)
    found = decodability(train, two, vocabulary=VOCABULARY, seed=0, steps=3)

    assert found.shuffled == pytest.approx(decodability(train, exchanged, vocabulary=VOCABULARY, seed=0, steps=3).own, rel=1e-5)


@pytest.mark.parametrize("lent", [[1, 2, 0], [2, 0, 1]])
def test_the_strangers_of_another_arm_are_taken_as_they_are(lent: list[int]) -> None:
    train, three, strangers = pairs(50, told=True, seed=0), pairs(3, told=True, seed=3), torch.tensor(lent)
    given = TitlePairs(vectors=three.vectors[strangers], tokens=three.tokens, real=three.real)
    found = decodability(train, three, vocabulary=VOCABULARY, seed=0, steps=3, strangers=strangers)

    assert torch.equal(found.strangers, strangers)
    assert found.shuffled == pytest.approx(decodability(train, given, vocabulary=VOCABULARY, seed=0, steps=3).own, rel=1e-5)


def test_what_cannot_be_decoded_is_refused() -> None:
    train = pairs(10, told=True, seed=0)
    with pytest.raises(ValueError, match="two held-out"):
        decodability(train, pairs(1, told=True, seed=1), vocabulary=VOCABULARY, seed=0, steps=1)
    empty = TitlePairs(vectors=train.vectors, tokens=train.tokens, real=torch.zeros_like(train.real))
    with pytest.raises(ValueError, match="no token"):
        decodability(train, empty, vocabulary=VOCABULARY, seed=0, steps=1)
