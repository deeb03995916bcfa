"""Finished runs of an ablation -> the facts of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jobs.ablation_cells import PathPair, Table
from jobs.ablation_runs import Arms, Floats, Seeds, widest_rate
from jobs.report.ablation_facts import AblationFacts, Attended, Curve, PathFacts, Told, Written
from karma.evaluation.knowledge import KINDS

Runs = Mapping[str, Arms]

HIDDEN_MEASURES = {
    "title_found": "title among decoys, from u", "title_nats": "nats a token of new titles", "category_items": "categories from e (AP)",
    "word_items": "title words from e (AP)", "year_items": "year from e (R²)", "category_interests": "next category from u (AP)",
    "effective_rank_interests": "effective rank of u",
}  # fmt: skip
VALIDATED_MEASURES = {
    "hr@50": "HR@50, validation", "hr@200": "HR@200, validation", "action": "action loss",
    "effective_rank_interests": "effective rank of u", "mean_cosine_interests": "mean cosine of u",
    "effective_rank_items": "effective rank of e",
}  # fmt: skip


def ablation_facts(runs: Runs, tables: Sequence[Table], pairs: Sequence[PathPair]) -> AblationFacts:
    """The page of ``finished_runs``, their ``tables_of`` and their ``path_pairs``."""
    seeds = sorted({seed for arms in runs.values() for of in arms.values() for seed in of})
    told_seed = next((seed for seed in seeds if _kept(runs, seed)), None)
    return AblationFacts(
        runs=sum(len(of) for arms in runs.values() for of in arms.values()),
        seeds=tuple(seeds),
        paths=tuple(_path(table, runs[table.path]) for table in tables),
        pairs=tuple(pairs),
        shared_top=_asked_with(runs, "shared_top"),
        decoys=_asked_with(runs, "decoys"),
        told=() if told_seed is None else _told(_kept(runs, told_seed)),
        told_seed=told_seed,
    )


def _asked_with(runs: Runs, name: str) -> int | None:
    """A number that all runs of a hidden study have in common."""
    every = (run for arms in runs.values() for seeds in arms.values() for run in seeds.values())
    return next((run.figures[name] for run in every if name in run.figures), None)


def _path(table: Table, arms: Arms) -> PathFacts:
    is_hidden = any("curve" in run.figures for seeds in arms.values() for run in seeds.values())
    source, measures = ("curve", _by_kind(arms) | HIDDEN_MEASURES) if is_hidden else ("log", VALIDATED_MEASURES)
    curves = {shown: _curves(arms, source, name) for name, shown in measures.items()}
    first = next(iter(arms))
    return PathFacts(
        table=table,
        curves={shown: of for shown, of in curves.items() if of},
        is_hidden=is_hidden,
        spectra={arm: shares for arm, seeds in arms.items() if (shares := _mean(seeds, "singular")) is not None},
        attention=tuple(shown for arm, seeds in arms.items() if (shown := _attended(arm, seeds))),
        before=_attended(first, arms[first], "_untrained"),
    )


def _by_kind(arms: Arms) -> dict[str, str]:
    """The hit rates of warm, cold and new items in the curves, each among its own kind."""
    rows = [row for seeds in arms.values() for run in seeds.values() for row in run.figures.get("curve", ())]
    names = {kind: widest_rate(f"{kind}_", lambda name: any(row.get(name) is not None for row in rows)) for kind in KINDS}
    return {name: f"{name.removeprefix(f'{kind}_')}, {kind} items" for kind, name in names.items() if name}


def _mean(seeds: Seeds, name: str) -> Floats | None:
    """The mean over the seeds that kept an array of that name; None where none did, or where they differ in shape."""
    kept = [run.arrays[name].astype(float) for run in seeds.values() if name in run.arrays]
    if len({of.shape for of in kept}) != 1:
        return None
    mean: Floats = np.mean(kept, axis=0)
    return mean


def _attended(arm: str, seeds: Seeds, when: str = "") -> Attended | None:
    shown, score, untrained = (_mean(seeds, name) for name in (f"attention{when}", f"sinks{when}", "sinks_untrained"))
    if shown is None or score is None:
        return None
    return Attended(arm=arm, mean_map=shown, score=float(score), untrained=None if untrained is None else float(untrained))


def _curves(arms: Arms, source: str, measure: str) -> tuple[Curve, ...]:
    found = (_curve(arm, [run.figures.get(source, ()) for run in seeds.values()], measure) for arm, seeds in arms.items())
    return tuple(curve for curve in found if curve.steps)


def _curve(arm: str, runs: Sequence[Sequence[Mapping[str, Any]]], measure: str) -> Curve:
    by_step: dict[int, list[float]] = {}
    for row in (row for rows in runs for row in rows):
        if (value := row.get(measure)) is not None and np.isfinite(value):
            by_step.setdefault(int(row["step"]), []).append(float(value))
    steps = sorted(by_step)
    mean, low, high = (np.array([of(by_step[step]) for step in steps]) for of in (np.mean, np.min, np.max))
    return Curve(arm=arm, steps=tuple(steps), mean=mean, low=low, high=high)


def _kept(runs: Runs, seed: int) -> dict[tuple[str, str], Sequence[Mapping[str, Any]]]:
    """The rows of decoded users by path and arm, of the runs of that seed that have some."""
    return {
        (path, arm): rows
        for path, arms in runs.items()
        for arm, seeds in arms.items()
        if seed in seeds and (rows := seeds[seed].figures.get("decoded"))
    }


def _told(kept: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> tuple[Told, ...]:
    """A row a user of the first run, with what the other runs tell of the same user."""
    of_user = {key: {row["row"]: row for row in rows} for key, rows in kept.items()}
    return tuple(
        Told(
            history=tuple(shown["history"]),
            took=shown["took"],
            written=tuple(
                Written(path=path, arm=arm, rank=rows[shown["row"]]["rank"], text=rows[shown["row"]]["written"])
                for (path, arm), rows in of_user.items() if shown["row"] in rows
            ),
        )
        for shown in next(iter(kept.values()))
    )  # fmt: skip
