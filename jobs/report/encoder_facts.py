"""Everything that the page of an encoder shows, as plain frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.report.facts import Cloud, Floats, Judged, Person, Rates


@dataclass(frozen=True, kw_only=True)
class EncoderHeading:
    """The first lines. ``window``: the days that targets lie in; ``not_ingested``: those of them whose events are missing."""

    version: str
    space_id: str
    trained_until: str
    window: str
    not_ingested: tuple[str, ...]
    ran_at: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure in words.

    Attributes:
        value: the figure, or "not measured".
        beside: what to hold it against: an interval, chance, a baseline.
        n: what it was measured on.
        reading: what it is, and which way is good.
    """

    name: str
    value: str
    beside: str
    n: str
    reading: str


@dataclass(frozen=True, kw_only=True)
class Ages:
    """HR@K by the age of the vector in days, ascending, all on the same ``users``.

    Attributes:
        against_new: by age and HR@K mean, low and high of the rate minus that of age 0, paired over users.
    """

    users: int
    rates: tuple[tuple[int, Rates], ...]
    against_new: Mapping[int, Mapping[str, tuple[float, float, float]]]


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Mean attention float [s, s], query (row) to key (column), a template token in front; over ``histories`` of equal length."""

    mean_map: Floats
    histories: int


@dataclass(frozen=True, kw_only=True)
class EncoderFacts:
    """The page. ``ages``, ``attention``: None where nobody's history is long enough, or there is no language model."""

    heading: EncoderHeading
    judged: Judged
    clouds: tuple[Cloud, ...]
    measures: tuple[Measure, ...]
    ages: Ages | None
    attention: Attention | None
    people: tuple[Person, ...]
