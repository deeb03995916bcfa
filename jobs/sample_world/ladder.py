"""What is attainable on a world: HR@50 of an oracle, of ideal readers of title and picture, and of popularity.

Shapes: I items, S styles, C categories, N targets. Pure numpy; ``ladder_inputs`` gathers the arrays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.sample_world.behaviour import WHIM_SHARE
from jobs.sample_world.styles import CATEGORIES, CATEGORY_INDEX, FOLLOW_UP_SHARE
from karma.evaluation.ranks import hit_rate, rank_of_target

K = 50
POLICY = "full catalogue valid at the target's time; items of the user's history masked; ties against the model"
_HALF_LIFE_EVENTS = 6.0
_EM_STEPS = 25
_FOLDS = 5
_SCORES_AT_ONCE = 4_000_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LadderInputs:
    """Everything that the rungs read.

    Attributes:
        style, category: int [I], the truth about the items; categories are open to every rung but popularity.
        popularity: [I], the true weights, for the oracle; counts: int [I], item events of the history, for the others.
        valid_from_us: int [I], launches.
        titles, pictures: log-likelihoods [I, S]; a row of equal values where there is nothing to read.
        target: int [N], item indices; target_time_us: int [N].
        mixture: [N, S], the users' true shares of the styles at that time, for the oracle.
        histories: N arrays of item indices, oldest first, none empty.
    """

    style: Ints
    category: Ints
    popularity: Floats
    counts: Ints
    valid_from_us: Ints
    titles: Floats
    pictures: Floats
    target: Ints
    target_time_us: Ints
    mixture: Floats
    histories: list[Ints]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One rung: HR@K, its 95 % half-width (normal approximation) and the number of targets."""

    name: str
    hit_rate: float
    half_width: float
    n: int


def climb(inputs: LadderInputs) -> list[Rung]:
    """The rungs, best informed first: oracle, title + image, title only, popularity."""
    smoothed = np.asarray(inputs.counts + 0.5 * max(1.0, inputs.counts.mean()), dtype=np.float64)
    certain = np.eye(inputs.titles.shape[1])[inputs.style]
    scorers = {
        "oracle": _oracle(inputs, certain),
        "title + image": _reader(inputs, _likelihood(inputs.titles + inputs.pictures), smoothed),
        "title only": _reader(inputs, _likelihood(inputs.titles), smoothed),
        "popularity": lambda row: inputs.counts.astype(np.float64),
    }
    return [_rung(name, inputs, score) for name, score in scorers.items()]


def next_item_scores(posterior: Floats, mixture: Floats, category: Ints, last_category: int, weight: Floats) -> Floats:
    """Probability of every item to be the next one under the latent model, [I], repeats aside.

    Args:
        posterior: P(style | item), [I, S], rows sum to 1 (one-hot for the oracle).
        mixture: the user's shares of the styles, [S].
        category: int [I].
        last_category: of the user's newest item.
        weight: popularity, 0 where an item is not valid, [I].
    """
    mass_IS = weight[:, None] * posterior
    cells_CS = np.stack([np.bincount(category, mass_S, len(CATEGORIES)) for mass_S in mass_IS.T], axis=1)
    taste_I = (mass_IS * (mixture / np.maximum(cells_CS, 1e-12))[category]).sum(axis=1)
    scores: Floats = (1 - WHIM_SHARE) * _next_category(last_category)[category] * taste_I + WHIM_SHARE * weight / weight.sum()
    return scores


def infer_mixture(likelihood: Floats) -> Floats:
    """A user's shares of the styles, [S], from P(what is seen of an item | style) of the history, [events, S], oldest first.

    Expectation maximisation for mixture weights, the newest events counting most (half-life: 6 events), with a small even prior.
    """
    events, styles = likelihood.shape
    weight = 0.5 ** (np.arange(events)[::-1] / _HALF_LIFE_EVENTS)
    mixture: Floats = np.full(styles, 1 / styles)
    for _ in range(_EM_STEPS):
        share = likelihood * mixture
        mixture = weight @ (share / share.sum(axis=1, keepdims=True)) + 0.5 / styles
        mixture /= mixture.sum()
    return mixture


