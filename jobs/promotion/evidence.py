"""What a promotion rests on: plain values that the ledger keeps as JSON, and that the rule (``verdict.py``) reads."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from karma.manifest import Manifest

NO_CHAMPION = "there was no champion"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """A mean over users with its 95 % interval, both ends included."""

    mean: float
    low: float
    high: float
    users: int

    @property
    def above_zero(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}] (n = {self.users})"


class Cloud(_Frozen):
    """The shape of the candidate's item or interest vectors (``karma.evaluation.spectrum``).

    Attributes:
        where: the vectors of ``validation`` (by the manifest), or of the ``label window``.
        vectors: rows judged; of a validation its users, as the manifest does not say how many items there were.
        mean_cosine: None where the manifest does not say it.
    """

    of: Literal["items", "interests"]
    where: Literal["validation", "label window"]
    vectors: int
    effective_rank: float
    mean_cosine: float | None


class Comparison(_Frozen):
    """Candidate and champion on the same users and targets, none of which either has seen.

    Attributes:
        since: ISO 8601, the later trained_until: histories end here (exclusive), targets begin (inclusive).
        window_days: days after ``since`` that targets lie in;  days_not_ingested: those of them whose events are missing.
        users: with a target that could be ranked;  corpus: items that it was ranked among;  seen_items: those that the user had before,
            "kept" among them or "masked".
        hit_rates: of candidate and champion, HR@K by K; null where K reaches the corpus.
        differences: HR@K of the candidate minus the champion's by K; empty where there are too few users.
    """

    since: str
    window_days: int
    days_not_ingested: tuple[str, ...]
    users: int
    corpus: int
    seen_items: str = "kept"
    hit_rates: dict[str, dict[int, float | None]]
    differences: dict[int, Interval]


class Evidence(_Frozen):
    """All that is known of a candidate when it asks to be champion.

    Attributes:
        champion: the version that it would replace; None where there was none.
        not_compared: why there is no comparison; empty where there is one.
        decodability: mean and interval over users of what a probe decoder reads from a user's own vector, nats a token: its loss with a
            stranger's vector minus its loss with the own one. Without a champion nothing is measured.
        decodability_difference: the candidate's minus the champion's, over the same users, titles and strangers; measured where
            ``decodability`` is.
    """

    candidate: str
    champion: str | None
    clouds: tuple[Cloud, ...]
    comparison: Comparison | None = None
    not_compared: str = ""
    decodability: Interval | Literal["not_measured"] = "not_measured"
    decodability_difference: Interval | Literal["not_measured"] = "not_measured"

    def in_words(self) -> str:
        """The differences by HR@K and in decodability, or why there are none; and the candidate's own decodability."""
        own = f"decodability {self.decodability}"
        if self.comparison is None:
            return f"{self.not_compared}; {own}"
        told = [f"HR@{k} {difference}" for k, difference in self.comparison.differences.items()]
        who = f"candidate minus {self.champion}, items seen before {self.comparison.seen_items}"
        return "; ".join([who, *told, f"decodability {self.decodability_difference}", f"its own {own}"])


def evidence_of_manifest(manifest: Manifest) -> Evidence:
    """What an artefact says of itself, for the first champion: nothing is measured anew."""
    return Evidence(candidate=manifest.version, champion=None, clouds=validation_clouds(manifest), not_compared=NO_CHAMPION)


def validation_clouds(manifest: Manifest) -> tuple[Cloud, ...]:
    """The clouds of the validation that chose the checkpoint; those of which the manifest does not tell are left out."""
    metrics = manifest.metrics
    return tuple(
        Cloud(
            of=of,
            where="validation",
            vectors=int(metrics.get("held_out_users", 0)),
            effective_rank=metrics[f"effective_rank_{of}"],
            mean_cosine=metrics.get(f"mean_cosine_{of}"),
        )
        for of in ("items", "interests")
        if f"effective_rank_{of}" in metrics
    )
