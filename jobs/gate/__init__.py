"""The gate: staged rows are judged by Great Expectations over their vector statistics before anything is published (P4)."""

from jobs.gate.interests import check_interests
from jobs.gate.items import check_items
from jobs.gate.ranking_features import check_ranking_features
from jobs.gate.requests import check_requests
from jobs.gate.verdict import FAILED, NOT_APPLICABLE, PASSED, RuleResult, Verdict

__all__ = [
    "FAILED",
    "NOT_APPLICABLE",
    "PASSED",
    "RuleResult",
    "Verdict",
    "check_interests",
    "check_items",
    "check_ranking_features",
    "check_requests",
]
