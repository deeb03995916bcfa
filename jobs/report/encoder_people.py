"""Judged users in words: what they took next, the history that it was told from, the nearest items, and the vector written as text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from jobs.held_out_figures import Judgement
from jobs.report.facts import Line, Person
from jobs.report.people import EVENTS, NEAREST, PEOPLE, UNTAKEN, spread_over_lengths
from jobs.report.sampled import NO_TITLE, UNKNOWN_ITEM
from jobs.showing.words import event_in_words
from karma.evaluation.evaluate import History
from karma.evaluation.written import writer_of
from karma.tokenizer import begin_and_end


def judged_people(judged: Judgement, training: Path, count: int = PEOPLE) -> tuple[Person, ...]:
    """``count`` of the judged users, spread evenly over the lengths of their histories, shortest first.

    Args:
        training: ``training/<version>/`` of the encoder; without it nothing is written from the vectors.
    """
    lengths = [len(history.item_ids) for history in judged.held_out.histories]
    rows = [int(row) for row in spread_over_lengths(pd.DataFrame({"row": range(len(lengths)), "history_len": lengths}), count).row]
    written = _written(judged, training, rows)
    return tuple(_person(judged, row, text) for row, text in zip(rows, written, strict=True))


def _person(judged: Judgement, row: int, written: str | None) -> Person:
    held_out, found = judged.held_out, judged.found
    history, target = held_out.histories[row], held_out.place[held_out.items[row]]
    cosines = found.item_vectors @ found.interest_vectors[row]
    order = np.argsort(-cosines, kind="stable")
    taken = {held_out.place[item] for item in history.item_ids if item is not None and item in held_out.place}

    def near(place: int) -> Line:
        return _item(judged, place, cosine=float(cosines[place]), taken=place in taken)

    return Person(
        user_id=held_out.users[row],
        history_len=len(history.item_ids),
        history=_events(judged, history.newest(EVENTS)),
        nearest=tuple(near(int(place)) for place in order[:NEAREST]),
        untaken=tuple(near(int(place)) for place in [place for place in order if place not in taken][:UNTAKEN]),
        took_next=near(target),
        rank=int(found.ranks[row]),
        written=written,
    )


def _events(judged: Judgement, history: History) -> tuple[Line, ...]:
    """Newest first."""
    place = judged.held_out.place
    lines = []
    for kind, item, query in zip(history.event_types, history.item_ids, history.queries, strict=True):
        known = _item(judged, place[item]) if item is not None and item in place else None
        title = known.text if known else UNKNOWN_ITEM if item else None
        lines.append(Line(text=event_in_words(kind, title, query), image=known is not None and known.image))
    return tuple(lines[::-1])


def _item(judged: Judgement, place: int, *, cosine: float | None = None, taken: bool = False) -> Line:
    catalogue = judged.held_out.catalogue
    return Line(text=catalogue.titles[place] or NO_TITLE, image=bool(catalogue.has_visual[place]), cosine=cosine, taken=taken)


def _written(judged: Judgement, training: Path, rows: Sequence[int]) -> list[str | None]:
    writer = writer_of(training, judged.encoder.manifest)
    if writer is None or not rows:
        return [None] * len(rows)
    tokenizer = judged.encoder.tokenizer
    texts = writer.write(torch.from_numpy(judged.found.interest_vectors[list(rows)]), begin_and_end(tokenizer)[1])
    return [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in texts]
