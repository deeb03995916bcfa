"""The tables of an ablation: the mean over seeds of every arm, its paired difference to the first arm of the path, and to the baselines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from jobs.ablation_cells import ArmDifference, Cell, Row, Table
from jobs.ablation_runs import Arms, Finished, Floats, Ranks, Seeds, paired_means, widest_rate
from karma.evaluation.bootstrap import paired_difference
from karma.evaluation.knowledge import KINDS
from karma.evaluation.ranks import CUTOFFS
from karma.training.arms import goes_without

RESAMPLES = 2000
PAIRED = "over users, of whom each counts once, and the seeds that both have, with its 95 % interval"
RATES = tuple(f"HR@{k}" for k in CUTOFFS)
BY_KIND = (*(f"{kind}_" for kind in KINDS), *(f"{kind}_equal_" for kind in KINDS))
KNOWLEDGE = (
    "title_found", "category_items", "word_items", "year_items", "category_interests", "effective_rank_interests", "title_nats",
    "decodability",
)  # fmt: skip


def tables_of(runs: Mapping[str, Arms], baselines: Mapping[str, Ranks] | None = None) -> tuple[Table, ...]:
    """One a path of ``finished_runs``. ``baselines``: the ranks of the same targets by ``baseline_ranks``."""
    return tuple(_table(path, arms, baselines or {}) for path, arms in runs.items())


def markdown(tables: Sequence[Table]) -> str:
    """The tables as Markdown; empty where there is none."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    brackets = f"; in brackets the paired difference to {table.rows[0].arm}, {PAIRED}" if len(table.rows) > 1 else ""
    lines = [
        f"path {table.path}, n = {table.n}, means over targets and all seeds of the arm{brackets}",
        "",
        *_markdown_table("arm", table.columns, table.rows),
    ]
    if table.beside:
        told = "the same beside the baselines; in brackets the paired difference to the best of them at that cut-off"
        lines += ["", told, "", *_markdown_table("", table.measured, table.beside)]
    return "\n".join([*lines, ""])


def _markdown_table(corner: str, columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    cells = [[row.label, str(row.seeds or ""), *(cell.text for cell in row.cells)] for row in rows]
    return markdown_rows([corner, "seeds", *columns], cells)


def markdown_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(path: str, arms: Arms, baselines: Mapping[str, Ranks]) -> Table:
    first = next(iter(arms.values()))
    runs = [run for seeds in arms.values() for run in seeds.values()]
    columns = _columns(runs)
    rows = (
        Row(
            arm=arm,
            seeds=len(seeds),
            cells=tuple(_cell(column, seeds, None if seeds is first else first) for column in columns),
            without=goes_without(arm, path),
        )
        for arm, seeds in arms.items()
    )
    measured = tuple(column for column in RATES if column in columns) if baselines else ()
    beside = tuple(_beside(path, arms, baselines, measured)) if measured else ()
    return Table(path=path, n=runs[0].figures["n"], columns=columns, rows=tuple(rows), beside=beside, measured=measured)


def _beside(path: str, arms: Arms, baselines: Mapping[str, Ranks], columns: Sequence[str]) -> Iterator[Row]:
    hits = {
        name: {column: (ranks <= int(column.removeprefix("HR@"))).astype(float) for column in columns} for name, ranks in baselines.items()
    }
    for name, found in hits.items():
        yield Row(arm=name, seeds=0, cells=tuple(Cell(column=column, mean=float(found[column].mean())) for column in columns))
    for arm, seeds in arms.items():
        # A baseline and an arm may have one name.
        cells = tuple(_beside_the_best(column, seeds, hits) for column in columns)
        yield Row(arm=f"arm {arm}", seeds=len(seeds), cells=cells, without=goes_without(arm, path))


def _beside_the_best(column: str, arm: Seeds, hits: Mapping[str, Mapping[str, Floats]]) -> Cell:
    best = max(hits, key=lambda name: float(hits[name][column].mean()))
    ours = _by_user(column, arm)
    difference = difference_of(ours, dict.fromkeys(ours, hits[best][column]), of_seeds=len(arm))
    return Cell(column=column, mean=_cell(column, arm, None).mean, difference=difference, to=best)


def _columns(runs: Sequence[Finished]) -> tuple[str, ...]:
    def known(name: str) -> bool:
        return any(run.figure(name) is not None for run in runs)

    by_kind = (widest_rate(stem, known) for stem in BY_KIND)
    return tuple(name for name in (*RATES, *by_kind, *KNOWLEDGE) if name and known(name))


def _cell(column: str, arm: Seeds, first: Seeds | None) -> Cell:
    known = [value for run in arm.values() if (value := run.figure(column)) is not None]
    difference = None if first is None else difference_of(_by_user(column, arm), _by_user(column, first), of_seeds=len(arm))
    return Cell(column=column, mean=float(np.mean(known)) if known else None, difference=difference)


def _by_user(column: str, arm: Seeds) -> Mapping[int, Floats]:
    return {seed: run.by_user[column] for seed, run in arm.items() if column in run.by_user}


def difference_of(ours: Mapping[int, Floats], theirs: Mapping[int, Floats], *, of_seeds: int) -> ArmDifference | None:
    """``ours`` minus ``theirs``, figures a user by seed; None where they cannot be paired (``paired_means``).

    Args:
        of_seeds: how many seeds our arm has, those without the figure included.
    """
    pair = paired_means(ours, theirs)
    if pair is None:
        return None
    found = paired_difference(*pair, seed=0, resamples=RESAMPLES)
    return ArmDifference(**asdict(found), seeds=len(set(ours) & set(theirs)), of_seeds=of_seeds)
