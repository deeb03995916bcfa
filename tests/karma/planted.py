"""A tiny world with two latent groups: users of a group take that group's items, whose titles and images show it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from karma.config import BackboneConfig, EncoderConfig, ObjectiveConfig, SoftmaxConfig, TrainingConfig

GROUPS, ITEMS_A_GROUP, USERS, EVENTS, FEATURES = 2, 20, 40, 12, 6
WORDS = (("red", "wool", "scarf", "warm"), ("blue", "steel", "drill", "sharp"))
START = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=365)


def group_of(item_id: str) -> int:
    return int(item_id.split("-")[0])


def write_world(folder: Path, *, seed: int = 0) -> Path:
    """Training data: 40 items, 40 users, 12 events each; every third item without an image, the last of each group never taken. Beside
    each event three items of both groups were shown, of which the event's alone was clicked."""
    random = np.random.default_rng(seed)
    (folder / "histories").mkdir(parents=True)
    (folder / "impressions").mkdir()
    pq.write_table(_catalogue(random), folder / "catalogue.parquet")
    histories = _histories(random)
    pq.write_table(histories, folder / "histories" / "part-0.parquet")
    pq.write_table(_impressions(histories, random), folder / "impressions" / "part-0.parquet")
    meta = {
        "trained_until": UNTIL.isoformat(), "fingerprint": f"planted-{seed}", "tables": {"events": 3},
        "vision_spec": "planted", "vision_digest": "planted",
    }  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def _catalogue(random: np.random.Generator) -> pa.Table:
    ids, titles, features = [], [], []
    for group in range(GROUPS):
        for number in range(ITEMS_A_GROUP):
            ids.append(f"{group}-{number}")
            titles.append(" ".join(random.choice(WORDS[group], 3)) + f" {number}")
            picture = random.normal(size=FEATURES) + 3 * np.eye(FEATURES)[group]
            features.append(None if number % 3 == 0 else picture.astype(np.float32).tolist())
    return pa.table(
        {
            "item_id": ids,
            "content_hash": ids,
            "title": titles,
            "category": pa.array([None] * len(ids), pa.string()),
            "features": pa.array(features, pa.list_(pa.float32())),
        }
    )


def _histories(random: np.random.Generator) -> pa.Table:
    rows: dict[str, list[object]] = {"user_id": [], "event_times": [], "event_types": [], "item_ids": [], "queries": []}
    for user in range(USERS):
        group = user % GROUPS
        taken = [f"{group}-{number}" for number in random.permutation(ITEMS_A_GROUP - 1)[:EVENTS]]
        times = [START + timedelta(days=user, hours=step) for step in range(EVENTS + 1)]
        rows["user_id"].append(f"user-{user:02d}")
        rows["event_times"].append(times)
        rows["event_types"].append(["query"] + ["click"] * EVENTS)
        rows["item_ids"].append([None, *taken])
        rows["queries"].append([WORDS[group][0]] + [None] * EVENTS)
    types = {
        "user_id": pa.string(), "event_times": pa.list_(pa.timestamp("us", "UTC")), "event_types": pa.list_(pa.string()),
        "item_ids": pa.list_(pa.string()), "queries": pa.list_(pa.string()),
    }  # fmt: skip
    return pa.table({name: pa.array(values, types[name]) for name, values in rows.items()})


def _impressions(histories: pa.Table, random: np.random.Generator) -> pa.Table:
    rows = []
    for user in histories.to_pylist():
        for time, taken in list(zip(user["event_times"], user["item_ids"], strict=True))[1:]:
            others = [f"{random.integers(GROUPS)}-{number}" for number in random.permutation(ITEMS_A_GROUP)[:3]]
            rows += [(user["user_id"], time, item, item == taken) for item in dict.fromkeys([taken, *others])]
    schema = pa.schema(
        [("user_id", pa.string()), ("impression_time", pa.timestamp("us", "UTC")), ("item_id", pa.string()), ("clicked", pa.bool_())]
    )
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def tiny_config(**changes: object) -> TrainingConfig:
    """Trains the world in about two seconds, all four objectives on."""
    values: dict[str, object] = {
        "name": "tiny",
        "encoder": EncoderConfig(dim=16, history_length=8, visual_components=4, latent_semantics=4, max_tokens=8),
        "backbone": BackboneConfig(hidden=32, layers=1, heads=2, intermediate=64, vocabulary=320, warm_up_steps=10),
        "objectives": ObjectiveConfig(decoder_hidden=32, prefix_tokens=2, ramp_steps=5),
        "softmax": SoftmaxConfig(repeats=False),
        "steps": 40,
        "windows": 8,
        "positions": 4,
        "validate_every": 20,
        "learning_warm_up": 5,
        "learning_rate": 5e-3,
        "precision": "fp32",
    }
    return TrainingConfig.model_validate({**values, **changes})
