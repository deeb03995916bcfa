"""One step: what it tells of itself, and how it puts micro-batches together."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from karma.config import ObjectiveConfig, SoftmaxConfig
from karma.token_kinds import PADDING
from karma.training.batches import Batch, BatchSampler, Windows
from karma.training.data import NO_ITEM, NO_QUERY, Ints, read_training_data
from karma.training.examples import NO_TARGET, split
from karma.training.group import Group
from karma.training.negatives import surviving_negatives
from karma.training.run import Run
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config
from tests.karma.test_batches import USERS
from tests.karma.test_examples import histories_of


def drawn(softmax: SoftmaxConfig, *, corpus: int = 6) -> Batch:
    histories = histories_of(USERS)
    examples = split(histories, strict=True, repeats=softmax.repeats, share=0.1, seed=0)
    return BatchSampler(histories, examples, tiny_config(softmax=softmax), corpus).draw()


@pytest.mark.parametrize(
    "softmax",
    [
        SoftmaxConfig(repeats=True),
        SoftmaxConfig(repeats=False),
        SoftmaxConfig(repeats=True, mask_window=True),
        SoftmaxConfig(repeats=False, mask_window=True, full_up_to=3, uniform=2),
    ],
    ids=["nothing masked", "seen", "window", "sampled"],
)
def test_surviving_negatives_are_counted_row_by_row(softmax: SoftmaxConfig) -> None:
    batch = drawn(softmax)
    counts = []
    for row, target in enumerate(batch.targets.ravel()):
        if target != NO_TARGET:
            masked = [False] * len(batch.candidates) if batch.masked is None else batch.masked[row]
            counts.append(sum(1 for item, hidden in zip(batch.candidates, masked, strict=True) if item != target and not hidden))
    assert surviving_negatives(batch) == pytest.approx(sum(counts) / len(counts))


def run_of(planted: Planted, **changes: object) -> Run:
    config = tiny_config(**changes)
    return Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)


def test_a_sample_that_happens_to_be_the_whole_corpus_is_still_corrected(planted: Planted) -> None:
    """The same candidates as a full softmax would have, and the loss of a sampled one, whose logits know how likely each is drawn."""
    run = run_of(planted, softmax={"full_up_to": 0, "uniform": 160}, collaborative_dropout=0.0)
    batch = run.sampler.draw()
    assert len(batch.candidates) == len(run.learner.tensors.rows)
    sampled, full = (run.learner.losses(asked)["action"].item() for asked in (batch, replace(batch, full=True)))
    assert abs(sampled - full) > 1e-4
    assert run.learner.losses(batch)["action"].item() == sampled


def test_no_step_leaves_the_temperature_beyond_its_limits(planted: Planted) -> None:
    run = run_of(planted, learning_rate=50.0, learning_warm_up=0, softmax={"temperature": 0.5})
    run.step(1)
    assert run.learner.temperature().item() in (pytest.approx(1.0), pytest.approx(100.0)), "a step that large passes a limit"


def test_a_step_tells_what_a_log_needs(planted: Planted) -> None:
    """Rate, temperature, and the gradients' norms as they were before clipping, by hand."""
    run = run_of(planted, clip=1e-3, learning_warm_up=4)
    run.step(1)
    facts = {name: float(value) for name, value in run.stepper.facts.items()}
    assert facts["learning_rate"] == pytest.approx(5e-3 * 1 / 4)
    assert facts["candidates"] == 40
    assert 0 < facts["negatives"] < 39
    assert facts["temperature"] == pytest.approx(0.07, rel=1e-5)
    for name, part in (("encoder", run.learner.model), ("decoders", run.learner.decoders)):
        clipped = math.sqrt(sum(float((weight.grad**2).sum()) for weight in part.parameters() if weight.grad is not None))
        assert clipped == pytest.approx(1e-3, rel=1e-3)
        assert facts[f"gradient_norm_{name}"] > 1e-2


def test_the_log_of_a_run_holds_it(planted: Planted) -> None:
    run = run_of(planted, steps=4, validate_every=2)
    run.fit(progress=False)
    assert run.progress is not None
    rates = [row["learning_rate"] for row in run.progress.log]
    assert rates == pytest.approx([5e-3 * 2 / 5, 5e-3 * 4 / 5])
    expected = {"negatives", "candidates", "temperature", "gradient_norm_encoder", "gradient_norm_decoders", "mean_cosine_interests"}
    assert all(expected <= set(row) for row in run.progress.log)


def test_a_constant_rate_stays_where_the_warm_up_left_it(planted: Planted) -> None:
    run = run_of(planted, steps=9, learning_warm_up=2, final_rate=1.0)
    for step in (8, 9):
        run.step(step)
        assert float(run.stepper.facts["learning_rate"]) == pytest.approx(5e-3)


