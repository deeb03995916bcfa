"""Training batches: windows of histories, the positions with a loss, and the candidates of the softmax.

Shapes: b windows, t events, p positions a window, r = b * p rows, c candidates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.config import TrainingConfig
from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM
from karma.training.data import NO_ITEM, NO_QUERY, Exposures, Histories, Ints
from karma.training.examples import NO_TARGET, Split, taken_in_window
from karma.training.exposures import among, passed_over
from schemas import names

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of histories, oldest event first, padding after the events.

    Attributes:
        events: int64 [b, t], flat event numbers; -1 in padding.
        items: int64 [b, t], place in the catalogue; negative where the event has no known item.
        kinds, event_types, queries: int64 [b, t]; see ``HistoryBatch``; ``queries`` is -1 for none.
        lengths: int64 [b].
    """

    events: Ints
    items: Ints
    kinds: Ints
    event_types: Ints
    queries: Ints
    lengths: Ints


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Windows and what they must predict.

    Attributes:
        windows: the histories; the last event of each is a position with a loss.
        positions: int64 [b, p], places in the window; the last column is the window's last event.
        targets: int64 [b, p], catalogue places, of a basket its first; NO_TARGET where a window has fewer positions.
        shares: float32 [r, c], how the targets of a row share its loss; None where each row has one target.
        candidates: int64 [c], catalogue places, ascending, each once.
        full: whether they are the whole corpus, by configuration; a sample that happens to be it is still corrected as one.
        masked: bool [r, c], True where a candidate is no negative of the row, or one of its exposed items; None where nothing is masked.
        exposed: int64 [b, p, h], catalogue places of a row's hard negatives, padded with -1 (``karma.training.exposures``); None where
            there are none to be had.
    """

    windows: Windows
    positions: Ints
    targets: Ints
    candidates: Ints
    full: bool
    masked: Bools | None
    shares: npt.NDArray[np.float32] | None
    exposed: Ints | None = None


def windows_of(histories: Histories, events: list[Ints]) -> Windows:
    """The rectangle of some runs of flat event numbers, each ascending within one user and not empty."""
    lengths = np.array([len(run) for run in events], dtype=np.int64)
    padded = np.full((len(events), int(lengths.max())), -1, dtype=np.int64)
    for row, run in enumerate(events):
        padded[row, : len(run)] = run
    real = padded >= 0
    items = np.where(real, histories.items[padded], NO_ITEM)
    kinds = np.select([~real, items >= 0, items == NO_ITEM], [PADDING, ITEM, QUERY_ONLY], UNKNOWN_ITEM)
    return Windows(
        events=padded,
        items=items,
        kinds=kinds,
        event_types=np.where(real, histories.event_types[padded], 0),
        queries=np.where(real, histories.queries[padded], NO_QUERY),
        lengths=lengths,
    )


def with_queries(windows: Windows, queries: Ints, event_type: int) -> Windows:
    """The windows with a query alone appended after the last event, where ``queries`` int64 [b] names one.

    The new token has the event number of the last event: it has seen what that one has, and predicts what that one predicts.
    """
    rows = np.flatnonzero(queries != NO_QUERY)
    places = windows.lengths[rows]
    last = windows.events[rows, places - 1]
    filled = {"events": (-1, last), "items": (NO_ITEM, NO_ITEM), "kinds": (PADDING, QUERY_ONLY), "event_types": (0, event_type)}
    columns = {}
    for name, (padding, value) in {**filled, "queries": (NO_QUERY, queries[rows])}.items():
        columns[name] = np.pad(getattr(windows, name), ((0, 0), (0, 1)), constant_values=padding)
        columns[name][rows, places] = value
    return Windows(**columns, lengths=windows.lengths + (queries != NO_QUERY))


def newest(histories: Histories, last: Ints, length: Ints | int) -> list[Ints]:
    """For each event in ``last`` the run of its user's events that ends with it, at most ``length`` (one for all, or each its own)."""
    starts = np.maximum(histories.offsets[histories.users[last]], last + 1 - length)
    return [np.arange(start, end + 1) for start, end in zip(starts, last, strict=True)]


def seen_so_far(histories: Histories, last: Ints, column_of: Ints, columns: int) -> Bools:
    """True where the user took the column's item at or before the event: bool [len(last), columns].

    Args:
        column_of: int64 [catalogue], column of an item, -1 where it has none.
    """
    seen = np.zeros((len(last), columns), dtype=bool)
    for row, event in enumerate(last):
        items = histories.items[histories.offsets[histories.users[event]] : event + 1]
        found = column_of[items[items >= 0]]
        seen[row, found[found >= 0]] = True
    return seen


