"""The gate's thresholds, each with its reason: one home. Every bound is inclusive.

A rule named in ``ALWAYS`` is judged whatever the data; any other rule says in ``needs`` how many rows it takes to judge it.
"""

import hashlib
from dataclasses import dataclass, replace

ENCODED_TODAY = "encoded_today"
SNAPSHOT = "snapshot"
ITEMS = "items"
IMPRESSIONS = "impressions"
REQUESTS = "requests"

# Judged on an empty frame too: it fails there unless nothing was expected.
ALWAYS = frozenset({"schema", "row_count", "missing_rows", "extra_rows", "finite", "unit_norm"})

# Activity buckets by events in the history, both ends inclusive.
ACTIVITY_BUCKETS: tuple[tuple[str, int, int], ...] = (
    ("1", 1, 1),
    ("2_to_5", 2, 5),
    ("6_to_20", 6, 20),
    ("21_or_more", 21, 2**31 - 1),
)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A closed interval for one figure, or for one scalar of every row.

    Attributes:
        minimum: smallest value that passes; None = no lower end.
        maximum: largest value that passes; None = no upper end.
        needs: rows below which the rule says nothing and is not applicable.
        reason: why this bound, in words that a blocked day prints.
    """

    minimum: float | None = None
    maximum: float | None = None
    needs: int = 0
    reason: str

    def exactly(self, value: float) -> "Threshold":
        """The same rule with ``value`` as its only passing value: what only the run knows (a dimension, a row count)."""
        return replace(self, minimum=value, maximum=value)

    def passes(self, value: float) -> bool:
        """Whether ``value`` lies between the bounds, both inclusive; a NaN lies nowhere."""
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def in_words(self) -> str:
        """``>= 5``, ``<= 0.9``, ``0.2 to 0.99999``, ``exactly 32``."""
        low, high = (None if bound is None else f"{bound:.10g}" for bound in (self.minimum, self.maximum))
        if low is not None and high is not None:
            return f"exactly {low}" if low == high else f"{low} to {high}"
        if low is None and high is None:
            return "no bound"
        return f">= {low}" if high is None else f"<= {high}"


@dataclass(frozen=True, kw_only=True)
class FrameRules:
    """What holds for every staged frame. Bounds that only the run knows are filled in by ``Threshold.exactly``."""

    schema: Threshold = Threshold(minimum=0, maximum=0, reason="readers rely on exactly the contract's columns and types")
    one_run: Threshold = Threshold(
        minimum=0, maximum=0, reason="publish takes one staged version: rows of another day or run would ride along"
    )
    row_count: Threshold = Threshold(reason="a published frame has exactly one row for each expected key")
    missing_rows: Threshold = Threshold(minimum=0, maximum=0, reason="an expected key without a row would vanish for every reader")
    extra_rows: Threshold = Threshold(
        minimum=0, maximum=0, reason="a row that nothing asks for comes from other inputs than the ones that were declared"
    )
    keys_unique: Threshold = Threshold(minimum=1, maximum=1, needs=1, reason="a key that occurs twice doubles rows in every join")
    no_nulls: Threshold = Threshold(minimum=0, maximum=0, needs=1, reason="the contract requires these columns")
    dimension: Threshold = Threshold(needs=1, reason="vectors of another length are of another encoder")
    finite: Threshold = Threshold(minimum=0, maximum=0, reason="one NaN or infinity spreads through every dot product that it meets")
    unit_norm: Threshold = Threshold(
        minimum=0.999,
        maximum=1.001,
        reason="readers take the dot product for the cosine; rounding to bf16 moves a norm by less than 0.001",
    )


@dataclass(frozen=True, kw_only=True)
class CloudRules(FrameRules):
    """What holds for a cloud of vectors that should tell its members apart."""

    duplicates: Threshold = Threshold(
        maximum=0.1,
        needs=20,
        reason="inputs that differ should have vectors that differ; a few inputs with equal content remain",
    )
    effective_rank: Threshold = Threshold(
        minimum=5.0,
        needs=50,
        reason="a collapsed encoder ends between 1 and 3; trained encoders of 128 and 256 dimensions were measured at 17 to 84",
    )
    first_component_share: Threshold = Threshold(
        maximum=0.9,
        needs=50,
        reason="above it all vectors lie on one line, its two ends included, which the mean cosine does not see",
    )
    mean_cosine: Threshold = Threshold(
        maximum=0.9,
        needs=50,
        reason="1 is one point for all; a popularity direction that everyone shares was measured at 0.63 to 0.68",
    )


@dataclass(frozen=True, kw_only=True)
class InterestRules(CloudRules):
    """Rules for staged interest embeddings; judged on the rows encoded today and on the whole snapshot."""

    cosine_unchanged: Threshold = Threshold(
        minimum=0.999,
        maximum=1.001,
        needs=1,
        reason="the same fingerprint is the same input: the vector may differ by bf16 rounding alone",
    )
    cosine_changed: Threshold = Threshold(
        minimum=0.2,
        maximum=0.99999,
        needs=20,
        reason="new events move a user, so 1 means that the encoder ignores them; near 0 the vectors are of another space",
    )
    coverage: Threshold = Threshold(
        minimum=1.0,
        needs=1,
        reason="a snapshot is full: a hole in one activity bucket hides in the average of all users",
    )


@dataclass(frozen=True, kw_only=True)
class ItemRules(CloudRules):
    """Rules for staged item embeddings."""

    duplicates: Threshold = Threshold(
        maximum=0.3,
        needs=20,
        reason="contents that differ only past the text budget, or by an image that cannot be decoded, are read alike; more is a collapse",
    )


@dataclass(frozen=True, kw_only=True)
class RankingRules(FrameRules):
    """Rules for staged ranking features; vectors are judged where there are some."""

    same_impression: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="user, time and label are the impression's own; a shifted label trains the ranker on noise"
    )
    known_reasons: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="readers filter by missing_reason and know only the codes of schemas.names"
    )
    vector_or_reason: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="a vector is null exactly where a reason says why; an encoder trained later is a leak"
    )
    cosine_or_reason: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="candidate_cosine is null exactly where a vector of the pair is missing"
    )
    candidate_cosine: Threshold = Threshold(
        minimum=-1.001, maximum=1.001, needs=1, reason="a cosine of unit vectors, rounding included, lies within -1 and 1"
    )
    point_in_time: Threshold = Threshold(
        minimum=0,
        maximum=0,
        needs=1,
        reason="a vector was readable only after its day had ended, and its last event lies before that: anything else leaks the future",
    )
    missing_share: Threshold = Threshold(
        minimum=0.0, maximum=1.0, needs=1, reason="reported; lower the maximum to judge it: new users are legal, an unpublished week is not"
    )


@dataclass(frozen=True, kw_only=True)
class RequestRules(FrameRules):
    """Rules for staged request embeddings; vectors are judged where there are some.

    None on the cloud: one query that many ask who have no history is one vector, and should be.
    """

    same_request: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="user, time and query are the request's own; another query is another vector"
    )
    known_reasons: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="readers filter by missing_reason and know only the codes of schemas.names"
    )
    vector_or_reason: Threshold = Threshold(
        minimum=0, maximum=0, needs=1, reason="vector and fingerprint are null exactly where a reason says why; no query is no vector"
    )
    point_in_time: Threshold = Threshold(
        minimum=0,
        maximum=0,
        needs=1,
        reason="what a request reads lies before it, and so does what the encoder was trained on: anything else leaks the future",
    )
    missing_share: Threshold = Threshold(
        minimum=0.0, maximum=1.0, needs=1, reason="reported; lower the maximum to judge it: impressions without a query are legal"
    )


INTEREST_RULES = InterestRules()
ITEM_RULES = ItemRules()
RANKING_RULES = RankingRules()
REQUEST_RULES = RequestRules()

# Changes with any threshold: a verdict under other rules is stale.
VERSION = hashlib.sha256(repr((INTEREST_RULES, ITEM_RULES, RANKING_RULES, REQUEST_RULES, ACTIVITY_BUCKETS)).encode()).hexdigest()[:16]
