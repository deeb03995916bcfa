"""Runs of an ablation as they lie in its folder when they are done, made by hand; nothing is trained."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from karma.evaluation.slices import columns_of
from tests.report.made_facts import HOSTILE

USERS = 40
CUTS = (10, 50, 200)


def leave(folder: Path, path: str, arm: str, seed: int, ranks: Sequence[int], *, kept: bool = True, **figures: Any) -> None:
    """A run on USERS targets, of which every fourth is cold. ``kept``: False leaves what runs of an earlier version left."""
    of = np.array(ranks)
    told = {"n": len(of), "corpus": 500, **{f"HR@{k}": float((of <= k).mean()) for k in CUTS}, "log": log(seed), **figures}
    arrays = {"ranks": of, **(columns(len(of)) | shapes(path, seed) if kept else {})}
    _write(folder / f"made-{path}-{arm}-{seed}", told, arrays)


def leave_hidden(folder: Path, path: str, arm: str, seed: int, own: Sequence[int], **figures: Any) -> None:
    """A hidden run on pairs of warm, cold and new items in turn, three of each user."""
    ranks, kind = np.array(own), np.arange(len(own)) % 3
    rates = {
        f"{name}_{ranking}HR@{k}": float((ranks[kind == place] <= k).mean())
        for place, name in enumerate(("warm", "cold", "new")) for ranking in ("", "equal_") for k in CUTS
    }  # fmt: skip
    rows = [
        {"step": step, "cold_HR@50": value + 0.1 * seed, "cold_HR@200": None, "title_nats": 4.0} for step, value in ((0, 0.1), (5, 0.3))
    ]
    arrays = {
        "own_kind": ranks, "equal_share": ranks, "kind": kind, "user": np.arange(len(ranks)) // 3, "title_found": np.ones(len(ranks)),
        "cold": kind == 1, "new": kind == 2,
    }  # fmt: skip
    told = {"n": len(ranks), "title_found": 1.0, "shared_top": 7, "decoys": 19, "curve": rows, **rates, **figures}
    _write(folder / f"made-{path}-{arm}-{seed}", told, arrays)


def _write(stem: Path, told: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    Path(f"{stem}.json").write_text(json.dumps(told))
    np.savez(f"{stem}.npz", **arrays)


def log(seed: int) -> list[dict[str, float]]:
    return [{"step": step, "hr@50": 0.01 * step + 0.1 * seed, "action": 6.0} for step in (10, 20)]


def columns(n: int) -> dict[str, np.ndarray]:
    made = columns_of([], cold=np.arange(n) % 4 == 0, new=np.zeros(n, bool), with_query=np.zeros(n, bool))
    return {**made, "history_length": np.arange(1, n + 1)}


def shapes(path: str, seed: int) -> dict[str, np.ndarray]:
    """Four directions; where there is a language model also its attention, even, and at step 0 each event's to itself."""
    singular = {"singular": np.array([0.4 + 0.1 * seed, 0.3, 0.2, 0.1 - 0.1 * seed])}
    if path == "pool":
        return singular
    even = np.tril(np.ones((33, 33))) / np.arange(1, 34)[:, None]
    return {
        **singular, "attention": even, "sinks": np.array(0.25 + 0.5 * seed), "attention_untrained": np.eye(33),
        "sinks_untrained": np.array(0.125),
    }  # fmt: skip


def decoded(written: str, *, title: str = "a film") -> dict[str, Any]:
    """What a run with ``--decode`` says of two users."""
    lines = [
        {"row": row, "history": [f"before {row}"], "took": f"{title} {row}", "rank": 7 + row, "written": f"{written} {row}"}
        for row in (3, 9)
    ]
    return {"decodability": 0.5, "decoded": lines}


def whole(folder: Path) -> Path:
    """Two arms on two paths, two seeds of the first; titles that are markup."""
    miss, hit = [300] * USERS, [1] * USERS
    cold_hit = [1 if row % 4 == 0 else 300 for row in range(USERS)]
    half = [1 if row % 2 else 300 for row in range(USERS)]
    leave(folder, "pool", "action", 0, miss)
    leave(folder, "pool", "text", 0, hit)
    leave(folder, "pool+lm", "action", 0, cold_hit, **decoded("plain", title=HOSTILE))
    leave(folder, "pool+lm", "action", 1, miss)
    leave(folder, "pool+lm", "text", 0, half, **decoded(HOSTILE, title=HOSTILE))
    return folder