class BatchSampler:
    """Draws training batches; the same seed gives the same sequence, and the same batch after the same ``seek``."""

    def __init__(self, histories: Histories, split: Split, config: TrainingConfig, corpus: int, exposures: Exposures | None = None) -> None:
        self._histories = histories
        self._split = split
        self._config = config
        self._corpus = corpus
        self._ends = np.flatnonzero(split.targets != NO_TARGET)
        types = config.encoder.event_types
        self._query_type = types.index(names.QUERY) if names.QUERY in types else len(types)
        self._baskets = config.targets == "basket"
        self._full = corpus <= config.softmax.full_up_to
        self._exposures = exposures if config.softmax.exposed and not self._full else None
        self._random = np.random.default_rng(config.seed)

    @property
    def examples(self) -> int:
        """Positions with a target."""
        return len(self._ends)

    def seek(self, step: int, micro_batch: int) -> None:
        """Draw that micro-batch of that step next, whatever was drawn before."""
        self._random = np.random.default_rng([self._config.seed, step, micro_batch])

    def draw(self) -> Batch:
        """One batch; windows end at positions drawn uniformly, so active users appear as often as they have targets."""
        config = self._config
        ends = self._random.choice(self._ends, size=config.windows)
        shown = self._shown_queries(ends)
        lengths = config.encoder.history_length - (shown != NO_QUERY)
        full = newest(self._histories, ends, lengths)
        runs = [self._with_dropout(run) for run in full]
        windows = with_queries(windows_of(self._histories, runs), shown, self._query_type)
        positions = np.stack([self._positions(run, whole=self._begins_user(of[0])) for run, of in zip(runs, full, strict=True)])
        positions[:, -1] = windows.lengths - 1
        events = np.take_along_axis(windows.events, np.maximum(positions, 0), axis=1)
        targets = np.where(positions >= 0, self._histories.items[self._split.targets[events]], NO_TARGET)
        predicting = np.where(targets != NO_TARGET, events, NO_TARGET)
        rows = [self._targets_of(event) for event in predicting.ravel()] if self._baskets else None
        candidates = self._candidates(np.concatenate(rows) if rows is not None else targets[targets != NO_TARGET])
        since = np.array([run[0] for run in full])
        exposed = self._exposed(predicting, since)
        return Batch(
            windows=windows,
            positions=np.maximum(positions, 0),
            targets=targets,
            candidates=candidates,
            full=self._full,
            masked=self._masked(events, since, candidates, exposed),
            shares=None if rows is None else _shares(rows, candidates),
            exposed=exposed,
        )

    def _targets_of(self, position: int) -> Ints:
        """Distinct catalogue places of the position's basket; none for -1."""
        if position < 0:
            return np.zeros(0, np.int64)
        return np.unique(self._histories.items[self._split.target_events(position)])

    def _shown_queries(self, ends: Ints) -> Ints:
        """For some windows the query of their target's own row; NO_QUERY for the others."""
        queries = self._histories.queries[self._split.targets[ends]]
        return np.where(self._random.random(len(ends)) < self._config.shown_queries, queries, NO_QUERY)

    def _with_dropout(self, run: Ints) -> Ints:
        kept = self._random.random(len(run)) >= self._config.event_dropout
        kept[-1] = True
        return run[kept]

    def _begins_user(self, event: int) -> bool:
        return bool(self._histories.offsets[self._histories.users[event]] == event)

    def _positions(self, run: Ints, *, whole: bool) -> Ints:
        """Up to ``positions`` places of the run that have a target, the last one last; -1 before them where there are fewer.

        Where the window cut the history (not ``whole``), its first half has no loss: those places would learn from a shorter history than
        is read when the encoder serves.
        """
        eligible = np.flatnonzero(self._split.targets[run[:-1]] != NO_TARGET)
        if not whole:
            eligible = eligible[eligible >= len(run) // 2]
        others = self._random.permutation(eligible)[: self._config.positions - 1]
        chosen = np.full(self._config.positions, -1, dtype=np.int64)
        chosen[len(chosen) - 1 - len(others) :] = [*np.sort(others), len(run) - 1]
        return chosen

    def _candidates(self, targets: Ints) -> Ints:
        if self._full:
            return np.arange(self._corpus)
        return np.unique(np.concatenate([targets, self._random.integers(0, self._corpus, self._config.softmax.uniform)]))

    def _exposed(self, positions: Ints, since: Ints) -> Ints | None:
        if self._exposures is None:
            return None
        softmax = self._config.softmax
        return passed_over(self._exposures, self._histories, self._split, positions, since, repeats=softmax.repeats, most=softmax.exposed)

    def _masked(self, events: Ints, since: Ints, candidates: Ints, exposed: Ints | None) -> Bools | None:
        """By id: what the user has seen, where no repeat is a target; with ``mask_window`` all that the user takes in the window and as its
        targets; and what counts as exposed, since it would count twice."""
        softmax = self._config.softmax
        if softmax.repeats and not softmax.mask_window and exposed is None:
            return None
        column_of = np.full(self._corpus, -1, dtype=np.int64)
        column_of[candidates] = np.arange(len(candidates))
        masked = np.zeros((events.size, len(candidates)), dtype=bool)
        if not softmax.repeats:
            masked |= seen_so_far(self._histories, events.ravel(), column_of, len(candidates))
        if softmax.mask_window:
            masked |= np.repeat(self._taken_in_window(since, events[:, -1], column_of, len(candidates)), events.shape[1], axis=0)
        if exposed is not None:
            masked |= among(exposed.reshape(events.size, -1), candidates)
        return masked

    def _taken_in_window(self, since: Ints, last: Ints, column_of: Ints, columns: int) -> Bools:
        taken = np.zeros((len(since), columns), dtype=bool)
        for row, (first, position) in enumerate(zip(since, last, strict=True)):
            found = column_of[taken_in_window(self._histories, self._split, first, position)]
            taken[row, found[found >= 0]] = True
        return taken


def _shares(rows: list[Ints], candidates: Ints) -> npt.NDArray[np.float32]:
    """Equal shares of each row's items among the candidates (ascending, all rows' items among them): [rows, candidates]."""
    shares = np.zeros((len(rows), len(candidates)), np.float32)
    for row, items in enumerate(rows):
        shares[row, np.searchsorted(candidates, items)] = 1 / max(1, len(items))
    return shares
