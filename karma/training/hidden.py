"""Items hidden from training, to see afterwards what an encoder makes of items that nobody took.

*Cold* items keep their place in the catalogue, so that training reads their text and takes them for negatives; *new* ones are left out of
it altogether, as if they had come the day after. No event with either is left. What is held out is the end of every user's history: a
cut a user, not one in time, so what others did later is trained on. Impressions are left out.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from karma.evaluation.evaluate import Catalogue, History
from karma.evaluation.knowledge import COLD, NEW, WARM, Pairs
from karma.manifest import value_digest
from karma.training.data import leave_files, lost_files, place, read_meta, refuse_lost_files

COLD_SHARE, NEW_SHARE, TAIL = 0.1, 0.1, 0.2
PAIRS_A_KIND = 4
SEED = 0
VERSION = 2
"""Raised with any change of what is hidden."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What to train on, and the pairs (history, next item) to judge on.

    Attributes:
        data: training data folder without hidden events and without new items.
        catalogue: all items;  kinds: int64 [items], WARM, COLD or NEW.
        histories: [n] all that the user did before the pair's time, hidden items included, as a service would see it.
        targets: [n] item ids;  users: int64 [n], number of the user.
    """

    data: Path
    catalogue: Catalogue
    kinds: npt.NDArray[np.int64]
    histories: Sequence[History]
    targets: Sequence[str]
    users: npt.NDArray[np.int64]

    def pairs(self, *, mask_seen: bool) -> Pairs:
        """What an encoder is judged on."""
        return Pairs.of(
            catalogue=self.catalogue, kinds=self.kinds, histories=self.histories, targets=self.targets, users=self.users,
            mask_seen=mask_seen,
        )  # fmt: skip


def hide(data: Path, catalogue: Catalogue, out: Path, *, repeats: bool) -> Hidden:
    """Hide COLD_SHARE and NEW_SHARE of the items, the same ones for the same catalogue, and the last TAIL of every user's events,
    and with its first one all others of the same instant.

    Args:
        data: training data folder;  out: where the folder without them is written.
        repeats: False: only an item that the user had not taken before is a target.

    Raises:
        TrainingDataError: a file of ``data`` is lost or not as it was written.
    """
    kinds = _kinds(len(catalogue.item_ids))
    of_item = dict(zip(catalogue.item_ids, kinds.tolist(), strict=True))
    refuse_lost_files(data)
    table = ds.dataset(data / "histories", format="parquet").to_table().sort_by("user_id")
    random = np.random.default_rng(SEED)
    kept, pairs = [], []
    for number, row in enumerate(table.to_pylist()):
        cut = _cut(row["event_times"])
        seen = [place for place in range(cut) if of_item.get(row["item_ids"][place], WARM) == WARM]
        kept.append({name: [row[name][place] for place in seen] if isinstance(row[name], list) else row[name] for name in row})
        pairs += [(number, row, place) for place in _targets(row, cut, of_item, random, repeats=repeats)]
    _write(data, out, pa.Table.from_pylist([row for row in kept if row["item_ids"]], table.schema), catalogue, kinds)
    return Hidden(
        data=out, catalogue=catalogue, kinds=kinds,
        histories=[_before(row, place) for _, row, place in pairs],
        targets=[row["item_ids"][place] for _, row, place in pairs],
        users=np.array([number for number, _, _ in pairs], np.int64),
    )  # fmt: skip


def _cut(times: Sequence[object]) -> int:
    """Place of the first event of the tail, which begins with a new instant."""
    cut = len(times) - round(TAIL * len(times))
    while 0 < cut < len(times) and times[cut - 1] == times[cut]:
        cut -= 1
    return cut


def _kinds(items: int) -> npt.NDArray[np.int64]:
    order = np.random.default_rng(SEED).permutation(items)
    cold, new = round(COLD_SHARE * items), round(NEW_SHARE * items)
    kinds = np.full(items, WARM)
    kinds[order[:cold]], kinds[order[cold : cold + new]] = COLD, NEW
    return kinds


def _targets(row: dict, cut: int, of_item: dict[str, int], random: np.random.Generator, *, repeats: bool) -> list[int]:
    """Places of at most PAIRS_A_KIND targets of each kind among the events from ``cut`` on, ascending."""
    taken = row["item_ids"]
    first = row["event_times"][0] if taken else None
    places = [
        place for place in range(cut, len(taken))
        if taken[place] in of_item and row["event_times"][place] > first and (repeats or taken[place] not in taken[:place])
    ]  # fmt: skip
    chosen: list[int] = []
    for kind in (WARM, COLD, NEW):
        of_kind = [place for place in places if of_item[taken[place]] == kind]
        chosen += random.permutation(of_kind)[:PAIRS_A_KIND].astype(int).tolist()
    return sorted(chosen)


def _before(row: dict, place: int) -> History:
    """The user's events strictly earlier than the event at ``place``."""
    end = next(other for other in range(place + 1) if row["event_times"][other] == row["event_times"][place])
    return History(item_ids=row["item_ids"][:end], event_types=row["event_types"][:end], queries=row["queries"][:end])


def _write(data: Path, out: Path, histories: pa.Table, catalogue: Catalogue, kinds: npt.NDArray[np.int64]) -> None:
    meta = json.loads((data / "meta.json").read_text(encoding="utf-8"))
    meta["fingerprint"] = value_digest(meta["fingerprint"], "hidden", COLD_SHARE, NEW_SHARE, TAIL, SEED, VERSION)
    if _is_there(out, meta["fingerprint"]):
        return
    draft = out.with_name(f"{out.name}.{os.getpid()}")
    (draft / "histories").mkdir(parents=True)
    known = pa.array([item for item, kind in zip(catalogue.item_ids, kinds, strict=True) if kind != NEW])
    items = pq.read_table(data / "catalogue.parquet")
    pq.write_table(items.filter(pc.is_in(items["item_id"], value_set=known)), draft / "catalogue.parquet")
    pq.write_table(histories, draft / "histories" / "part-0.parquet")
    leave_files(draft)
    (draft / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    place(draft, out, is_there=lambda: _is_there(out, meta["fingerprint"]))


def _is_there(out: Path, fingerprint: str) -> bool:
    return (out / "meta.json").is_file() and read_meta(out).fingerprint == fingerprint and not lost_files(out)
