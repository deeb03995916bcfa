"""What every gate does around its own rules: schema first, spaces, the judgement, Data Docs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from jobs.gate import docs
from jobs.gate.rules import EXAMPLES, FIGURE, ROW_COUNT, Rule
from jobs.gate.scalars import Provenance, provenance, schema_mismatches
from jobs.gate.verdict import FAILED, Verdict
from schemas.contract import Contract
from schemas.gate_rules import ALWAYS, FrameRules, Threshold


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Which staged version is judged, and where its Data Docs go."""

    spark: SparkSession
    contract: Contract
    frames: Sequence[str]
    space_id: str
    ds: date
    docs_dir: Path
    rules: FrameRules


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A gate's own rules, and the flat frames that they judge by frame name."""

    rules: Sequence[Rule]
    batches: Mapping[str, DataFrame]


def run_gate(gate: Gate, staged: DataFrame, judged: Callable[[], Judged], *, previous: DataFrame | None = None) -> Verdict:
    """The verdict on ``staged``: schema and provenance first, then the rules that ``judged`` builds.

    With another schema nothing else can be read: the rules that always apply fail, saying so.
    Raises SpaceMixError where ``staged`` or ``previous`` holds rows of another space.
    """
    mismatches = schema_mismatches(staged, gate.contract)
    if mismatches:
        return _verdict(gate, [*_schema_rules(gate, mismatches), *_unreadable(gate)], {}, staged.count())
    origin = provenance(staged, gate.contract.table, gate.space_id, gate.ds, previous)
    own = judged()
    return _verdict(gate, [*_schema_rules(gate, ()), *_one_run(gate, origin), *own.rules], own.batches, origin.rows)


def _verdict(gate: Gate, rules: Sequence[Rule], batches: Mapping[str, DataFrame], rows: int) -> Verdict:
    from jobs.gate.expectations import judge  # Great Expectations takes seconds to import; most drivers find their day settled

    site = docs.site_of(gate.docs_dir, gate.contract.table, gate.space_id, gate.ds)
    docs.clear(site)
    results = judge(gate.spark, rules, batches, site)
    passed = not any(result.status == FAILED for result in results)
    verdict = Verdict(passed=passed, rules=tuple(results), rows=rows, docs=site / docs.INDEX)
    docs.finish(verdict, gate.docs_dir, table=gate.contract.table, space_id=gate.space_id, ds=gate.ds)
    return verdict


def _schema_rules(gate: Gate, mismatches: Sequence[str]) -> list[Rule]:
    return [_of_table(gate, "schema", gate.rules.schema, len(mismatches), mismatches)]


def _one_run(gate: Gate, origin: Provenance) -> list[Rule]:
    return [_of_table(gate, "one_run", gate.rules.one_run, origin.strays, origin.described)]


def _of_table(gate: Gate, name: str, threshold: Threshold, figure: float, examples: Sequence[str]) -> Rule:
    """A rule on the staged table as a whole; all frames lie in it, so it stands once, at the widest."""
    frame, few = gate.frames[-1], tuple(examples[:EXAMPLES])
    return Rule(name=name, frame=frame, threshold=threshold, kind=FIGURE, figure=figure, examples=few)


def _unreadable(gate: Gate) -> list[Rule]:
    return [
        Rule(name=name, frame=frame, threshold=getattr(gate.rules, name), kind=ROW_COUNT, absent="nothing: the schema is another")
        for frame in gate.frames
        for name in sorted(ALWAYS - {"schema"})
    ]
