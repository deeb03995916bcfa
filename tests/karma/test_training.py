"""Training: the data folder, the collaborative start, and a planted world whose two groups must be found."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, Qwen3Config

from karma.artefact import artefact_digest, load_encoder
from karma.config import EncoderConfig, ObjectiveConfig, SoftmaxConfig, TrainingConfig
from karma.manifest import TRAINER_VERSION
from karma.model.own_items import appeal_of_takers
from karma.tokenizer import train_tokenizer
from karma.training import TrainingDataError, train
from karma.training.collaborative import collaborative_start, items_taken, takers_of
from karma.training.data import NO_ITEM, NO_QUERY, UNKNOWN, leave_files, place, read_meta, read_training_data
from karma.training.losses import appended, queries_of
from karma.training.optimiser import rate_at
from karma.training.run import CHOSEN_BY, DivergedError, Run
from karma.training.trainer import version_of
from karma.training.validation import Validation
from tests.karma.conftest import Planted
from tests.karma.planted import EVENTS, FEATURES, USERS, group_of, tiny_config, write_world
from tests.karma.test_examples import histories_of

CONFIGURATIONS = Path(__file__).parents[2] / "conf" / "encoder"


def test_the_planted_groups_are_found(planted: Planted) -> None:
    """Nearest items and interests stay within the group, cold items included."""
    catalogue = read_training_data(planted.data, planted.config.encoder.event_types).catalogue
    encoder = planted.encoder
    items = encoder.encode_items(catalogue.item_ids, catalogue.texts, catalogue.features, catalogue.has_visual)
    groups = np.array([group_of(item_id) for item_id in catalogue.item_ids])
    similar = items @ items.T - 2 * np.eye(len(items))
    assert np.mean(groups[similar.argmax(axis=1)] == groups) == 1.0
    for group in (0, 1):
        history = items[groups == group][None, :3]
        interest = encoder.encode_histories(history, np.ones((1, 3), np.int64), np.ones((1, 3), np.int64), [[None] * 3])
        scores = (interest @ items.T)[0]
        assert scores[groups == group].min() > scores[groups != group].max()


def test_training_beats_popularity_and_says_so(planted: Planted) -> None:
    metrics = planted.encoder.manifest.metrics
    assert metrics["hr@10"] > metrics["popularity_hr@10"] + 0.3
    assert metrics["ndcg"] > metrics["popularity_ndcg"] + 0.1


def test_all_objectives_fall(planted: Planted) -> None:
    run = Run.of(planted.config, read_training_data(planted.data, planted.config.encoder.event_types), progress=False)

    def on_one_batch() -> dict[str, float]:
        run.sampler.seek(1, 0)
        run.learner.generator.manual_seed(0)
        with torch.no_grad():
            return {name: float(loss) for name, loss in run.learner.losses(run.sampler.draw()).items()}

    first = on_one_batch()
    assert set(first) == {"action", "generation", "reconstruct_interest", "reconstruct_item", "visual"}
    for step in range(2, 40):
        run.step(step)
    last = on_one_batch()
    assert all(last[name] < first[name] for name in first)


def test_a_loss_that_is_not_finite_stops_the_run(planted: Planted) -> None:
    run = Run.of(planted.config, read_training_data(planted.data, planted.config.encoder.event_types), progress=False)
    run.learner.model.interest.base.data.fill_(float("nan"))
    with pytest.raises(DivergedError, match="step 7"):
        run.step(7)


def test_the_same_data_and_configuration_are_trained_once(planted: Planted, caplog: pytest.LogCaptureFixture) -> None:
    before = artefact_digest(planted.folder), planted.folder.stat().st_mtime_ns
    assert train(planted.config, planted.data, planted.folder.parent, progress=False) == planted.folder
    assert (artefact_digest(planted.folder), planted.folder.stat().st_mtime_ns) == before


def test_a_damaged_artefact_is_trained_again_to_the_same_bytes(planted: Planted, tmp_path: Path) -> None:
    config = planted.config.model_copy(update={"steps": 3, "validate_every": 3})
    folder = train(config, planted.data, tmp_path / "encoders", progress=False)
    digest = artefact_digest(folder)
    (folder / "model.safetensors").write_bytes(b"torn")
    assert train(config, planted.data, tmp_path / "encoders", progress=False) == folder
    assert artefact_digest(folder) == digest


SWITCHED_OFF = ObjectiveConfig(generation=0, reconstruct_interest=0, reconstruct_item=0, visual=0)
ARMS = {
    "action alone": {"objectives": SWITCHED_OFF},
    "pool alone": {"objectives": SWITCHED_OFF, "encoder": EncoderConfig(dim=8, history_length=8, use_lm=False)},
    "language model alone": {"encoder": EncoderConfig(dim=8, history_length=8, use_pool=False)},
    "content alone": {"encoder": EncoderConfig(dim=8, history_length=8, use_collaborative=False)},
    "no content": {
        "encoder": EncoderConfig(dim=8, history_length=8, use_text=False, use_visual=False),
        "objectives": ObjectiveConfig(decoder_hidden=32, visual=0),
    },
    "sampled softmax": {"softmax": SoftmaxConfig(full_up_to=0, uniform=8, mask_window=True)},
    "images by diffusion": {"objectives": ObjectiveConfig(decoder_hidden=32, visual_by="diffusion")},
    "ties in order": {"ties": "in_order"},
    "bf16": {"precision": "bf16"},
}


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains(arm: str, planted: Planted) -> None:
    config = tiny_config(**ARMS[arm], steps=6, validate_every=3)
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    run.fit(progress=False)
    assert [row["step"] for row in run.progress.log] == [3, 6]
    assert all(np.isfinite(value) for row in run.progress.log for value in row.values())


@pytest.mark.parametrize(
    "told",
    [
        {"steps": 0}, {"validate_every": 0}, {"patience": 0}, {"windows": 0}, {"seed": -1}, {"seed": 2**32}, {"threads": 0},
        {"event_dropout": 1.0},
        {"learning_rate": math.nan}, {"rate_backbone": -1.0}, {"name": "../elsewhere"}, {"name": ""}, {"encoder": {"dim": 0}},
        {"encoder": {"history_length": 1}}, {"encoder": {"kernel_exponents": []}}, {"backbone": {"hidden": 32, "heads": 3}},
        {"objectives": {"decoder_hidden": 100}}, {"objectives": {"decoder_hidden": 33}},
        {"backbone": {"hidden": 12, "heads": 4}}, {"guard": {"lowest_rank": math.nan}}, {"softmax": {"uniform": -1}},
        {"objectives": dict.fromkeys(("action", "generation", "reconstruct_interest", "reconstruct_item", "visual"), 0)},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(told)


def test_what_was_not_trained_is_never_chosen(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the trained encoder is worse than the one before training; the best of them is the second of three."""
    looks = iter([0.9, 0.1, 0.3, 0.2])
    measure = Validation.measure
    monkeypatch.setattr(Validation, "measure", lambda self, model: {**measure(self, model), CHOSEN_BY: next(looks)})
    config = tiny_config(steps=6, validate_every=2)
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    assert run.fit(progress=False)["step"] == 4


