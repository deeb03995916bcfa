"""A finished root is enough for an ablation: its held-out data, its targets, and the configuration that was trained on them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.ablate import AblateArgs, configurations, main
from jobs.ablation_set import ASKED, TARGETS, claim, config_of, data_of, leave_targets
from jobs.errors import UsageError
from jobs.held_out_figures import read_histories
from karma.config import TrainingConfig
from karma.manifest import MANIFEST
from karma.training import train
from karma.training.arms import InterestPath
from karma.training.data import leave_files, read_meta
from karma.training.run import DivergedError
from karma.training.study import run_arm
from schemas import names
from tests.karma.planted import tiny_config, write_world


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, its data in two folders of which one has targets, and an encoder of other data."""
    root = tmp_path_factory.mktemp("root")
    for seed, config in ((0, tiny_config(steps=2, validate_every=2)), (1, tiny_config(steps=3, validate_every=3))):
        data = write_world(root / "training" / "data" / f"of-{seed}", seed=seed)
        train(config, data, root / "encoders", progress=False)
    users = read_histories(root / "training" / "data" / "of-0")
    leave_targets(root / "training" / "data" / "of-0", dict.fromkeys(users, "0-19"), {sorted(users)[0]: "drill"})
    return root


def test_data_with_targets_and_the_configuration_that_was_trained_on_them_are_found(root: Path) -> None:
    data = data_of(root)
    assert (data.name, read_meta(data).fingerprint) == ("of-0", "planted-0")
    assert config_of(root, data) == tiny_config(steps=2, validate_every=2)


