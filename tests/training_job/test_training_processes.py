"""How a job starts training, and what it says where training ends early. The processes of Spark: tests/cluster."""

from pathlib import Path
from typing import Any

import pytest

from jobs import train_encoder
from jobs.errors import JobError
from jobs.places import Places
from jobs.stage import Context
from jobs.training_processes import last_words, train_encoder_of
from karma.artefact import artefact_digest
from karma.training import train
from schemas import names
from tests.karma.planted import tiny_config, write_world
from tests.promises.world import RUN_AT


def context_at(root: Path) -> Context:
    no_session: Any = None
    return Context(spark=no_session, places=Places(str(root)), run_at=RUN_AT)


def test_one_process_needs_no_spark(tmp_path: Path) -> None:
    config, data = tiny_config(steps=2, validate_every=2), write_world(tmp_path / "data")
    folder = train_encoder_of(context_at(tmp_path / "root"), config, data)
    assert folder.parent == tmp_path / "root" / "encoders"
    assert (tmp_path / "root" / "training" / folder.name / "log.jsonl").is_file()
    assert artefact_digest(folder) == artefact_digest(train(config, data, tmp_path / "other" / "encoders", progress=False))


def test_a_collapse_is_an_error_of_the_job(tmp_path: Path) -> None:
    config = tiny_config(steps=2, validate_every=2, learning_warm_up=1, guard={"highest_cosine": -1.0, "fewest_vectors": 10})
    with pytest.raises(JobError, match=r"\[TRAINING_STOPPED\] training has collapsed at step 2: the mean cosine"):
        train_encoder_of(context_at(tmp_path / "root"), config, write_world(tmp_path / "data"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Command [...] failed\n[rank0]: karma.training.guard.CollapseError: collapsed\nRuntimeError: peer", "CollapseError: collapsed"),
        ("RuntimeError: connection closed\n[rank1]: karma.training.step.DivergedError: nan", "DivergedError: nan"),
        ("[rank1]: Traceback\nMemoryError: 2 GB\ntorch.distributed.elastic.ChildFailedError: 2", "MemoryError: 2 GB"),
        ("it failed\nwith return code 9\n", "with return code 9"),
    ],
)
def test_the_error_that_says_most_is_told(said: str, expected: str) -> None:
    assert last_words(said) == expected


def test_no_process_is_a_usage_error(tmp_path: Path) -> None:
    arguments = ["--root", str(tmp_path), "--trained-until", "2026-03-01", "--processes", "0"]
    assert train_encoder.main(arguments) == names.EXIT_USAGE
