"""Everything that the page shows, as plain frozen values: what gathers it knows Spark, what draws it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from karma.evaluation.spectrum import Spectrum

Floats = npt.NDArray[np.floating]
Longs = npt.NDArray[np.int64]
Rates = Mapping[str, float | None]
"""HR@K by its name ("HR@10"); None where K reaches the corpus."""
DECISIVE = "HR@50"
"""The rate by which a page says whether the encoder is better."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The first lines of the page. ``events``, ``impressions``: accepted rows; ``users``, ``items``: of the last published day."""

    users: int
    items: int
    events: int
    impressions: int
    spaces: tuple[str, ...]
    published_days: tuple[str, ...]
    encoder: str
    trained_until: str
    ran_at: str


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """The bulk load of one table: ``read`` = ``accepted`` + ``refused``; ``also``: what else its load counted."""

    table: str
    read: int
    accepted: int
    refused: int
    also: Mapping[str, int] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        return self.read == self.accepted + self.refused


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Refused rows of one table and reason, and the first of them: where it stood, and the row itself, cut short."""

    table: str
    reason: str
    rows: int
    place: str
    row: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One verdict. ``rules``: how many passed, failed, were not applicable, by that word; ``failed``: the names of those that failed."""

    ds: str
    job: str
    verdict: str
    reason: str
    rows: int | None
    rules: Mapping[str, int]
    failed: tuple[str, ...]
    data_docs: str | None

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One published day: users with a history, those with a vector, and how many of these were encoded on that day."""

    ds: str
    users: int
    with_vector: int
    encoded: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Who and what has what. ``with_*``: items of the last day; ``reasons``: impressions of the published days by missing_reason.

    Attributes:
        expected: impressions that could be expected to carry a vector;  expected_with_vector: those of them that do.
        derived: impressions that were made from events.
    """

    snapshots: tuple[Snapshot, ...]
    items: int
    with_image: int
    with_title: int
    with_category: int
    with_price: int
    with_vector: int
    reasons: Mapping[str, int]
    expected: int
    expected_with_vector: int
    derived: int


@dataclass(frozen=True, kw_only=True)
class Histories:
    """Users of the last day by the length of their history: ``lengths`` ascending, ``users`` beside them; the encoder reads ``read``."""

    lengths: Longs
    users: Longs
    read: int


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A sample of vectors.

    Attributes:
        name: "interests" or "items".
        total: vectors there are;  the sample has as many as ``norms``.
        norms: float [n];  singular: float [dim], of the unit vectors, not centred, largest first.
        cosines: float [n - 1], of neighbours in the sample's order, which is that of a hash: random pairs.
        shape: None for fewer than two vectors.
    """

    name: str
    total: int
    dim: int
    norms: Floats
    singular: Floats
    cosines: Floats
    shape: Spectrum | None

    @property
    def norm_range(self) -> tuple[float, float, float]:
        """Smallest, median and largest norm; NaN without a vector."""
        low, middle, high = np.quantile(self.norms, (0, 0.5, 1)) if len(self.norms) else (np.nan, np.nan, np.nan)
        return float(low), float(middle), float(high)


@dataclass(frozen=True, kw_only=True)
class InterestMap:
    """Interests and items on two principal axes of the interests.

    Attributes:
        users, items: float [n, 2] and [m, 2].
        lengths: int [n], events in the histories.
        user_ids, newest: n names, and the newest titles of each history, newest first.
        titles: m titles.
        labelled: rows of ``items`` whose titles stand on the map.
        explained: share of the interests' variance along each axis.
        all_users, all_items: how many there are, of which n and m are shown.
    """

    users: Floats
    items: Floats
    lengths: Longs
    user_ids: tuple[str, ...]
    newest: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]
    labelled: tuple[int, ...]
    explained: tuple[float, float]
    all_users: int
    all_items: int


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Hit rates of each method on one set of targets. ``notes``: what else was said about it.

    Attributes:
        interval: both ends of the 95 % interval of the encoder's DECISIVE rate; None where it is not judged.
    """

    name: str
    n: int | None
    rates: Mapping[str, Rates]
    notes: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Encoder minus ``baseline`` at ``cut`` (HR@K), paired over users, with its 95 % interval."""

    baseline: str
    cut: str
    mean: float
    low: float
    high: float

    @property
    def in_words(self) -> str:
        if self.low > 0:
            return "the encoder is better"
        return "the encoder is worse" if self.high < 0 else "no difference beyond luck"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The encoder beside the baselines on held-out targets. ``groups``: slices by the heading that they stand under.

    Attributes:
        differences: to each baseline at each K below the corpus.
    """

    whole: Slice
    dropped: int
    corpus: int
    seen_items: str
    differences: tuple[Difference, ...]
    groups: tuple[tuple[str, tuple[Slice, ...]], ...] = ()

    @property
    def cuts(self) -> tuple[str, ...]:
        """The HR@K of the differences, by K."""
        return tuple(dict.fromkeys(row.cut for row in self.differences))

    @property
    def by_baseline(self) -> dict[str, dict[str, Difference]]:
        """The differences by baseline and HR@K."""
        found: dict[str, dict[str, Difference]] = {}
        for row in self.differences:
            found.setdefault(row.baseline, {})[row.cut] = row
        return found

    @property
    def decisive(self) -> tuple[Difference, ...]:
        """To each baseline the difference at DECISIVE, or at the largest K that there is."""
        cut = DECISIVE if DECISIVE in self.cuts else next(reversed(self.cuts), None)
        return tuple(row for row in self.differences if row.cut == cut)


@dataclass(frozen=True, kw_only=True)
class Line:
    """An event, or an item near an interest, in words. ``cosine``: for the latter; ``taken``: that item is in the user's history."""

    text: str
    image: bool
    cosine: float | None = None
    taken: bool = False


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user: newest events first, the items whose vectors are nearest to the interest, and the nearest that are not in the history.

    Where it is known what came after: ``took_next``, the ``rank`` that the encoder gave it, and what the training decoder has
    ``written`` from the vector alone (None: there is no decoder).
    """

    user_id: str
    history_len: int
    history: tuple[Line, ...]
    nearest: tuple[Line, ...]
    untaken: tuple[Line, ...] = ()
    took_next: Line | None = None
    rank: int | None = None
    written: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds by step; users encoded and the seconds of that, all published days together (None where nothing was encoded); the machine."""

    seconds: Mapping[str, float]
    encoded: int
    encoding_seconds: float | None
    machine: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The page. ``judged``: None without targets; ``area``: None without a published vector; ``validation``: the encoder's own metrics."""

    heading: Heading
    arrivals: tuple[Arrival, ...]
    refused: tuple[Refused, ...]
    gates: tuple[Gate, ...]
    coverage: Coverage
    histories: Histories
    clouds: tuple[Cloud, ...]
    area: InterestMap | None
    judged: Judged | None
    validation: Mapping[str, float]
    people: tuple[Person, ...]
    cost: Cost
    places: tuple[tuple[str, str], ...]
