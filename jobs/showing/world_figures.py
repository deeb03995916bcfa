"""The encoder on the sample world's targets, beside the rungs of the world's own ladder."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import functions as F

from jobs.encoders import Encoder
from jobs.sample_world import World
from jobs.sample_world.ladder import K
from jobs.stage import Context
from jobs.transforms.item_versions import current_versions
from jobs.transforms.training import training_histories
from karma.artefact import load_encoder
from karma.evaluation.bootstrap import PairedDifference, paired_difference
from karma.evaluation.evaluate import History, encode_users
from karma.evaluation.ranks import rank_of_target
from schemas import names

SEED = 0


@dataclass(frozen=True, kw_only=True)
class WorldFigures:
    """HR@50 on the world's targets, candidates and masks as in the ladder.

    Attributes:
        ladder: HR@50 by rung, the encoder among them.
        above_popularity: encoder minus popularity, paired over users.
        n: targets.
    """

    ladder: dict[str, float]
    above_popularity: PairedDifference
    n: int


def world_figures(context: Context, encoder: Encoder, world: World) -> WorldFigures:
    """Rank every target of the world with the interest vector as of ``trained_until`` and the published item vectors."""
    targets = pd.read_parquet(world.paths.targets)
    corpus = _corpus(context, encoder, world)
    place = {item_id: row for row, item_id in enumerate(corpus.item_id)}
    events = training_histories(context.tables.read(names.EVENTS), world.trained_until).toPandas().set_index("user_id")
    histories = [_history(events.loc[user]) for user in targets.user_id]
    items = np.stack(corpus.embedding.to_numpy()).astype(np.float32)
    users = encode_users(load_encoder(encoder.folder, encoder.digest), items, place, histories)
    target = targets.item_id.map(place).to_numpy(np.int64)
    masked = _masked(targets, corpus, histories, place)
    ranks = rank_of_target(users @ items.T, target, masked)
    taken = pd.Series([item for row in events.item_ids for item in row if item is not None]).value_counts()
    popularity = corpus.item_id.map(taken).fillna(0).to_numpy(np.float32)
    popular = rank_of_target(np.tile(popularity, (len(targets), 1)), target, masked)
    hits = (ranks <= K).astype(float)
    ladder = {rung.name: rung.hit_rate for rung in world.ladder} | {"KARMA encoder": float(hits.mean())}
    return WorldFigures(ladder=ladder, above_popularity=paired_difference(hits, (popular <= K).astype(float), seed=SEED), n=len(targets))


def _corpus(context: Context, encoder: Encoder, world: World) -> pd.DataFrame:
    """Every item of the world: item_id, launched (first valid_from), embedding of its version on the last day."""
    versions = context.tables.read(names.ITEMS)
    launched = versions.groupBy("item_id").agg(F.min("valid_from").alias("launched"))
    vectors = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id}).select("content_hash", "embedding")
    current = current_versions(versions, world.days[-1]).select("item_id", "content_hash")
    return current.join(launched, "item_id").join(vectors, "content_hash").orderBy("item_id").toPandas()


def _history(row: pd.Series) -> History:
    return History(item_ids=list(row.item_ids), event_types=list(row.event_types), queries=list(row.queries))


def _masked(targets: pd.DataFrame, corpus: pd.DataFrame, histories: list[History], place: dict[str, int]) -> npt.NDArray[np.bool_]:
    """[targets, items]: True where an item was in the user's history, or was not launched at the target's time."""
    launched = pd.to_datetime(corpus.launched, utc=True).to_numpy()
    times = pd.to_datetime(targets.event_time, utc=True).to_numpy()
    masked: npt.NDArray[np.bool_] = launched[None, :] > times[:, None]
    for row, history in enumerate(histories):
        masked[row, [place[item] for item in history.item_ids if item in place]] = True
    return masked
