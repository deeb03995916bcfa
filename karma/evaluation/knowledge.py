"""What an encoder still knows, and what that buys: hit rates on warm, cold and new items beside probes of its vectors.

Shapes: n pairs (history, next item), m items, d dimensions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.evaluation.cold_items import ScoreBlock, cold_margins, offset_of_share, ranks_among_own_kind, ranks_with_offset
from karma.evaluation.evaluate import Catalogue, History, Vectors, encode_catalogue, encode_users, seen_items
from karma.evaluation.probes import labels_read, numbers_read
from karma.evaluation.ranks import CUTOFFS, hit_rate
from karma.evaluation.spectrum import spectrum
from karma.evaluation.title_decoys import DECOYS, title_found, title_lsa
from karma.evaluation.title_labels import Labels, labels_of
from karma.evaluation.uniformity import uniformity
from karma.serving import ServingEncoder

Longs = npt.NDArray[np.int64]
KINDS = ("warm", "cold", "new")
WARM, COLD, NEW = range(len(KINDS))
SHARED_TOP = 200
UNIFORMITY_OF = 2000
SEED = 0
_PAIRS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What is judged.

    Attributes:
        catalogue: all m items;  kinds: int64 [m], places in KINDS.
        histories: [n];  targets: int64 [n], places in the catalogue;  users: int64 [n], number of the user.
        mask_seen: items of the history are no candidates.
        labels: what titles and categories say, by the name of the probe;  titles: [m, t] from ``title_lsa``.
    """

    catalogue: Catalogue
    kinds: Longs
    histories: Sequence[History]
    targets: Longs
    users: Longs
    mask_seen: bool
    labels: Mapping[str, Labels]
    titles: npt.NDArray[np.float64]

    @property
    def top(self) -> int:
        """Length of the list in which hidden items get their share: SHARED_TOP, or a fifth of a small catalogue."""
        return min(SHARED_TOP, len(self.kinds) // 5)

    @property
    def decoys(self) -> int:
        """Titles that a target's is told from: DECOYS, or half of a small catalogue."""
        return min(DECOYS, len(self.kinds) // 2)

    @classmethod
    def of(
        cls, *, catalogue: Catalogue, kinds: Longs, histories: Sequence[History], targets: Sequence[str], users: Longs, mask_seen: bool
    ) -> "Pairs":
        """The pairs of target ids, with the labels that the catalogue allows."""
        place = {item: row for row, item in enumerate(catalogue.item_ids)}
        return cls(
            catalogue=catalogue, kinds=kinds, histories=histories, targets=np.array([place[item] for item in targets], np.int64),
            users=users, mask_seen=mask_seen, labels=labels_of(catalogue),
            titles=title_lsa([title or "" for title in catalogue.titles], seed=SEED),
        )  # fmt: skip

    @property
    def place(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.catalogue.item_ids)}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One encoder on all pairs.

    Attributes:
        figures: by name; see ``judge``.
        own_kind: int64 [n], rank of the target among the items of its own kind.
        equal_share: int64 [n], rank among all items, with one offset for all hidden items that gives them their share of the catalogue
            in the top list.
        title_found: float [n], 1 where the target's title was first among its decoys; NaN where the probe was fitted on the pair, the
            target has no title, or too few items have another one.
        interest_vectors: float32 [n, d];  item_vectors: float32 [m, d].
    """

    figures: Mapping[str, float | None]
    own_kind: Longs
    equal_share: Longs
    title_found: npt.NDArray[np.float64]
    interest_vectors: Vectors
    item_vectors: Vectors


def judge(encoder: ServingEncoder, pairs: Pairs) -> Judged:
    """Figures: ``<kind>_HR@K`` among the kind's own items, ``<kind>_equal_HR@K`` at the equal share (both None as in ``hit_rate``),
    ``hidden_share`` of the top list without an offset; ``<probe>_items`` and ``<probe>_interests`` (macro average precision; R^2 for
    numbers) of linear probes of the hidden items' vectors, fitted on the warm ones, and of what users took next, fitted on the other
    half of the users; ``title_found``; ``effective_rank_..``, ``mean_cosine_..`` and ``uniformity_..`` of both clouds.
    """
    items = encode_catalogue(encoder, pairs.catalogue)
    users = encode_users(encoder, items, pairs.place, pairs.histories)
    own, equal, shown = _ranks(users, items, pairs)
    found = _titles(users, pairs)
    told = found[~np.isnan(found)]
    figures: dict[str, float | None] = {"hidden_share": shown, "title_found": float(told.mean()) if len(told) else None}
    for kind, name in enumerate(KINDS):
        of_kind = pairs.kinds[pairs.targets] == kind
        for k in CUTOFFS:
            figures[f"{name}_HR@{k}"] = hit_rate(own[of_kind], k, int((pairs.kinds == kind).sum()))
            figures[f"{name}_equal_HR@{k}"] = hit_rate(equal[of_kind], k, len(items))
    return Judged(
        figures={**figures, **_shapes(users, items), **_probes(users, items, pairs)}, own_kind=own, equal_share=equal, title_found=found,
        interest_vectors=users, item_vectors=items,
    )  # fmt: skip


def _ranks(users: Vectors, items: Vectors, pairs: Pairs) -> tuple[Longs, Longs, float]:
    hidden = pairs.kinds > 0
    margins, own = [], []
    for block in _blocks(users, items, pairs):
        own.append(ranks_among_own_kind(block, pairs.kinds))
        margins.append(cold_margins(block, hidden, pairs.top).astype(np.float32))
    all_margins = np.concatenate(margins).astype(np.float64)
    offset = offset_of_share(all_margins, float(hidden.mean()))
    equal = [ranks_with_offset(block, hidden, offset) for block in _blocks(users, items, pairs)]
    return np.concatenate(own), np.concatenate(equal), float((all_margins < 0).mean())


def _blocks(users: Vectors, items: Vectors, pairs: Pairs) -> Iterator[ScoreBlock]:
    place = pairs.place
    for start in range(0, len(users), _PAIRS_AT_ONCE):
        rows = slice(start, start + _PAIRS_AT_ONCE)
        masked = seen_items(pairs.histories[rows], place) if pairs.mask_seen else None
        yield ScoreBlock(scores=users[rows] @ items.T, target=pairs.targets[rows], masked=masked)


def first_half(users: Longs) -> npt.NDArray[np.bool_]:
    """bool [n]: whether a pair, of the user of that number, belongs to a random half of the users: probes are fitted there."""
    order = np.random.default_rng(SEED).random(int(users.max()) + 1)
    return order[users] < 0.5


def _titles(users: Vectors, pairs: Pairs) -> npt.NDArray[np.float64]:
    titled = np.array([bool(title) for title in pairs.catalogue.titles])[pairs.targets]
    half = first_half(pairs.users)
    fitted, asked = half & titled, ~half & titled
    told = np.full(len(users), np.nan)
    with suppress(ValueError):  # a catalogue of too few titles
        told[asked] = title_found(
            users[fitted], pairs.targets[fitted], users[asked], pairs.targets[asked], pairs.titles, seed=SEED, decoys=pairs.decoys
        )
    return told


def _probes(users: Vectors, items: Vectors, pairs: Pairs) -> dict[str, float]:
    warm, fitted = pairs.kinds == 0, first_half(pairs.users)
    found: dict[str, float | None] = {}
    for name, labels in pairs.labels.items():
        of_items, of_next = labels.values, labels.values[pairs.targets]
        rows = labels.known
        read = _read(items[warm & rows], of_items[warm & rows], items[~warm & rows], of_items[~warm & rows], labels.numeric)
        next_known = rows[pairs.targets]
        a, b = fitted & next_known, ~fitted & next_known
        following = _read(users[a], of_next[a], users[b], of_next[b], labels.numeric)
        found |= {f"{name}_items": read, f"{name}_interests": following}
    return {name: value for name, value in found.items() if value is not None}


def _read(x: Vectors, y: npt.NDArray[np.float64], x_new: Vectors, y_new: npt.NDArray[np.float64], numeric: bool) -> float | None:
    """What a probe fitted on (x, y) reads of y_new: R^2, or the labels' macro average precision; None where too little is there."""
    if len(x) < 6 or len(x_new) < 6:
        return None
    return numbers_read(x, y, x_new, y_new) if numeric else labels_read(x, y > 0, x_new, y_new > 0).macro


def _shapes(users: Vectors, items: Vectors) -> dict[str, float]:
    told: dict[str, float] = {}
    for name, cloud in {"items": items, "interests": users}.items():
        shape = spectrum(cloud)
        told |= {f"effective_rank_{name}": shape.effective_rank, f"mean_cosine_{name}": shape.mean_cosine}
        told[f"uniformity_{name}"] = uniformity(cloud[:: max(1, len(cloud) // UNIFORMITY_OF)])
    return told