def test_the_last_checkpoint_is_kept_where_it_is_chosen(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """No look is as good as the first, and one without a better one would be the end; for a comparison the last step counts."""
    looks = iter([0.9, 0.8, 0.3, 0.2])
    measure = Validation.measure
    monkeypatch.setattr(Validation, "measure", lambda self, model: {**measure(self, model), CHOSEN_BY: next(looks)})
    config = tiny_config(steps=6, validate_every=2, patience=1, choose="last")
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    told = run.fit(progress=False)
    assert (told["step"], told[CHOSEN_BY]) == (6, 0.2)


def test_with_nobody_held_out_the_last_checkpoint_is_kept(
    planted: Planted, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No user has targets enough that one could be spared: validation sees nobody, and neither chooses nor ends anything."""
    monkeypatch.setattr("karma.training.examples.FEWEST_TARGETS", EVENTS + 1)
    config = tiny_config(steps=6, validate_every=2, patience=1)
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    told = run.fit(progress=False)
    assert (told["held_out_users"], told["step"]) == (0, 6)
    assert "none is held out" in caplog.text


@pytest.mark.parametrize("change", ["lose", "tear"])
def test_data_of_which_a_part_is_lost_are_not_trained_on(planted: Planted, tmp_path: Path, change: str) -> None:
    shutil.copytree(planted.data, tmp_path / "data")
    folder = tmp_path / "data"
    leave_files(folder)
    assert read_training_data(folder, planted.config.encoder.event_types).meta == read_meta(folder)
    part = next((folder / "histories").glob("*.parquet"))
    if change == "lose":
        shutil.copy(part, part.with_name("another.parquet"))
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(TrainingDataError, match=f"not as it was written: histories/{part.name}"):
        read_training_data(folder, planted.config.encoder.event_types)


def test_data_that_name_a_user_twice_are_not_trained_on(planted: Planted, tmp_path: Path) -> None:
    folder = shutil.copytree(planted.data, tmp_path / "data")
    part = next((folder / "histories").glob("*.parquet"))
    shutil.copy(part, part.with_name("once-more.parquet"))
    with pytest.raises(TrainingDataError, match="names a user twice"):
        read_training_data(folder, planted.config.encoder.event_types)


def test_data_that_another_process_has_put_there_stay(tmp_path: Path) -> None:
    draft, folder = tmp_path / "draft", tmp_path / "data"
    for path in (draft, folder):
        path.mkdir()
        (path / "written by").write_text(path.name)
    place(draft, folder, is_there=lambda: True)
    assert ((folder / "written by").read_text(), draft.exists()) == ("data", False)
    draft.mkdir()
    (draft / "written by").write_text("another")
    place(draft, folder, is_there=lambda: False)
    assert ((folder / "written by").read_text(), draft.exists()) == ("another", False)


def test_an_encoder_that_a_last_step_blew_up_is_said_to_diverge(planted: Planted) -> None:
    """The losses of step 1 are finite; what the step leaves behind is not."""
    config = tiny_config(steps=1, learning_rate=1e30, learning_warm_up=0)
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    with pytest.raises(DivergedError, match="not finite"):
        run.fit(progress=False)


@pytest.mark.parametrize("part", ["use_lm", "use_visual"])
def test_an_objective_without_what_it_trains_is_refused(part: str) -> None:
    with pytest.raises(ValidationError, match=f"{part} is false"):
        tiny_config(encoder=EncoderConfig.model_validate({part: False}))


@pytest.mark.parametrize("path", sorted(CONFIGURATIONS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_configurations_load(path: Path) -> None:
    assert TrainingConfig.load(path).steps > 0


def test_a_mistyped_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("stepps = 3")
    with pytest.raises(ValidationError, match="stepps"):
        TrainingConfig.load(tmp_path / "bad.toml")


def test_the_data_folder_is_read_as_it_stands(planted: Planted) -> None:
    read = read_training_data(planted.data, ("click",))
    assert read.histories.offsets.tolist() == [user * (EVENTS + 1) for user in range(USERS + 1)]
    first = slice(0, EVENTS + 1)
    assert read.histories.items[first][0] == NO_ITEM
    assert (read.histories.items[first][1:] >= 0).all()
    assert read.histories.event_types[first].tolist() == [1] + [0] * EVENTS
    assert read.histories.query_texts == ["blue", "red"]
    assert read.histories.queries[first].tolist() == [1] + [NO_QUERY] * EVENTS
    assert read.catalogue.features.shape == (40, FEATURES)
    assert read.catalogue.has_visual.sum() == 26


def rewritten(data: Path, target: Path, **columns: list[object]) -> Path:
    """The first user's row with other arrays."""
    folder = write_world(target)
    path = folder / "histories" / "part-0.parquet"
    table = pq.read_table(path).slice(0, 1)
    for name, value in columns.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), [[value]])
    pq.write_table(table, path)
    return folder