def test_the_set_is_ablated_and_what_is_finished_is_not_run_again(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--set", str(root), "--out", str(tmp_path), "--arms", "action", "items", "--paths", "pool", "--seeds", "0", "1"]
    assert main(told) == names.EXIT_DONE
    left = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert sorted(left) == [f"tiny-pool-{arm}-{seed}.json" for arm in ("action", "items") for seed in (0, 1)]
    kept = np.load(tmp_path / "tiny-pool-action-0.npz")
    ranks = kept["ranks"]
    assert np.flatnonzero(kept["target_with_query"]).tolist() == [0], "users are in order, and the first one's target has a query"
    assert json.loads((tmp_path / "tiny-pool-action-0.json").read_text())["HR@10"] == np.mean(ranks <= 10)
    printed = capsys.readouterr().out
    assert "| items | 2 |" in printed
    assert "| popularity |  | 0.000 |" in printed  # the target is never taken: behind all of the 28 that its user did not take
    assert main(told) == names.EXIT_DONE
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")} == left


@pytest.mark.parametrize(
    ("file", "left"),
    [
        ("tiny-pool-action-0.npz", b"PK torn"), ("tiny-pool-action-0.npz", b""), ("tiny-pool-action-0.npz", None),
        ("tiny-pool-action-0.json", b'{"n": 4'), ("tiny-pool-action-0.json", b"{}"), ("baselines.npz", b"PK torn"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_a_run_is_made_again(root: Path, tmp_path: Path, file: str, left: bytes | None) -> None:
    told = ["--set", str(root), "--out", str(tmp_path), "--arms", "action", "--paths", "pool", "--seeds", "0"]
    assert main(told) == names.EXIT_DONE
    whole = (tmp_path / "table.md").read_text()
    if left is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(left)
    assert main(told) == names.EXIT_DONE
    assert (tmp_path / "table.md").read_text() == whole
    assert "popularity" in whole


def test_what_is_not_there_is_said(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    for flag, path, code in (
        ("--targets", tmp_path / "none", "[NO_TARGETS]"), ("--out", tmp_path / "file", "[NOT_A_FOLDER]"),
        ("--data", tmp_path / "none", "meta.json cannot be read"),
    ):  # fmt: skip
        assert main(["--set", str(root), "--out", str(tmp_path / "out"), "--paths", "pool", flag, str(path)]) != names.EXIT_DONE
        assert code in caplog.text
    assert not (tmp_path / "out").exists()


USER = pa.array(["0-0", "0-1"])
ITEM = pa.array(["0-19", "0-19"])


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"item_id": ITEM}, "[TARGETS_COLUMNS]"), ({"user_id": pa.array([1, 2]), "item_id": ITEM}, "[TARGETS_COLUMNS]"),
        ({"user_id": USER, "item_id": ITEM, "query": pa.array([1, 2])}, "[TARGETS_COLUMNS]"),
        ({"user_id": pa.array(["0-0", "0-0"]), "item_id": ITEM}, "[TARGETS_NOT_UNIQUE]"),
        ({"user_id": pa.array(["0-0", None]), "item_id": ITEM}, "[TARGETS_ROWS]"),
        ({"user_id": pa.array(["nobody", "none"]), "item_id": ITEM}, "no target can be ranked"),
        (None, "[NO_TARGETS] the targets cannot be read"),
    ],
    ids=["no user", "users as numbers", "queries as numbers", "a user twice", "a null", "of nobody", "a CSV"],
)  # fmt: skip
def test_targets_that_cannot_be_meant_are_refused(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, columns: dict[str, pa.Array] | None, code: str
) -> None:
    targets = tmp_path / "targets.parquet"
    if columns is None:
        targets.write_text("user_id,item_id\n0-0,0-19\n")
    else:
        pq.write_table(pa.table(columns), targets)
    told = ["--set", str(root), "--out", str(tmp_path / "out"), "--arms", "action", "--paths", "pool", "--targets", str(targets)]
    assert main(told) == names.EXIT_USAGE
    assert code in caplog.text
    assert not list((tmp_path / "out").glob("*.json"))


def test_an_encoder_that_cannot_be_read_or_has_other_settings_is_said(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged manifest of another encoder is left out; the settings of the one that counts may be those of another version."""
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    (copy / "encoders" / "damaged").mkdir()
    (copy / "encoders" / "damaged" / MANIFEST).write_text("{}")
    data = data_of(copy)
    assert config_of(copy, data) == tiny_config(steps=2, validate_every=2)
    assert "damaged" in caplog.text
    for path in copy.glob(f"encoders/*/{MANIFEST}"):
        path.write_text(path.read_text().replace('"patience"', '"endurance"'))
    with pytest.raises(UsageError, match=r"NO_CONFIG.*endurance"):
        config_of(copy, data)


def test_an_arm_that_a_path_cannot_train_is_refused_before_any_other_is_trained(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = ["--set", str(root), "--out", str(tmp_path / "out"), "--arms", "action", "generation", "--paths", "pool"]
    assert main(told) == names.EXIT_USAGE
    assert "[NO_SUCH_ARM]" in caplog.text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_a_seed_that_is_none_is_refused_as_a_seed(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: str) -> None:
    assert main(["--set", str(root), "--out", str(tmp_path / "out"), "--seeds", "0", seed]) == names.EXIT_USAGE
    assert "[NO_SEEDS]" in caplog.text
    assert not (tmp_path / "out").exists()


def test_a_run_with_a_word_for_a_number_is_made_again(root: Path, tmp_path: Path) -> None:
    told = ["--set", str(root), "--out", str(tmp_path), "--arms", "action", "--paths", "pool", "--seeds", "0"]
    assert main(told) == names.EXIT_DONE
    file, whole = tmp_path / "tiny-pool-action-0.json", (tmp_path / "table.md").read_text()
    file.write_text(json.dumps({**json.loads(file.read_text()), "HR@10": "oops"}))
    assert main(told) == names.EXIT_DONE
    assert (tmp_path / "table.md").read_text() == whole
    assert isinstance(json.loads(file.read_text())["HR@10"], float)


def test_histories_too_short_for_hidden_ends_are_refused(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two events each: a fifth of them is none."""
    copy = tmp_path / "short"
    shutil.copytree(root, copy)
    for part in data_of(copy).glob("histories/*.parquet"):
        rows = pq.read_table(part).to_pylist()
        short = [{name: value[:2] if isinstance(value, list) else value for name, value in row.items()} for row in rows]
        pq.write_table(pa.Table.from_pylist(short, pq.read_schema(part)), part)
    leave_files(data_of(copy))
    assert main(["--set", str(copy), "--out", str(tmp_path / "out"), "--hidden"]) == names.EXIT_USAGE
    assert "[NO_TARGETS]" in caplog.text


@pytest.mark.parametrize("told", [["--final-rate", "2"], ["--steps", "0"], ["--config", "conf/nowhere.toml"]])
def test_settings_that_are_none_are_refused_as_such(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, told: list[str]) -> None:
    assert main(["--set", str(root), "--out", str(tmp_path / "out"), *told]) == names.EXIT_USAGE
    assert "[NOT_A_CONFIG]" in caplog.text
    assert not (tmp_path / "out").exists()


def test_data_without_anything_that_the_path_could_read_are_refused(root: Path, tmp_path: Path) -> None:
    blind = tiny_config(encoder={"use_text": False, "use_collaborative": False}, objectives={"generation": 0.0})
    with pytest.raises(UsageError, match="no arm can be trained"):
        configurations(AblateArgs(out=tmp_path), blind, images=False)


def test_without_images_no_arm_reads_them(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    shutil.copytree(root / "training" / "data" / "of-0", data)
    catalogue = pq.read_table(data / "catalogue.parquet")
    place = catalogue.schema.get_field_index("features")
    blind = catalogue.set_column(place, catalogue.schema.field(place), pa.nulls(len(catalogue), catalogue.schema.field(place).type))
    pq.write_table(blind, data / "catalogue.parquet")

    def arms(paths: tuple[InterestPath, ...], *, images: bool) -> list[str]:
        args = AblateArgs(out=tmp_path, seeds=(0,), paths=paths)
        return [asked.name.split("-")[2] for asked in configurations(args, tiny_config(), images=images)]

    assert arms(("pool+lm",), images=False) == ["action", "generation", "reconstruction", "pair", "items", "text"]
    assert arms(("pool+lm",), images=True)[-3:] == ["images_read", "images", "images_diffusion"]
    assert configurations(AblateArgs(out=tmp_path, seeds=(0,), final_rate=0.5), tiny_config(), images=False)[0].final_rate == 0.5
    assert arms(("pool",), images=False) == ["action", "reconstruction", "items", "text"]
    config = tmp_path / "tiny.toml"
    config.write_text('name = "tiny"')
    told = ["--data", str(data), "--config", str(config), "--out", str(tmp_path / "out"), "--arms", "text", "images"]
    assert main(told) == names.EXIT_USAGE
    assert "[NO_IMAGES]" in caplog.text
    assert not (tmp_path / "out").exists()


def test_the_log_says_which_arms_are_left_out_and_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    configurations(AblateArgs(out=tmp_path, seeds=(0,), paths=("blocks", "pool")), tiny_config(encoder={"dim": 16}), images=False)
    told = {record.message.split(": ")[0]: record.message for record in caplog.records}
    left_out = ["images_read", "images", "images_diffusion", "generation", "pair"]
    assert list(told) == [f"arm {arm} is left out" for arm in left_out]
    assert told["arm images is left out"].endswith("no item of the training data has an image")
    assert "path pool: " in told["arm generation is left out"]
    assert "use_lm is false" in told["arm generation is left out"]
    caplog.clear()
    configurations(AblateArgs(out=tmp_path, seeds=(0,), paths=("pool",), arms=("action",)), tiny_config(), images=False)
    assert not caplog.records


def test_an_arm_that_diverges_does_not_end_the_others(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def diverging(config: TrainingConfig, *rest: object, **more: object) -> object:
        if "-action-" in config.name:
            raise DivergedError("a loss of step 1 is not finite")
        return run_arm(config, *rest, **more)

    monkeypatch.setattr("jobs.ablate.run_arm", diverging)
    told = ["--set", str(root), "--out", str(tmp_path), "--arms", "action", "items", "--paths", "pool", "--seeds", "0"]
    assert main(told) == names.EXIT_FAILED
    assert "tiny-pool-action-0: a loss of step 1 is not finite" in caplog.text
    assert [path.name for path in tmp_path.glob("*.json")] == ["tiny-pool-items-0.json"]


def test_a_folder_with_runs_on_other_targets_is_refused(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = ["--set", str(root), "--out", str(tmp_path / "out"), "--arms", "action", "--paths", "pool", "--seeds", "0"]
    assert main(told) == names.EXIT_DONE
    left = sorted((tmp_path / "out").iterdir())
    other = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(data_of(root) / TARGETS).slice(0, 1), other)
    assert main([*told, "--targets", str(other)]) == names.EXIT_USAGE
    assert "[OTHER_SET]" in caplog.text
    assert main([*told, "--hidden"]) == names.EXIT_USAGE
    assert sorted((tmp_path / "out").iterdir()) == left


def test_targets_that_their_users_had_are_refused_before_a_folder_is_made(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = tmp_path / "seen.parquet"
    pq.write_table(pa.table({"user_id": ["u00"], "item_id": ["0-1"]}), seen)
    told = ["--set", str(root), "--out", str(tmp_path / "out"), "--arms", "action", "--paths", "pool", "--seeds", "0"]
    assert main([*told, "--targets", str(seen)]) == names.EXIT_USAGE
    assert "[NO_TARGETS]" in caplog.text
    assert not (tmp_path / "out").exists()


def test_a_folder_with_runs_of_another_configuration_is_refused_and_what_differs_is_named(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = ["--set", str(root), "--out", str(tmp_path / "out"), "--paths", "pool"]
    assert main([*told, "--arms", "action", "--seeds", "0"]) == names.EXIT_DONE
    left = sorted((tmp_path / "out").iterdir())
    assert main([*told, "--arms", "items", "--seeds", "0", "--steps", "1"]) == names.EXIT_USAGE
    assert "[OTHER_SET] the runs in this folder are of another configuration (" in caplog.text
    assert "expected: {'configuration.steps': 1}; got: {'configuration.steps': 2}" in caplog.text
    assert sorted((tmp_path / "out").iterdir()) == left
    assert main([*told, "--arms", "items", "--seeds", "1", "--steps", "2"]) == names.EXIT_DONE, "the same configuration, said otherwise"
    assert (tmp_path / "out" / "tiny-pool-items-1.json").is_file()


def test_an_edited_configuration_and_another_way_of_judging_are_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, config = data_of(root), tiny_config()
    claim(tmp_path, config, data, None)
    claim(tmp_path, config, data, None)
    with pytest.raises(UsageError, match=r"another configuration .*'configuration.softmax.repeats': True"):
        claim(tmp_path, config.model_copy(update={"softmax": config.softmax.model_copy(update={"repeats": True})}), data, None)
    monkeypatch.setattr("jobs.ablation_set.JUDGE_VERSION", -1)
    with pytest.raises(UsageError, match=r"are of another version of the code \("):
        claim(tmp_path, config, data, None)


def test_a_folder_that_was_claimed_by_a_name_alone_is_refused_in_few_words(root: Path, tmp_path: Path) -> None:
    (tmp_path / ASKED).write_text(json.dumps({"configuration": "tiny", "data": "planted-0", "targets": "hidden items"}))
    with pytest.raises(UsageError, match=r"another version of the code, another configuration; [0-9]+ more settings differ") as refused:
        claim(tmp_path, tiny_config(), data_of(root), None)
    assert len(str(refused.value)) < 1000


def test_a_root_without_targets_or_an_encoder_is_refused_with_what_to_do(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["--set", str(tmp_path), "--out", str(tmp_path / "out")]) == names.EXIT_USAGE
    assert "[NO_SET]" in caplog.text
    assert TARGETS in caplog.text
    assert main(["--out", str(tmp_path / "out")]) == names.EXIT_USAGE
    other = write_world(tmp_path / "training" / "data" / "of-2", seed=2)
    with pytest.raises(UsageError, match="NO_CONFIG"):
        config_of(tmp_path, other)
