"""Training in two processes that Spark starts: on the driver, and as barrier tasks, the way of a cluster."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.training_processes import distributor_of, train_by
from karma.artefact import artefact_digest
from karma.config import TrainingConfig
from karma.training import train
from tests.karma.planted import tiny_config, write_world


def config(**changes: object) -> TrainingConfig:
    return tiny_config(**{"steps": 4, "validate_every": 2, "threads": 1, **changes}).for_processes(2)


@pytest.mark.parametrize("on_driver", [True, False], ids=["on the driver", "as barrier tasks"])
def test_two_processes_make_the_artefact_of_one(on_driver: bool, spark: SparkSession, tmp_path: Path) -> None:
    data = write_world(tmp_path / "data")
    distributor = distributor_of(spark, 2, on_driver=on_driver)
    folder = train_by(distributor, config(), data, tmp_path / "encoders", tmp_path / "training")
    assert folder.parent == tmp_path / "encoders"
    assert artefact_digest(folder) == artefact_digest(train(config(), data, tmp_path / "one" / "encoders", progress=False))


def test_a_collapse_in_a_process_is_an_error_of_the_job(spark: SparkSession, tmp_path: Path) -> None:
    collapsing = config(learning_warm_up=1, guard={"highest_cosine": -1.0, "fewest_vectors": 10})
    distributor, data = distributor_of(spark, 2, on_driver=True), write_world(tmp_path / "data")
    with pytest.raises(JobError, match=r"\[TRAINING_STOPPED\] CollapseError: training has collapsed at step 2: the mean cosine"):
        train_by(distributor, collapsing, data, tmp_path / "encoders", tmp_path / "training")
