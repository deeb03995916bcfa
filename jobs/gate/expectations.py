"""Rules judged by Great Expectations, and its results read so that nothing passes by error, emptiness or absence."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from great_expectations.expectations.core.expect_column_max_to_be_between import ExpectColumnMaxToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.gate.rules import EVERY_ROW, EXAMPLES, FIGURE, ROW_COUNT, Rule
from jobs.gate.verdict import FAILED, NOT_APPLICABLE, PASSED, RuleResult

FIGURES = "figures"
_SITE = "gate"
# What passes is judged by its counts. What failed is judged again with a few bad rows named by their key, which costs two more queries
# a rule; COMPLETE would collect every bad row to the driver.
_COUNTS = {"result_format": "BASIC"}
_NAMED = {"result_format": "SUMMARY", "unexpected_index_column_names": ["key"], "partial_unexpected_count": EXAMPLES}


def judge(spark: SparkSession, rules: Sequence[Rule], batches: Mapping[str, DataFrame], site: Path) -> list[RuleResult]:
    """Judge ``rules`` on ``batches`` (a flat frame of scalars by frame name) and build the raw Data Docs under ``site``.

    Every declared rule has one result, in order. Row counts and rules on every row run on the batch of their frame,
    rules on a figure on one row of figures. A rule whose expectation raised, came back empty or not at all has failed.
    """
    context = _context(site)
    source = context.data_sources.add_spark("spark", persist=False)  # the frames are materialised already
    found: dict[str, Any] = {}
    for name, (batch, members) in _suites(spark, rules, batches).items():
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[_expectation(rule) for rule in members]))
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        validation = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=definition, suite=suite))
        run = RunIdentifier(run_time=datetime.now(UTC))  # one page in the Data Docs, whether judged once or twice
        outcome = validation.run(batch_parameters={"dataframe": batch}, result_format=_COUNTS, run_id=run)
        if not outcome.success:
            outcome = validation.run(batch_parameters={"dataframe": batch}, result_format=_NAMED, run_id=run)
        found.update(_by_rule(outcome.results))
    context.build_data_docs(site_names=[_SITE], build_index=False)
    return [_result(rule, found.get(rule.key)) for rule in rules]


def _context(site: Path) -> Any:
    """A context that writes to ``site`` alone: no temporary site, no usage statistics, no progress bars."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(_SITE, {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index})
    return context


def _suites(spark: SparkSession, rules: Sequence[Rule], batches: Mapping[str, DataFrame]) -> dict[str, tuple[DataFrame, list[Rule]]]:
    """The rules that can be judged, by the batch that they run on."""
    judged = [rule for rule in rules if rule.absent is None]
    figures = [rule for rule in judged if rule.kind == FIGURE]
    suites = {frame: (batch, [rule for rule in judged if rule.kind != FIGURE and rule.frame == frame]) for frame, batch in batches.items()}
    if figures:
        row = spark.range(1, numPartitions=1).select(*[F.lit(float(rule.figure)).alias(rule.key) for rule in figures])
        suites[FIGURES] = (row, figures)
    return {name: suite for name, suite in suites.items() if suite[1]}


def _expectation(rule: Rule) -> Any:
    # In Data Docs the reason stands beside the expectation.
    bounds: dict[str, Any] = {
        "min_value": rule.threshold.minimum, "max_value": rule.threshold.maximum,
        "meta": {"rule": rule.key}, "notes": rule.threshold.reason,
    }  # fmt: skip
    if rule.kind == ROW_COUNT:
        return ExpectTableRowCountToBeBetween(**bounds)
    if rule.kind == EVERY_ROW and rule.column:
        return ExpectColumnValuesToBeBetween(column=rule.column, **bounds)
    return ExpectColumnMaxToBeBetween(column=rule.key, **bounds)


def _by_rule(results: Iterable[Any]) -> dict[str, Any]:
    return {str((result.expectation_config.meta or {}).get("rule")): result for result in results}


def _result(rule: Rule, found: Any) -> RuleResult:
    status, observed = read_result(rule, found)
    return RuleResult(
        rule=rule.name, frame=rule.frame, status=status, observed=observed,
        expected=rule.threshold.in_words(), reason=rule.threshold.reason,
    )  # fmt: skip


def read_result(rule: Rule, found: Any) -> tuple[str, str]:
    """Status and observation of ``rule`` from an expectation's validation result; None = there is none."""
    if rule.absent is not None:
        return (FAILED if rule.always else NOT_APPLICABLE), rule.absent
    if found is None:
        return FAILED, "no result: the expectation vanished"
    raised = _raised(found.exception_info)
    if raised is not None:
        return FAILED, f"no result: the expectation raised {raised}"
    details = found.result or {}
    if rule.kind == EVERY_ROW:
        return _read_rows(rule, bool(found.success), details)
    if details.get("observed_value") is None:
        return FAILED, "no result: the expectation came back empty"
    return (PASSED if found.success else FAILED), _with_examples(rule, number(details["observed_value"]))


def _read_rows(rule: Rule, success: bool, details: Mapping[str, Any]) -> tuple[str, str]:
    if "element_count" not in details or "unexpected_count" not in details:
        return FAILED, "no result: the expectation came back empty"
    total, nulls = details["element_count"], details.get("missing_count") or 0
    judged = total - nulls
    if nulls and not rule.skips_nulls:
        return FAILED, f"nothing to judge in {nulls} of {total} rows"
    if judged == 0 and not (rule.always and rule.expected_rows == 0):
        return FAILED, f"no row judged where {rule.expected_rows} were expected"
    if success:
        return PASSED, f"all {judged} rows within"
    return FAILED, f"{details['unexpected_count']} of {judged} rows outside{_offenders(rule, details)}"


def _offenders(rule: Rule, details: Mapping[str, Any]) -> str:
    rows = details.get("partial_unexpected_index_list") or []
    named = sorted(f"{row.get('key')} ({number(row.get(rule.column))})" for row in rows)
    return f": {', '.join(named)}" if named else ""


def _with_examples(rule: Rule, observed: str) -> str:
    return f"{observed}: {', '.join(rule.examples)}" if rule.examples else observed


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """The message of an exception, from either shape of exception_info: one record, or one a metric."""
    if not info:
        return None
    records = [info] if "raised_exception" in info else [record for record in info.values() if isinstance(record, Mapping)]
    messages = [str(record.get("exception_message")) for record in records if record.get("raised_exception")]
    return "; ".join(messages) if messages else None


def number(value: Any) -> str:
    """A figure for people: integers in full, others with four digits."""
    if not isinstance(value, (int, float)):
        return str(value)
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"
