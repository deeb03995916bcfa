"""promote: make an encoder champion where the evidence allows it, and say which labels can be joined to its vectors."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console

from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import Encoder, make_champion, stages_of_spaces
from jobs.promotion.evidence import Evidence
from jobs.promotion.gathering import EVIDENCE, EVIDENCE_DIGEST, Question, gather
from jobs.promotion.verdict import Terms, findings, refuse
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from schemas import names, promotion_rules


@dataclass(frozen=True, kw_only=True)
class PromoteArgs(RootArgs):
    """Move the alias champion to an active encoder that is no worse than the champion on what users took after both were trained.

    No worse at finding it, and no less can be read from its vectors.

    Every space goes on being produced; no join follows the alias by itself. Exit 3 where the evidence is against it, or too little.
    """

    encoder: str
    """Encoder version."""
    window_days: int = names.DEFAULT_LABEL_WINDOW_DAYS
    """Days after the later trained_until of the two that targets may lie in."""
    margin: float = promotion_rules.MARGIN
    """Of HR@50, what may be lost: the lower end of the interval of candidate minus champion must not lie below it."""
    require_better: bool = False
    """Ask for an interval of HR@50 above zero instead."""
    without_evidence: str | None = None
    """Why you promote it whatever the comparison says, or without one; kept in the ledger. It lets no collapsed or silent vectors pass."""

    def terms(self) -> Terms:
        return Terms(margin=self.margin, require_better=self.require_better, without_evidence=self.without_evidence)


def promote_stage(encoder: Encoder, terms: Terms, window_days: int) -> Stage:
    """The stage; its day is the day of the promotion (UTC)."""

    def input_digest(context: Context, ds: date) -> str:
        question = Question.of(context, encoder, window_days)
        since = question.champion["promoted_at"] if question.champion else None  # that too: an alias may come back
        return digest_of(question.evidence_digest(context), since, asdict(terms), usable_window(context, encoder))

    return Stage(
        job=names.PROMOTE_JOB, space_id=encoder.space_id, input_digest=input_digest,
        run=lambda context, ds, attempt: _run(context, Question.of(context, encoder, window_days), terms),
    )  # fmt: skip


def _run(context: Context, question: Question, terms: Terms) -> Outcome:
    version = question.candidate.version
    facts = {"version": version, "champion_before": question.champion_version or "none", **usable_window(context, question.candidate)}
    if question.already_stands:
        return Outcome(status=names.UNCHANGED, output_digest=digest_of(version), details=facts)
    gathered = gather(context, question)
    evidence = Evidence.model_validate_json(gathered[EVIDENCE])
    against = findings(evidence, terms)
    details = {**facts, "figures": evidence.in_words(), **gathered}
    refuse(against, terms, details)
    overruled = {"without_evidence": terms.without_evidence, "overruled": "\n".join(map(str, against))} if terms.without_evidence else {}
    make_champion(context, version, {**overruled, EVIDENCE: gathered[EVIDENCE]}, instead_of=question.champion_version)
    return Outcome(output_digest=digest_of(version), details={**details, **overruled})


def usable_window(context: Context, encoder: Encoder) -> dict[str, str]:
    """Which labels can be joined to the encoder's vectors: those from ``trained_until`` on that a published day was readable for."""
    published = context.tables.read_where(names.INTEREST_EMBEDDINGS, {"space_id": encoder.space_id})
    # As seconds: collect() gives times in the zone of this machine.
    days = published.groupBy("ds").agg(F.unix_seconds(F.min("available_at")).alias("seconds")).collect()
    return window_in_words(encoder.trained_until, {row["ds"]: datetime.fromtimestamp(row["seconds"], UTC) for row in days})


def window_in_words(trained_until: datetime, available_at: Mapping[date, datetime]) -> dict[str, str]:
    """``available_at``: of each published day."""
    words = {"trained_until": trained_until.isoformat(), "days_published": str(len(available_at))}
    if not available_at:
        return {**words, "usable_from": "nothing is published in its space yet: backfill it from trained_until on"}
    first = min(available_at.values())
    span = {"first_day": min(available_at).isoformat(), "last_day": max(available_at).isoformat()}
    return {**words, **span, "usable_from": max(trained_until, first).isoformat()}


def _show(details: Mapping[str, Any]) -> None:
    console = Console(width=120)
    for name, value in details.items():
        if name not in (EVIDENCE, EVIDENCE_DIGEST):
            console.print(f"{name:>16}: {value}", highlight=False, markup=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma promote``."""

    def body(args: PromoteArgs) -> int:
        terms = args.terms()
        context = context_of(args, names.PROMOTE_JOB)
        stages = stages_of_spaces(context, names.PROMOTE_JOB, args.encoder, lambda e: promote_stage(e, terms, args.window_days))
        row = run_stage(context, stages[0], context.run_at.date())
        _show(row.details)
        return exit_code(row)

    return run_main(PromoteArgs, body, argv, prog="karma promote")


if __name__ == "__main__":
    sys.exit(main())
