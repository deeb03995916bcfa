"""The collapse guard: each measure provoked, in real runs and by figures at the limits."""

import re
from collections.abc import Mapping

import pytest
import torch

from karma.config import GuardConfig, TrainingConfig
from karma.training import CollapseError
from karma.training.data import read_training_data
from karma.training.guard import refuse_collapse
from karma.training.run import Run
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

SOUND = {
    "step": 100, "action": 4.0, "negatives": 30.0, "candidates": 40,
    "effective_rank_items": 3.0, "effective_rank_interests": 3.0, "mean_cosine_items": 0.94, "mean_cosine_interests": 0.94,
}  # fmt: skip
MANY = {"items": 500, "interests": 200}


def judge(config: TrainingConfig | None = None, vectors: Mapping[str, int] = MANY, **figures: float) -> None:
    refuse_collapse(config or tiny_config(), {**SOUND, **figures}, vectors)


def test_what_sound_runs_reach_is_left_alone() -> None:
    judge()
    judge(effective_rank_items=180.0, mean_cosine_interests=0.1, negatives=39.0)


@pytest.mark.parametrize(
    ("inside", "beyond", "limit"),
    [
        ({"negatives": 0.01 * 39 + 1e-6}, {"negatives": 0.01 * 39 - 1e-6}, "share of candidates that masks leave as negatives is 0.01"),
        ({"action": 1.1e-4}, {"action": 0.9e-4}, "action loss in nats is 9e-05, at least 0.0001"),
        ({"effective_rank_items": 1.51}, {"effective_rank_items": 1.49}, "effective rank of the item vectors is 1.49, at least 1.5"),
        ({"mean_cosine_interests": 0.994}, {"mean_cosine_interests": 0.996}, "two interest vectors is 0.996, at most 0.995"),
    ],
    ids=["negatives", "loss", "rank", "cosine"],
)
def test_each_measure_has_its_limit(inside: dict[str, float], beyond: dict[str, float], limit: str) -> None:
    """The message names step, measure, figure, limit and a hint."""
    judge(**inside)
    with pytest.raises(CollapseError, match=rf"step 100: .*{re.escape(limit)}.*Hint: .*\[guard\]"):
        judge(**beyond)
    judge(tiny_config(guard=GuardConfig(on=False)), **beyond)


def test_limits_are_the_configuration_s() -> None:
    strict = tiny_config(guard={"fewest_negatives": 0.9, "lowest_loss": 5.0, "lowest_rank": 4.0, "highest_cosine": 0.9})
    with pytest.raises(CollapseError) as refused:
        judge(strict)
    assert str(refused.value).count(" is sound") == 4


def test_a_start_is_not_judged() -> None:
    judge(tiny_config(learning_warm_up=101), mean_cosine_interests=1.0)
    with pytest.raises(CollapseError):
        judge(tiny_config(learning_warm_up=100), mean_cosine_interests=1.0)


def test_a_handful_of_vectors_is_not_judged() -> None:
    judge(vectors={"items": 99, "interests": 99}, mean_cosine_interests=1.0, effective_rank_items=1.0)
    judge(negatives=0.0, candidates=1)  # one item: there is nothing to mask
    with pytest.raises(CollapseError):
        judge(vectors={"items": 99, "interests": 100}, mean_cosine_interests=1.0)


def run_of(planted: Planted, **changes: object) -> Run:
    small = GuardConfig(fewest_vectors=10)
    config = tiny_config(**{"steps": 6, "validate_every": 3, "learning_warm_up": 3, "guard": small, **changes})
    return Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)


def test_a_run_whose_masks_hide_all_candidates_is_stopped(planted: Planted) -> None:
    run = run_of(planted)
    honest = run.sampler._masked
    run.sampler._masked = lambda *args: honest(*args) | True  # type: ignore[operator]
    with pytest.raises(CollapseError, match=r"step 3: the share of candidates that masks leave as negatives is 0, .*; the action loss"):
        run.fit(progress=False)


def test_a_run_with_one_vector_for_all_users_is_stopped(planted: Planted) -> None:
    run = run_of(planted)

    def one_vector(module: torch.nn.Module, args: object, vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(vectors * 1e-3 + torch.eye(vectors.shape[-1])[0], dim=-1)

    run.learner.model.interest.register_forward_hook(one_vector)
    with pytest.raises(CollapseError, match="step 3: the mean cosine of two interest vectors is 1, at most"):
        run.fit(progress=False)


def test_a_run_with_all_items_on_one_line_is_stopped(planted: Planted) -> None:
    run = run_of(planted)

    def on_a_line(module: torch.nn.Module, args: object, vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.eye(vectors.shape[-1])[0] * vectors[..., :1].sign() + vectors * 1e-3, dim=-1)

    run.learner.model.tower.register_forward_hook(on_a_line)
    with pytest.raises(CollapseError, match="the effective rank of the item vectors is 1"):
        run.fit(progress=False)


def test_a_run_whose_loss_is_0_is_stopped(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(planted)
    honest = type(run.learner).losses
    monkeypatch.setattr(
        type(run.learner), "losses", lambda learner, batch: {name: loss * 1e-9 for name, loss in honest(learner, batch).items()}
    )
    with pytest.raises(CollapseError, match="the action loss in nats"):
        run.fit(progress=False)


@pytest.mark.parametrize("off", [{"guard": GuardConfig(on=False)}, {"learning_warm_up": 9}], ids=["switched off", "warming up"])
def test_such_a_run_goes_on_where_nobody_guards(off: dict[str, object], planted: Planted) -> None:
    run = run_of(planted, **off)
    honest = run.sampler._masked
    run.sampler._masked = lambda *args: honest(*args) | True  # type: ignore[operator]
    run.fit(progress=False)
    assert run.progress is not None
    assert run.progress.log[-1]["negatives"] == 0
