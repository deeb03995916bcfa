"""What is asked of the probes: other users than those measured, and the vector of what came before; a tiny encoder of random weights."""

from pathlib import Path

import numpy as np
import pytest

from jobs import knowledge_measures
from jobs.held_out_figures import HeldOutTargets, Judgement
from jobs.knowledge_measures import knowledge_of
from karma.artefact import artefact_digest, load_encoder
from karma.evaluation.evaluate import Catalogue, History, encode_users, evaluate_targets
from tests.tiny import tiny_encoder

WORDS = ["lamp", "mug", "jacket", "table", "clock", "chair", "spoon", "bottle"]
TITLES = [f"{a} {b}" for a in WORDS for b in WORDS if a < b]
ITEMS = [f"i{n:02}" for n in range(len(TITLES))]


def judgement(folder: Path, *, users: int = 12, events: int = 3, history_length: int = 6, seed: int = 0) -> Judgement:
    """Half of the users have a target. ``seed``: of the encoder's weights alone."""
    rng = np.random.default_rng(0)
    artefact = tiny_encoder(folder, "tiny", seed=seed, history_length=history_length)
    encoder = load_encoder(artefact, artefact_digest(artefact))
    n = len(ITEMS)
    catalogue = Catalogue(
        item_ids=ITEMS, titles=TITLES, categories=["x|y" if row % 2 else "x" for row in range(n)],
        visual=np.zeros((n, 0), np.float32), has_visual=np.zeros(n, bool),
    )  # fmt: skip
    taken = {f"u{user:02}": rng.choice(ITEMS, events).tolist() for user in range(users)}
    histories = {user: History(item_ids=items, event_types=["click"] * events, queries=[None] * events) for user, items in taken.items()}
    held_out = HeldOutTargets(
        catalogue=catalogue, place={item: row for row, item in enumerate(ITEMS)}, of_all=histories,
        users=list(histories)[: users // 2], items=rng.choice(ITEMS, users // 2).tolist(),
    )  # fmt: skip
    found = evaluate_targets(encoder, catalogue, held_out.histories, held_out.items, mask_seen=False)
    return Judgement(held_out=held_out, known=held_out, encoder=encoder, found=found, ranks={"encoder": found.ranks}, dropped=0)


def test_probes_learn_from_other_users_and_from_what_came_before(tmp_path: Path) -> None:
    judged = judgement(tmp_path)
    measured, training = knowledge_measures._measured(judged), knowledge_measures._training(judged)
    users = judged.held_out.users

    assert len(measured.items) == 3, "half of the judged"
    rows = knowledge_measures._measured_rows(judged)
    assert np.array_equal(measured.vectors, judged.found.interest_vectors[rows])
    assert len(training.items) == 12 - 3
    others = {user: judged.held_out.of_all[user] for user in judged.held_out.of_all if user not in {users[row] for row in rows}}
    assert sorted(training.items) == sorted(judged.held_out.place[str(history.item_ids[-1])] for history in others.values())
    before = encode_users(judged.encoder, judged.found.item_vectors, judged.held_out.place, [h.first(2) for h in others.values()])
    assert {row.tobytes() for row in training.vectors.round(4)} == {row.tobytes() for row in before.round(4)}


def test_what_there_is_too_little_for_is_not_measured(tmp_path: Path) -> None:
    figures, sinks = knowledge_of(judgement(tmp_path), steps=0)
    assert sinks is None, "its histories are shorter than a sink needs"
    assert {name: of["n"] for name, of in figures.items()} == {
        "decodability": 0, "title among decoys": 0, "categories of items": 0, "sinks": 0,
    }  # fmt: skip


def test_all_of_it_is_measured_where_there_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge_measures, "DECOYS", 20)
    monkeypatch.setattr("karma.evaluation.probes.MIN_POSITIVES", 3)
    figures, sinks = knowledge_of(judgement(tmp_path, events=32, history_length=40), steps=1)
    assert sinks is not None
    assert sinks.mean_map.shape == (33, 33)
    assert {name: of["n"] for name, of in figures.items()} == {
        "decodability": 3, "title among decoys": 3, "categories of items": 1, "sinks": 6,
    }  # fmt: skip
    assert figures["sinks"]["score"] == sinks.score


def test_tokens_of_a_history_are_what_the_language_model_reads(tmp_path: Path) -> None:
    """Read by the backbone and combined, they give the vector that is served."""
    judged = judgement(tmp_path)
    vectors, kinds = judged.found.item_vectors[:2][None], np.ones((1, 2), np.int64)
    tokens = judged.encoder.history_tokens(vectors, kinds, np.zeros((1, 2), np.int64), [[None, None]])
    seen = []
    judged.encoder.model.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    judged.encoder.encode_histories(vectors, kinds, np.zeros((1, 2), np.int64), [[None, None]])
    assert tokens.numpy() == pytest.approx(seen[0].numpy())
    assert judged.encoder.template_token().shape == tokens.shape[2:]
