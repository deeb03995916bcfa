"""The tables of an ablation: the mean over seeds of every arm, and its paired difference to the first arm of the path."""

from collections.abc import Mapping, Sequence

import numpy as np

from jobs.ablation_cells import Cell, Row, Table
from jobs.ablation_runs import Arms, Floats, Seeds, paired_means
from karma.evaluation.bootstrap import PairedDifference, paired_difference
from karma.evaluation.knowledge import KINDS
from karma.evaluation.ranks import CUTOFFS

RESAMPLES = 2000
RATES = tuple(f"HR@{k}" for k in CUTOFFS)
RATES_BY_KIND = (*(f"{kind}_HR@200" for kind in KINDS), *(f"{kind}_equal_HR@200" for kind in KINDS))
KNOWLEDGE = (
    "title_found", "category_items", "word_items", "year_items", "category_interests", "effective_rank_interests", "title_nats",
    "decodability",
)  # fmt: skip


def tables_of(runs: Mapping[str, Arms]) -> tuple[Table, ...]:
    """One a path of ``finished_runs``."""
    return tuple(_table(path, arms) for path, arms in runs.items())


def markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown; empty where there is none."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    head = ["arm", "seeds", *table.columns]
    lines = [f"path {table.path}, n = {table.n}", "", _line(head), _line(["---"] * len(head))]
    lines += [_line([row.arm, str(row.seeds), *(cell.text for cell in row.cells)]) for row in table.rows]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(path: str, arms: Arms) -> Table:
    first = next(iter(arms.values()))
    runs = [run for seeds in arms.values() for run in seeds.values()]
    columns = tuple(name for name in (*RATES, *RATES_BY_KIND, *KNOWLEDGE) if any(run.figure(name) is not None for run in runs))
    rows = (
        Row(arm=arm, seeds=len(seeds), cells=tuple(_cell(column, seeds, None if seeds is first else first) for column in columns))
        for arm, seeds in arms.items()
    )
    return Table(path=path, n=runs[0].figures["n"], columns=columns, rows=tuple(rows))


def _cell(column: str, arm: Seeds, first: Seeds | None) -> Cell:
    known = [value for run in arm.values() if (value := run.figure(column)) is not None]
    difference = None if first is None else difference_of(_by_user(column, arm), _by_user(column, first))
    return Cell(column=column, mean=float(np.mean(known)) if known else None, difference=difference)


def _by_user(column: str, arm: Seeds) -> Mapping[int, Floats]:
    return {seed: run.by_user[column] for seed, run in arm.items() if column in run.by_user}


def difference_of(ours: Mapping[int, Floats], theirs: Mapping[int, Floats]) -> PairedDifference | None:
    """``ours`` minus ``theirs``, figures a user by seed; None where they cannot be paired (``paired_means``)."""
    pair = paired_means(ours, theirs)
    return None if pair is None else paired_difference(*pair, seed=0, resamples=RESAMPLES)
