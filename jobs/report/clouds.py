"""What a sample of vectors looks like: norms, singular values, cosines of random pairs, and the map of the interests. Pure numpy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from jobs.report.facts import Cloud, Floats, InterestMap, Longs
from karma.evaluation.spectrum import spectrum

Vectors = npt.NDArray[np.float32]

LABELS = 14
"""Titles that stand on the map."""


def cloud_of(name: str, vectors: Vectors, total: int) -> Cloud:
    """The cloud of float32 [n, dim] ``vectors``, in the order of a hash, of ``total`` that there are.

    A row of zeros is seen in the norms and left out of the rest.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    units = vectors[norms > 0] / norms[norms > 0, None]
    return Cloud(
        name=name,
        total=total,
        dim=vectors.shape[1],
        norms=norms,
        singular=np.linalg.svd(units, compute_uv=False) if len(units) else np.zeros(0),
        cosines=(units[1:] * units[:-1]).sum(axis=1),
        shape=spectrum(units) if len(units) > 1 else None,
    )


def interest_map(
    interests: Vectors, items: Vectors, *, lengths: Longs, user_ids: Sequence[str], newest: Sequence[tuple[str, ...]],
    titles: Sequence[str], all_users: int, all_items: int,
) -> InterestMap:  # fmt: skip
    """Both clouds on the first two principal axes of the interests; of the items where there are fewer than three interests."""
    axes, explained, centre = _principal_axes(interests if len(interests) > 2 else np.concatenate([interests, items]))
    placed = (items - centre) @ axes.T
    return InterestMap(
        users=(interests - centre) @ axes.T, items=placed, lengths=lengths, user_ids=tuple(user_ids), newest=tuple(newest),
        titles=tuple(titles), labelled=spread_out(placed, LABELS), explained=explained, all_users=all_users, all_items=all_items,
    )  # fmt: skip


def _principal_axes(vectors: Vectors) -> tuple[Floats, tuple[float, float], Floats]:
    """Two axes [2, dim], each with its largest component positive; the shares of variance; the centre [dim]."""
    centre = vectors.mean(axis=0)
    _, singular, axes = np.linalg.svd(vectors - centre, full_matrices=False)
    axes = np.concatenate([axes, np.zeros((2, vectors.shape[1]))])[:2]
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    energy = np.concatenate([singular**2, np.zeros(2)])
    first, second = energy[:2] / (energy.sum() or 1.0)
    return axes * np.where(signs == 0, 1, signs)[:, None], (float(first), float(second)), centre


def spread_out(places: Floats, count: int) -> tuple[int, ...]:
    """Up to ``count`` rows of [n, 2] ``places`` that lie far from each other: each the farthest from those before it."""
    if not len(places):
        return ()
    chosen = [int(np.linalg.norm(places - places.mean(axis=0), axis=1).argmin())]
    away = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(places)) and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return tuple(chosen)