def read_pictures(palettes: list[npt.NDArray[np.float32] | None], style: Ints, styles: int) -> Floats:
    """log P(palette | style) up to a constant, [I, S]: Gaussians with a shared covariance, fitted on the items of other folds.

    An item without a picture gets a row of zeros.
    """
    has_one = np.array([palette is not None for palette in palettes])
    rows = np.flatnonzero(has_one)
    result = np.zeros((len(palettes), styles))
    if not len(rows):
        return result
    seen = np.stack([palette for palette in palettes if palette is not None]).astype(np.float64)
    for fold in range(_FOLDS):
        held = rows % _FOLDS == fold
        means, precision = _gaussians(seen[~held], style[rows[~held]], styles)
        apart = seen[held][:, None, :] - means
        result[rows[held]] = -0.5 * np.einsum("isf,fg,isg->is", apart, precision, apart)
    return result


def _gaussians(features: Floats, style: Ints, styles: int) -> tuple[Floats, Floats]:
    """Mean a style, [S, F], and the inverse of the common covariance, [F, F], shrunk towards its diagonal mean."""
    means = np.stack([features[style == index].mean(axis=0) for index in range(styles)])
    rest = features - means[style]
    covariance = rest.T @ rest / max(1, len(features) - styles)
    covariance += 0.2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return means, np.linalg.inv(covariance)


def _likelihood(log_likelihood: Floats) -> Floats:
    """Scaled so that rows sum to 1: the posterior under an even prior, and a likelihood up to a factor an item."""
    scaled = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), dtype=np.float64)


def _next_category(last: int) -> Floats:
    shares = np.full(len(CATEGORIES), (1 - FOLLOW_UP_SHARE) / len(CATEGORIES))
    shares[CATEGORY_INDEX[CATEGORIES[last].next]] += FOLLOW_UP_SHARE
    return shares


def _oracle(inputs: LadderInputs, certain: Floats) -> Callable[[int], Floats]:
    def score(row: int) -> Floats:
        weight = inputs.popularity * _valid(inputs, row)
        return next_item_scores(certain, inputs.mixture[row], inputs.category, _last_category(inputs, row), weight)

    return score


def _reader(inputs: LadderInputs, likelihood: Floats, popularity: Floats) -> Callable[[int], Floats]:
    def score(row: int) -> Floats:
        mixture = infer_mixture(likelihood[inputs.histories[row]])
        weight = popularity * _valid(inputs, row)
        return next_item_scores(likelihood, mixture, inputs.category, _last_category(inputs, row), weight)

    return score


def _valid(inputs: LadderInputs, row: int) -> npt.NDArray[np.bool_]:
    return np.asarray(inputs.valid_from_us <= inputs.target_time_us[row])


def _last_category(inputs: LadderInputs, row: int) -> int:
    return int(inputs.category[inputs.histories[row][-1]])


def _rung(name: str, inputs: LadderInputs, score: Callable[[int], Floats]) -> Rung:
    ranks = np.concatenate([_ranks(inputs, rows, score) for rows in _chunks(len(inputs.target), len(inputs.style))])
    share = hit_rate(ranks, K, len(inputs.style)) or 0.0
    return Rung(name=name, hit_rate=share, half_width=1.96 * (share * (1 - share) / len(ranks)) ** 0.5, n=len(ranks))


def _chunks(targets: int, items: int) -> Iterator[range]:
    step = max(1, _SCORES_AT_ONCE // items)
    return (range(start, min(start + step, targets)) for start in range(0, targets, step))


def _ranks(inputs: LadderInputs, rows: range, score: Callable[[int], Floats]) -> Ints:
    scores = np.stack([score(row) for row in rows]).astype(np.float32)
    masked = ~np.stack([_valid(inputs, row) for row in rows])
    for at, row in enumerate(rows):
        masked[at, inputs.histories[row]] = True
    return rank_of_target(scores, inputs.target[rows.start : rows.stop], masked)
