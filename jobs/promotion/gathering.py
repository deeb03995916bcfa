"""What is asked of a candidate, and the evidence on it: what was measured already is found in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs import upstream
from jobs.digests import digest_of
from jobs.encoders import Encoder, champion_row, encoder_of, refuse_unusable
from jobs.errors import JobError
from jobs.promotion.evidence import Evidence, evidence_of_manifest, validation_clouds
from jobs.stage import Context
from jobs.transforms.label_window import LabelWindow
from schemas import names

CODE_VERSION = "5"
EVIDENCE, EVIDENCE_DIGEST = "evidence", "evidence_digest"
"""Where a ledger row's details hold the evidence, and the digest of all that it was measured on."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """May ``candidate`` replace ``champion`` (its row of encoder_versions; None where there is none)?

    Attributes:
        window: of the targets; it begins when both had been trained.
    """

    candidate: Encoder
    champion: Mapping[str, Any] | None
    window: LabelWindow

    @classmethod
    def of(cls, context: Context, candidate: Encoder, window_days: int) -> "Question":
        """The question as the tables stand. Raises UsageError where the window has no day."""
        champion = champion_row(context)
        since = max(candidate.trained_until, champion["trained_until"]) if champion else candidate.trained_until
        return cls(candidate=candidate, champion=champion, window=LabelWindow(since=since, days=window_days))

    @property
    def champion_version(self) -> str | None:
        return self.champion["version"] if self.champion else None

    @property
    def already_stands(self) -> bool:
        return self.champion_version == self.candidate.version

    def evidence_digest(self, context: Context) -> str:
        """Changes with either encoder, with what both read and with the targets."""
        outputs = upstream.judged_on(context, self.window)
        champion = self.champion["artefact_digest"] if self.champion else None
        return digest_of(CODE_VERSION, self.candidate.digest, champion, self.window.since, self.window.days, outputs)


def gather(context: Context, question: Question) -> dict[str, str]:
    """The evidence on ``question`` as details of a ledger row: EVIDENCE, and EVIDENCE_DIGEST where a comparison was made.

    Raises InputMissingError where image features that an encoder reads are missing.
    """
    digest = question.evidence_digest(context)
    rows = context.ledger.rows(names.PROMOTE_JOB, question.candidate.space_id)
    known = [row.details[EVIDENCE] for row in rows if row.details.get(EVIDENCE_DIGEST) == digest]
    if known:
        return {EVIDENCE: known[-1], EVIDENCE_DIGEST: digest}
    evidence = _measured(context, question)
    return {EVIDENCE: evidence.model_dump_json(), **({EVIDENCE_DIGEST: digest} if evidence.comparison else {})}


def _measured(context: Context, question: Question) -> Evidence:
    candidate, version = question.candidate, question.champion_version
    refuse_unusable(candidate)
    if version is None:
        return evidence_of_manifest(candidate.manifest)
    try:
        champion = encoder_of(context, version)
        refuse_unusable(champion)
    except JobError as error:  # its folder is lost, or of other code: a reason to replace it, for a person to say
        clouds = validation_clouds(candidate.manifest)
        return Evidence(candidate=candidate.version, champion=version, clouds=clouds, not_compared=str(error))
    from jobs.promotion.measured import measure  # torch and transformers: seconds that a settled question need not wait

    return measure(context, candidate, champion, question.window)
