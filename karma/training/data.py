"""The training data folder, read into flat arrays: catalogue, histories, and what they were made from."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pydantic import BaseModel, ConfigDict, ValidationError

from karma.text import render_item, render_query

Ints = npt.NDArray[np.int64]
UNKNOWN, NO_ITEM, NO_QUERY = -1, -2, -1


FILES, TARGETS = "files.json", "targets.parquet"


class TrainingDataError(Exception):
    """Raised when a training data folder is not what the trainer reads: the message names the file and what is wrong in it."""


class NothingToLearnError(TrainingDataError):
    """Raised when the data can be read, and no event in them may be a target."""


class Meta(BaseModel):
    """``meta.json``: trained_until (ISO 8601, exclusive), digest of the data, source table versions, and whose image features these are."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trained_until: datetime
    fingerprint: str
    tables: dict[str, int] = {}
    vision_spec: str = ""
    vision_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """n items: ids, rendered texts, frozen image features float32 [n, f] (zeros without an image), has_visual bool [n]."""

    item_ids: list[str]
    texts: list[str]
    features: npt.NDArray[np.float32]
    has_visual: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True, kw_only=True)
class Histories:
    """All users' events, one user after the other by user_id, each oldest first.

    Attributes:
        offsets: int64 [users + 1]; user k has the events ``offsets[k]`` (inclusive) to ``offsets[k + 1]`` (exclusive).
        users: int64 [events], number of the user.
        times: int64 [events], microseconds since 1970 UTC; read to order targets, never by the encoder.
        items: int64 [events], place in the catalogue, UNKNOWN or NO_ITEM.
        event_types: int64 [events].
        queries: int64 [events], place in ``query_texts``, or NO_QUERY.
        query_texts: distinct rendered queries.
    """

    offsets: Ints
    users: Ints
    times: Ints
    items: Ints
    event_types: Ints
    queries: Ints
    query_texts: list[str]


@dataclass(frozen=True, kw_only=True)
class Exposures:
    """Items of the catalogue that users with a history were shown without a click, one user after the other, each oldest first.

    Attributes:
        offsets: int64 [users + 1], over the users of ``Histories``.
        times: int64 [exposures], microseconds since 1970 UTC.
        items: int64 [exposures], place in the catalogue; of one user and time, the higher first.
    """

    offsets: Ints
    times: Ints
    items: Ints


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Attributes: exposures: None where they were not asked for, or the folder has no impressions."""

    catalogue: Catalogue
    histories: Histories
    meta: Meta
    exposures: Exposures | None = None


def read_meta(folder: Path) -> Meta:
    """Raises TrainingDataError."""
    path = Path(folder) / "meta.json"
    try:
        return Meta.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise TrainingDataError(f"{path} cannot be read: {error}") from None


def leave_files(folder: Path) -> None:
    """Write down what lies in ``folder``, for ``lost_files``: the size of each file of catalogue, histories and impressions."""
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*.parquet")) if path.name != TARGETS}
    (folder / FILES).write_text(json.dumps(sizes, indent=1), encoding="utf-8")


def place(draft: Path, folder: Path, *, is_there: Callable[[], bool]) -> None:
    """Move ``draft`` to ``folder``, unless another process has put the same data there, which may be reading them already.

    Args:
        is_there: whether the same data lie in ``folder``, whole; what else lies there is removed.
    """
    try:
        draft.rename(folder)
    except OSError:
        if is_there():
            shutil.rmtree(draft)
            return
        shutil.rmtree(folder)
        draft.rename(folder)


def lost_files(folder: Path) -> list[str]:
    """Files that were written to ``folder`` and are gone, or have another size; none where it does not say what was."""
    try:
        sizes = json.loads((folder / FILES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except ValueError:
        return [FILES]
    return [name for name, size in sizes.items() if not (folder / name).is_file() or (folder / name).stat().st_size != size]


def refuse_lost_files(folder: Path) -> None:
    """Raises TrainingDataError where ``lost_files`` finds any."""
    if lost := lost_files(folder):
        raise TrainingDataError(f"{folder} is not as it was written: {', '.join(lost[:3])} lost or changed")


def read_training_data(folder: Path, event_types: Sequence[str], *, exposures: bool = False) -> TrainingData:
    """Read catalogue and histories.

    Args:
        event_types: names in the order of their numbers; any other type gets the number ``len(event_types)``.
        exposures: also read what was shown without a click, where the folder has impressions.

    Raises:
        TrainingDataError: a file is missing or not as it was written, an item occurs twice, a user's times run backwards, or an event
            or an impression is not before trained_until.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    refuse_lost_files(folder)
    catalogue = _read_catalogue(folder / "catalogue.parquet")
    users, histories = _read_histories(folder / "histories", catalogue.item_ids, event_types)
    if np.any(np.diff(histories.times)[np.diff(histories.users) == 0] < 0):
        raise TrainingDataError("a user's events are not in the order of their times")
    _check_before(histories.times, meta, "an event")
    shown = None
    if exposures and (folder / "impressions").exists():
        shown = _read_exposures(folder / "impressions", users, catalogue.item_ids, meta)
    return TrainingData(catalogue=catalogue, histories=histories, meta=meta, exposures=shown)


