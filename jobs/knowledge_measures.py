"""What an encoder's vectors still know in words: decodability, the title among decoys, categories; and whether its attention reads."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from jobs.held_out_figures import Judgement, interval
from karma.evaluation.decodability import STEPS, Decodability, decodability
from karma.evaluation.evaluate import History, encode_users
from karma.evaluation.probes import multi_hot, probe_labels
from karma.evaluation.sinks import Sinks, sinks_of
from karma.evaluation.title_decoys import DECOYS, title_found, title_lsa
from karma.evaluation.title_tokens import TitleTokens

log = logging.getLogger("karma.figures")

SEED = 0
MEASURED, TRAINING = 1_000, 4_000
"""Users that are measured, and users that the probes are trained on, at most."""


@dataclass(frozen=True, kw_only=True)
class NextTitles:
    """Users and the item with a title that each took next: float32 [n, d] vectors, int64 [n] places in the catalogue."""

    vectors: npt.NDArray[np.float32]
    items: npt.NDArray[np.int64]


def knowledge_of(judged: Judgement, *, steps: int = STEPS) -> tuple[dict[str, Any], Sinks | None]:
    """Figures by the name of the measure (``n`` 0 where there is nothing to measure), and the attention for a picture.

    Probes are trained on other users than they are measured on. The measured: at most half of the judged users, each with the held-out
    target. The others: each with the last item event of the history, and the vector of the events before it.
    """
    measured, training = _measured(judged), _training(judged)
    sinks = sinks_of(judged.encoder, judged.found.item_vectors, judged.held_out.place, judged.held_out.histories)
    return {
        "decodability": _in_figures(_decodability(judged, training, measured, steps)),
        "title among decoys": _decoys(judged, training, measured),
        "categories of items": _categories(judged),
        "sinks": {"n": 0} if sinks is None else {"n": sinks.strongest.shape[1], "score": sinks.score},
    }, sinks


def decodability_of(judged: Judgement, *, steps: int = STEPS, strangers: Tensor | None = None) -> Decodability | None:
    """What a user's own vector saves a probe decoder, nats a token, over the ``measured_users``; None where nothing can be measured.

    Two encoders on the same held-out targets are asked about the same users and titles, in the same order, and their probes are trained
    on the same pairs of user and title. ``strangers``: whose vectors the other one was asked with (``Decodability.strangers``).
    """
    return _decodability(judged, _training(judged), _measured(judged), steps, strangers)


def measured_users(judged: Judgement) -> int:
    """How many users a probe is asked about: at most half of the judged, those whose target has a title."""
    return len(_measured(judged).items)


def _measured(judged: Judgement) -> NextTitles:
    places = np.array([judged.held_out.place[item] for item in judged.held_out.items], np.int64)
    rows = [row for row in _measured_rows(judged) if judged.held_out.catalogue.titles[places[row]]]
    return NextTitles(vectors=judged.found.interest_vectors[rows], items=places[rows])


def _measured_rows(judged: Judgement) -> npt.NDArray[np.int64]:
    count = len(judged.held_out.users)
    return np.sort(np.random.default_rng(SEED).permutation(count)[: min(MEASURED, count // 2)])


def _training(judged: Judgement) -> NextTitles:
    held_out = judged.held_out
    barred = {held_out.users[row] for row in _measured_rows(judged)}
    found: list[tuple[History, int]] = []
    users = sorted(set(held_out.of_all) - barred)
    for user in np.random.default_rng(SEED).permutation(np.array(users, object)):
        history = held_out.of_all[user]
        last = max((row for row, item in enumerate(history.item_ids) if item in held_out.place), default=0)
        if last and held_out.catalogue.titles[place := held_out.place[str(history.item_ids[last])]]:
            found.append((history.first(last), place))
        if len(found) == TRAINING:
            break
    vectors = encode_users(judged.encoder, judged.found.item_vectors, held_out.place, [history for history, _ in found])
    return NextTitles(vectors=vectors, items=np.array([place for _, place in found], np.int64))


def _decodability(
    judged: Judgement, training: NextTitles, measured: NextTitles, steps: int, strangers: Tensor | None = None
) -> Decodability | None:
    if not steps or len(measured.items) < 2 or not len(training.items):
        return None
    titles = TitleTokens.of(judged.held_out.catalogue.titles)
    log.info("decodability: a probe of %d steps on %d users, measured on %d", steps, len(training.items), len(measured.items))
    fitted, asked = (titles.pairs(of.vectors, of.items) for of in (training, measured))
    return decodability(fitted, asked, vocabulary=titles.vocabulary, seed=SEED, steps=steps, strangers=strangers)


def _in_figures(found: Decodability | None) -> dict[str, Any]:
    if found is None:
        return {"n": 0}
    return {"n": len(found.own), **interval(found.shuffled, found.own), "nats a token": float(found.own.mean())}


def _decoys(judged: Judgement, training: NextTitles, measured: NextTitles) -> dict[str, Any]:
    if judged.corpus <= DECOYS or len(measured.items) < 2 or len(training.items) < 3:
        return {"n": 0}
    titles = title_lsa([title or "" for title in judged.held_out.catalogue.titles], seed=SEED)
    pairs = training.vectors, training.items, measured.vectors, measured.items
    try:
        hits = title_found(*pairs, titles, seed=SEED, decoys=DECOYS).astype(float)
    except ValueError as too_few:
        return {"n": 0, "why": str(too_few)}
    return {"n": len(hits), **interval(hits, np.zeros(len(hits))), "chance": 1 / (DECOYS + 1)}


def _categories(judged: Judgement) -> dict[str, Any]:
    """The probe on item vectors, over the items that have a category."""
    rows = [row for row, category in enumerate(judged.held_out.catalogue.categories) if category]
    if len(rows) < 6:
        return {"n": 0}
    _, hot = multi_hot([judged.held_out.catalogue.categories[row] for row in rows])
    found = probe_labels(judged.found.item_vectors[rows], hot, seed=SEED)
    return {"n": len(found.labels), "macro AP": found.macro, "chance": found.chance}
