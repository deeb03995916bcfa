"""How many rows of a load were accepted, refused and why, a day; read in one job."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from jobs.digests import digest_aggregates, digest_of_aggregates
from jobs.errors import JobError
from jobs.transforms.arriving_items import UNCHANGED_VERSION
from jobs.transforms.contract_check import VERDICT
from schemas import names
from schemas.contracts import CONTRACTS


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The rows of one day.

    Attributes:
        verdicts: rows by verdict; the empty string stands for rows that are written.
        digest: digest of the rows that are written.
        facts: what else is counted of accepted rows, by name.
    """

    verdicts: Mapping[str, int] = field(default_factory=dict)
    digest: str = field(default_factory=lambda: digest_of_aggregates(None))
    facts: Mapping[str, int] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        return sum(self.verdicts.values())

    @property
    def refused(self) -> dict[str, int]:
        """Refused rows by reason."""
        return {reason: n for reason, n in sorted(self.verdicts.items()) if reason not in ("", UNCHANGED_VERSION)}

    @property
    def quarantined(self) -> int:
        return sum(self.refused.values())

    @property
    def counts(self) -> dict[str, int]:
        """The ledger's counts: read = accepted + quarantined, accepted = written + unchanged_versions."""
        unchanged = {"unchanged_versions": self.verdicts[UNCHANGED_VERSION]} if UNCHANGED_VERSION in self.verdicts else {}
        by_reason = {f"quarantined_{reason}": n for reason, n in self.refused.items()}
        totals = {"read": self.judged, "accepted": self.judged - self.quarantined, "quarantined": self.quarantined}
        return {**totals, "written": self.verdicts.get("", 0), **unchanged, **by_reason, **self.facts}

    def plus(self, refused: "Tally") -> "Tally":
        """This tally and the refused rows of another one."""
        verdicts = Counter(self.verdicts)
        verdicts.update(refused.refused)
        return replace(self, verdicts=dict(verdicts))


def tally_days(judged: DataFrame, table: str) -> dict[date | None, Tally]:
    """A tally a day of judged rows; rows that have no day, since they have no readable time, stand under None."""
    facts = _facts(table)
    aggregates = [*digest_aggregates(CONTRACTS[table].names), *[F.count_if(fact).alias(name) for name, fact in facts.items()]]
    groups = judged.groupBy("ds", VERDICT).agg(*aggregates).collect()
    by_day: dict[date | None, list[Row]] = defaultdict(list)
    for group in groups:
        by_day[group["ds"]].append(group)
    return {ds: _tally(rows, list(facts)) for ds, rows in by_day.items()}


def _facts(table: str) -> dict[str, Column]:
    """What is worth counting of accepted rows, though it refuses none."""
    if table == names.EVENTS:
        return {"late": F.col("event_time") < F.col("ds")}
    if table == names.ITEMS:
        return {"image_missing": F.col("image_ref").isNotNull() & F.col("image_sha256").isNull()}
    return {}


def _tally(groups: list[Row], facts: list[str]) -> Tally:
    written = next((group for group in groups if group[VERDICT] is None), None)
    accepted = [group for group in groups if group[VERDICT] in (None, UNCHANGED_VERSION)]
    return Tally(
        verdicts={group[VERDICT] or "": int(group["n"]) for group in groups},
        digest=digest_of_aggregates(written),
        facts={fact: sum(int(group[fact]) for group in accepted) for fact in facts},
    )


def check_nothing_lost(read: int, judged: int, table: str, partition: str) -> None:
    """Raises JobError where the rows read are not all accounted for (P6)."""
    if read != judged:
        raise JobError(
            "ROWS_LOST", "rows read are not rows accepted plus rows quarantined", table=table, partition=partition,
            expected=read, got=judged, hint="the landing files changed while they were read, or a transform drops or doubles rows",
        )  # fmt: skip