def test_an_item_outside_the_catalogue_is_unknown(planted: Planted, tmp_path: Path) -> None:
    folder = rewritten(planted.data, tmp_path / "data", item_ids=["nowhere"] + [None] * EVENTS)
    items = read_training_data(folder, ("click",)).histories.items
    assert items.tolist() == [UNKNOWN] + [NO_ITEM] * EVENTS


def test_events_out_of_order_or_after_the_cut_are_refused(planted: Planted, tmp_path: Path) -> None:
    times = pq.read_table(planted.data / "histories").column("event_times")[0].as_py()
    with pytest.raises(TrainingDataError, match="order"):
        read_training_data(rewritten(planted.data, tmp_path / "order", event_times=times[::-1]), ("click",))
    folder = write_world(tmp_path / "cut")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "trained_until": times[-1].isoformat()}))
    with pytest.raises(TrainingDataError, match="not before trained_until"):
        read_training_data(folder, ("click",))
    with pytest.raises(TrainingDataError, match=r"meta\.json"):
        read_training_data(tmp_path, ("click",))


def test_the_collaborative_start_factorises_the_co_occurrence() -> None:
    """At full rank the unnormalised Gram matrix is the documented one: a loop over users and pairs of items."""
    taken = [[0, 1, 2], [0, 1], [2, 4], [4, 2, 2], [1]]
    histories = histories_of([[(time, item) for time, item in enumerate(items)] for items in taken])
    rows = items_taken(histories, np.ones(len(histories.users), bool))
    assert rows.tolist() == [0, 1, 2, 4]
    gram = np.zeros((5, 5))
    for items in taken:
        for first in set(items):
            for second in set(items):
                gram[first, second] += 1 / np.log2(2 + len(set(items)))
    gram = gram[np.ix_(rows, rows)]
    gram /= np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    start = collaborative_start(histories, np.ones(len(histories.users), bool), rows, dim=8, noise=0.0, seed=0)
    assert start @ start.T == pytest.approx(gram, abs=1e-5)