def joined(first: Batch, second: Batch) -> Batch:
    """One batch of the windows of both, padded alike; the softmax is full, so both have the same candidates."""
    width = max(first.windows.items.shape[1], second.windows.items.shape[1])

    def padded(windows: Windows, name: str, padding: int) -> Ints:
        values = getattr(windows, name)
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=padding)

    paddings = {"events": -1, "items": NO_ITEM, "kinds": PADDING, "event_types": 0, "queries": NO_QUERY}
    columns = {
        name: np.concatenate([padded(first.windows, name, padding), padded(second.windows, name, padding)])
        for name, padding in paddings.items()
    }
    rows = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("positions", "targets", "masked")}
    lengths = np.concatenate([first.windows.lengths, second.windows.lengths])
    return replace(first, windows=Windows(**columns, lengths=lengths), **rows)


@dataclass
class Given:
    """A sampler that has its batches from the test."""

    batches: list[Batch]
    place: int = 0

    def seek(self, step: int, micro_batch: int) -> None:
        self.place = micro_batch

    def draw(self) -> Batch:
        return self.batches[self.place]


def gradients(run: Run, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """Of one step, from weights at which the language model's path is open (it starts at 0)."""
    torch.manual_seed(0)
    for name, weight in run.learner.model.interest.named_parameters():
        if "residual" in name and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    run.stepper.sampler = Given(batches)  # type: ignore[assignment]
    run.step(1)
    named = [(name, weight) for part in run.learner.parts for name, weight in part.named_parameters()]
    return {name: weight.grad.clone() for name, weight in named if weight.grad is not None}


def test_micro_batches_give_the_gradient_of_the_batch_that_holds_them(planted: Planted) -> None:
    """Without random dropout, and with one loss a window, so that the mean of means is the mean."""
    still = {
        "objectives": ObjectiveConfig(generation=0, reconstruct_interest=0, reconstruct_item=0, visual=0),
        "positions": 1, "collaborative_dropout": 0.0, "event_dropout": 0.0, "clip": 1e9,
    }  # fmt: skip
    small, large = run_of(planted, accumulate=2, windows=4, **still), run_of(planted, windows=8, **still)
    small.sampler.seek(1, 0)
    first = small.sampler.draw()
    small.sampler.seek(1, 1)
    second = small.sampler.draw()
    assert not np.array_equal(first.windows.lengths, second.windows.lengths)
    expected, found = gradients(large, [joined(first, second)]), gradients(small, [first, second])
    assert found.keys() == expected.keys()
    assert {name.partition(".")[0] for name, gradient in expected.items() if gradient.any()} >= {"backbone", "tower", "interest"}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()), msg=name)


def test_losses_and_counts_are_means_over_the_micro_batches(planted: Planted) -> None:
    """Against two runs of one micro-batch each, from the same weights and with the same draws."""
    sampled = {"softmax": {"full_up_to": 0, "uniform": 8, "repeats": False}}
    both = run_of(planted, accumulate=2, **sampled)
    alone = []
    for micro_batch in range(2):
        run = run_of(planted, **sampled)
        seek = run.stepper._seek
        run.stepper._seek = lambda step, _, place=micro_batch, seek=seek: seek(step, place)  # type: ignore[method-assign]
        alone.append((run.step(1), run.stepper.facts))
    told = both.step(1)
    for name, value in told.items():
        assert value == pytest.approx((alone[0][0][name] + alone[1][0][name]) / 2, rel=1e-6)
        assert alone[0][0][name] != alone[1][0][name]
    for name in ("negatives", "candidates"):
        assert both.stepper.facts[name] == pytest.approx((alone[0][1][name] + alone[1][1][name]) / 2)


@pytest.mark.parametrize(("accumulate", "processes", "raised"), [(1, 1, 1), (1, 2, 2), (2, 2, 2), (3, 2, 4), (8, 4, 8), (5, 4, 8)])
def test_each_process_has_as_many_micro_batches(accumulate: int, processes: int, raised: int) -> None:
    config = tiny_config(accumulate=accumulate).for_processes(processes)
    assert config.accumulate == raised
    shares = [list(Group(rank=rank, size=processes).share(raised)) for rank in range(processes)]
    assert {len(share) for share in shares} == {raised // processes}
    assert sorted(number for share in shares for number in share) == list(range(raised))


def test_no_target_of_a_basket_is_a_negative() -> None:
    shares = np.array([[0.5, 0.5, 0, 0], [0, 0, 0, 1.0], [0, 0, 0, 0]], np.float32)
    masked = np.array([[False, True, True, False], [True, False, False, False], [False] * 4])
    batch = replace(drawn(SoftmaxConfig()), targets=np.array([[0], [3], [-1]]), candidates=np.arange(4), masked=masked, shares=shares)
    assert surviving_negatives(batch) == (1 + 2) / 2  # the row without a target does not count