def _read_catalogue(path: Path) -> Catalogue:
    table = read_columns(path, ["item_id", "title", "category", "features"]).sort_by("item_id")
    item_ids = table["item_id"].to_pylist()
    if len(set(item_ids)) != len(item_ids):
        raise TrainingDataError(f"{path} names an item twice")
    texts = [
        render_item(title, category) for title, category in zip(table["title"].to_pylist(), table["category"].to_pylist(), strict=True)
    ]
    features, has_visual = _features(table["features"].combine_chunks(), path)
    return Catalogue(item_ids=item_ids, texts=texts, features=features, has_visual=has_visual)


def _features(column: pa.Array, path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    has_visual = np.asarray(column.is_valid())
    if not has_visual.any():
        return np.zeros((len(column), 0), np.float32), has_visual
    widths = pc.unique(pc.list_value_length(column.drop_null())).to_pylist()
    if len(widths) != 1:
        raise TrainingDataError(f"{path} has features of different widths: {widths}")
    features = np.zeros((len(column), widths[0]), np.float32)
    features[has_visual] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, widths[0])
    return features, has_visual


def _read_histories(folder: Path, item_ids: list[str], event_types: Sequence[str]) -> tuple[pa.Array, Histories]:
    """The users' ids in their order, and their events."""
    columns = ["event_times", "event_types", "item_ids", "queries"]
    table = read_columns(folder, ["user_id", *columns]).sort_by("user_id")
    if pc.count_distinct(table["user_id"]).as_py() != len(table):
        raise TrainingDataError(f"{folder} names a user twice")
    times, types, items, queries = (table[name].combine_chunks() for name in columns)
    lengths = pc.list_value_length(times).to_numpy(zero_copy_only=False).astype(np.int64)
    if any(not pc.list_value_length(column).equals(pc.list_value_length(times)) for column in (types, items, queries)):
        raise TrainingDataError(f"{folder} has a user whose arrays differ in length")
    query_index, query_texts = _number_queries(queries.flatten())
    histories = Histories(
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        users=np.repeat(np.arange(len(lengths)), lengths),
        times=_microseconds(times.flatten()),
        items=_places(items.flatten(), item_ids, missing=UNKNOWN, null=NO_ITEM),
        event_types=_places(types.flatten(), list(event_types), missing=len(event_types), null=len(event_types)),
        queries=query_index,
        query_texts=query_texts,
    )
    return table["user_id"].combine_chunks(), histories


def _read_exposures(folder: Path, users: pa.Array, item_ids: list[str], meta: Meta) -> Exposures:
    """Impressions known to have no click, of users and items that are known."""
    table = read_columns(folder, ["user_id", "impression_time", "item_id", "clicked"])
    times, clicked = (table[name].combine_chunks() for name in ("impression_time", "clicked"))
    user = _places(table["user_id"].combine_chunks(), users, missing=UNKNOWN, null=UNKNOWN)
    item = _places(table["item_id"].combine_chunks(), item_ids, missing=UNKNOWN, null=UNKNOWN)
    at = _microseconds(times)
    _check_before(at, meta, "an impression")
    kept = pc.equal(clicked, False).fill_null(False).to_numpy(zero_copy_only=False) & (user >= 0) & (item >= 0)
    user, item, at = user[kept], item[kept], at[kept]
    order = np.lexsort((-item, at, user))
    return Exposures(offsets=np.searchsorted(user[order], np.arange(len(users) + 1)), times=at[order], items=item[order])


def _microseconds(times: pa.Array) -> Ints:
    since: Ints = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return since


def _places(values: pa.Array, names: list[str] | pa.Array, *, missing: int, null: int) -> Ints:
    """Place of each value in ``names``."""
    found = pc.fill_null(pc.index_in(values, value_set=pa.array(names, pa.string())), missing)
    places: Ints = pc.if_else(values.is_valid(), found, pa.scalar(null, pa.int32())).to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def _number_queries(values: pa.Array) -> tuple[Ints, list[str]]:
    encoded = values.dictionary_encode()
    rendered = [render_query(text) for text in encoded.dictionary.to_pylist()]
    texts = sorted(set(rendered) - {""})
    number = {text: place for place, text in enumerate(texts)}
    of_value = np.array([number.get(text, NO_QUERY) for text in rendered] + [NO_QUERY], dtype=np.int64)
    return of_value[encoded.indices.fill_null(len(rendered)).to_numpy(zero_copy_only=False)], texts


def _check_before(times: Ints, meta: Meta, what: str) -> None:
    until = meta.trained_until if meta.trained_until.tzinfo else meta.trained_until.replace(tzinfo=UTC)
    if len(times) and times.max() >= round(until.timestamp() * 1_000_000):
        raise TrainingDataError(f"{what} is not before trained_until ({meta.trained_until.isoformat()}, exclusive)")


def read_columns(path: Path, columns: list[str]) -> pa.Table:
    """Of a Parquet file, or of all in a folder. Raises TrainingDataError."""
    try:
        return ds.dataset(path, format="parquet").to_table(columns=columns)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise TrainingDataError(f"{path} cannot be read: {error}") from None