def test_a_taker_of_an_item_counts_once_and_only_what_is_trained_on() -> None:
    taken = [[0, 1, 2], [0, 1], [2, 4], [4, 2, 2], [1]]
    histories = histories_of([[(time, item) for time, item in enumerate(items)] for items in taken])
    trained = np.ones(len(histories.users), bool)
    rows = items_taken(histories, trained)
    assert takers_of(histories, trained, rows).tolist() == [sum(item in items for items in taken) for item in (0, 1, 2, 4)]
    trained[-1] = False
    assert takers_of(histories, trained, rows).tolist() == [2, 2, 3, 2]


def test_noise_moves_the_collaborative_start_but_keeps_unit_rows() -> None:
    histories = histories_of([[(0, 0), (1, 1)], [(0, 1), (1, 2)]])
    rows = np.arange(3)
    plain, noisy = (collaborative_start(histories, np.ones(4, bool), rows, dim=6, noise=noise, seed=0) for noise in (0.0, 0.7))
    assert np.linalg.norm(noisy, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert np.all(np.sum(plain * noisy, axis=1) < 0.99)


def test_text_is_appended_right_after_each_history() -> None:
    tokens = torch.arange(6.0).view(2, 3, 1) + 1
    joined = appended(tokens, torch.tensor([3, 1]), torch.tensor([[[-1.0], [-2.0]], [[-3.0], [-4.0]]]))
    assert joined[..., 0].tolist() == [[1, 2, 3, -1, -2], [4, -3, -4, 0, 0]]


def test_queries_are_numbered_within_a_batch() -> None:
    distinct, index = queries_of(torch.tensor([[-1, 9], [4, 9]]))
    assert distinct.tolist() == [4, 9]
    assert index.tolist() == [[-1, 1], [0, 1]]
    assert queries_of(torch.tensor([[4, 4]]))[1].tolist() == [[0, 0]]


def test_the_learning_rate_warms_up_and_falls_to_its_final_rate() -> None:
    rates = [rate_at(step, 4, 20, 0.05) for step in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[12] == pytest.approx(0.05 + 0.95 / 2)
    assert rates[20] == pytest.approx(0.05)
    assert [rate_at(step, 4, 20, 1.0) for step in (3, 4, 12, 20)] == [1.0] * 4


def test_data_read_from_newer_versions_of_the_tables_are_the_same_data(planted: Planted) -> None:
    meta = read_meta(planted.data)
    assert version_of(planted.config, meta.model_copy(update={"tables": {"events": 99}})) == version_of(planted.config, meta)
    assert version_of(planted.config, meta.model_copy(update={"fingerprint": "other"})) != version_of(planted.config, meta)


def test_a_backbone_from_a_folder_leaves_no_trace_of_the_folder(planted: Planted, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["red wool scarf", "blue steel drill"], 300)
    tokenizer.save_pretrained(tmp_path / "backbone")
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, tie_word_embeddings=False,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "backbone")
    changed = tiny_config(backbone={"source": str(tmp_path / "backbone")}, steps=3, validate_every=3)
    folder = train(changed, planted.data, tmp_path / "encoders", progress=False)
    assert load_encoder(folder).model.backbone.config.model_type == "qwen3"
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert str(tmp_path) not in (folder / name).read_text()
    (tmp_path / "backbone" / "tokenizer_config.json").write_text("{}")
    assert version_of(changed, read_meta(planted.data)) != folder.name


GOLDEN_TRAINER = "6"
GOLDEN_LOSSES = {
    "action": 4.55454, "generation": 4.99746, "reconstruct_interest": 5.80209, "reconstruct_item": 5.74617, "visual": 0.62142,
}  # fmt: skip
GOLDEN_ACTION_WITH_OWN_ITEMS = 5.39215
GOLDEN_ACTION_SAMPLED = 4.26107


def test_golden_losses_guard_the_trainer_version(planted: Planted) -> None:
    """A change of these losses needs a new TRAINER_VERSION: the same configuration then trains another encoder."""
    data = read_training_data(planted.data, planted.config.encoder.event_types)
    own = {**planted.config.encoder.model_dump(), "use_own_items": True}
    with_own = tiny_config(encoder=own, softmax=SoftmaxConfig(repeats=True))
    configs = (planted.config, with_own, tiny_config(softmax=SoftmaxConfig(repeats=False, full_up_to=0, uniform=8)))
    losses, losses_with_own, sampled = (_of_two_steps(Run.of(config, data, progress=False)) for config in configs)
    assert TRAINER_VERSION == GOLDEN_TRAINER
    assert losses == pytest.approx(GOLDEN_LOSSES, rel=1e-3)
    assert losses_with_own["action"] == pytest.approx(GOLDEN_ACTION_WITH_OWN_ITEMS, rel=1e-3)
    assert sampled["action"] == pytest.approx(GOLDEN_ACTION_SAMPLED, rel=1e-3)


def test_the_appeal_of_own_items_starts_from_how_many_users_took_each(planted: Planted) -> None:
    data = read_training_data(planted.data, planted.config.encoder.event_types)
    own = {**planted.config.encoder.model_dump(), "use_own_items": True}
    run = Run.of(tiny_config(encoder=own, softmax=SoftmaxConfig(repeats=True)), data, progress=False)
    took: dict[int, set[int]] = {}
    for user, item, trained in zip(data.histories.users, data.histories.items, run.validation.split.trained, strict=True):
        if trained and item >= 0:
            took.setdefault(int(item), set()).add(int(user))
    takers = torch.tensor([len(took[item]) for item in sorted(took)])
    model = run.learner.model
    assert model.interest.own.appeal.abs().max() > 0.01
    assert torch.allclose(model.interest.own.appeal, appeal_of_takers(model.tower.collaborative.weight, takers), atol=1e-5)


def _of_two_steps(run: Run) -> dict[str, float]:
    run.step(1)
    return run.step(2)
