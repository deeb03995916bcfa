"""Each objective against a loop written from its formula."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from karma.objectives.action import Exposed, Temperature, info_nce, sampling_log_q
from karma.objectives.generation import generation_loss
from karma.objectives.reconstruction import reconstruction_loss
from karma.objectives.visual import visual_loss

ROWS, CANDIDATES, DIM, SCALE = 5, 7, 4, 3.0


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def unit(*shape: int, random: torch.Generator) -> Tensor:
    vectors = torch.randn(*shape, generator=random)
    return vectors / vectors.norm(dim=-1, keepdim=True)


def cosine(u: Tensor, e: Tensor) -> float:
    return sum(float(a) * float(b) for a, b in zip(u, e, strict=True))


def loop_info_nce(u: Tensor, e: Tensor, target: Tensor, log_q: Tensor, masked: Tensor, exposed: list[list[Tensor]] | None = None) -> float:
    """``exposed``: the vectors of each row's own negatives."""
    total = 0.0
    for row in range(len(u)):
        logits = {}
        for column in range(len(e)):
            if column == target[row] or not masked[row, column]:
                logits[column] = SCALE * cosine(u[row], e[column]) - float(log_q[column])
        partition = sum(math.exp(value) for value in logits.values())
        partition += sum(math.exp(SCALE * cosine(u[row], vector)) for vector in (exposed[row] if exposed else []))
        total -= math.log(math.exp(logits[int(target[row])]) / partition)
    return total / len(u)


def test_info_nce_with_log_q_and_masks(random: torch.Generator) -> None:
    u, e = unit(ROWS, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    target = torch.randint(CANDIDATES, (ROWS,), generator=random)
    log_q = torch.randn(CANDIDATES, generator=random)
    masked = torch.rand(ROWS, CANDIDATES, generator=random) < 0.4
    masked[0] = True
    expected = loop_info_nce(u, e, target, log_q, masked)
    assert info_nce(u, e, target, SCALE, log_q=log_q, masked=masked).item() == pytest.approx(expected, abs=1e-5)


def test_info_nce_without_correction_or_mask(random: torch.Generator) -> None:
    u, e = unit(ROWS, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    target = torch.tensor([0, 1, 2, 3, 3])
    expected = loop_info_nce(u, e, target, torch.zeros(CANDIDATES), torch.zeros(ROWS, CANDIDATES, dtype=torch.bool))
    assert info_nce(u, e, target, SCALE).item() == pytest.approx(expected, abs=1e-5)


def test_info_nce_of_several_targets_shares_the_loss(random: torch.Generator) -> None:
    """A row's loss is the shares' mean of the losses of its targets, none of which is masked for another."""
    u, e = unit(ROWS, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    log_q, masked = torch.randn(CANDIDATES, generator=random), torch.rand(ROWS, CANDIDATES, generator=random) < 0.4
    shares = torch.zeros(ROWS, CANDIDATES)
    baskets = [[0], [1, 4], [2, 3, 6], [5], [0, 6]]
    for row, basket in enumerate(baskets):
        shares[row, basket] = 1 / len(basket)
        masked[row, basket] = False
    loops = [
        sum(loop_info_nce(u[[row]], e, torch.tensor([item]), log_q, masked[[row]]) for item in basket) / len(basket)
        for row, basket in enumerate(baskets)
    ]
    masked_too = masked | (shares > 0)  # that a target is masked must not matter
    for mask in (masked, masked_too):
        assert info_nce(u, e, shares, SCALE, log_q=log_q, masked=mask).item() == pytest.approx(sum(loops) / ROWS, abs=1e-5)


def some_exposed(counts: list[int], random: torch.Generator) -> tuple[Exposed, list[list[Tensor]]]:
    """As many vectors for each row, in a padded rectangle and as lists; padding anywhere in a row, and filled with what must not count."""
    vectors = unit(len(counts), 4, DIM, random=random)
    real = torch.stack([torch.randperm(4, generator=random) < count for count in counts])
    return Exposed(vectors=vectors, real=real), [list(vectors[row][real[row]]) for row in range(len(counts))]


@pytest.mark.parametrize("seed", range(5))
def test_exposed_items_are_negatives_of_their_own_row_without_log_q(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    u, e = unit(ROWS, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    target = torch.randint(CANDIDATES, (ROWS,), generator=random)
    log_q, masked = torch.randn(CANDIDATES, generator=random), torch.rand(ROWS, CANDIDATES, generator=random) < 0.4
    exposed, lists = some_exposed([0, 1, 2, 3, 4], random)
    expected = loop_info_nce(u, e, target, log_q, masked, lists)
    assert info_nce(u, e, target, SCALE, log_q=log_q, masked=masked, exposed=exposed).item() == pytest.approx(expected, abs=1e-5)
    shares = torch.nn.functional.one_hot(target, CANDIDATES).float()
    assert info_nce(u, e, shares, SCALE, log_q=log_q, masked=masked, exposed=exposed).item() == pytest.approx(expected, abs=1e-5)
    assert expected > loop_info_nce(u, e, target, log_q, masked)


def test_exposed_items_of_a_basket_are_told_from_each_of_its_items(random: torch.Generator) -> None:
    u, e = unit(ROWS, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    shares = torch.zeros(ROWS, CANDIDATES)
    baskets = [[0], [1, 4], [2, 3, 6], [5], [0, 6]]
    for row, basket in enumerate(baskets):
        shares[row, basket] = 1 / len(basket)
    exposed, lists = some_exposed([4, 3, 0, 1, 2], random)
    nothing = torch.zeros(CANDIDATES), torch.zeros(1, CANDIDATES, dtype=torch.bool)
    loops = [
        sum(loop_info_nce(u[[row]], e, torch.tensor([item]), *nothing, [lists[row]]) for item in basket) / len(basket)
        for row, basket in enumerate(baskets)
    ]
    assert info_nce(u, e, shares, SCALE, exposed=exposed).item() == pytest.approx(sum(loops) / ROWS, abs=1e-5)


def test_the_gradient_of_an_exposed_item_is_its_probability(random: torch.Generator) -> None:
    """d L / d <u, e_x> = scale * p(x): it pushes u away from what was passed over; padding is not pushed."""
    u, e = unit(1, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    exposed, _ = some_exposed([2], random)
    exposed.vectors.requires_grad_()
    loss = info_nce(u, e, torch.tensor([0]), SCALE, exposed=exposed)
    loss.backward()
    logits = [SCALE * cosine(u[0], vector) for vector in e]
    shown = [SCALE * cosine(u[0], vector) for vector in exposed.vectors[0].detach()]
    partition = sum(math.exp(value) for value in logits) + sum(
        math.exp(value) for value, real in zip(shown, exposed.real[0], strict=True) if real
    )
    for vector, value, real in zip(exposed.vectors.grad[0], shown, exposed.real[0], strict=True):
        torch.testing.assert_close(vector, SCALE * math.exp(value) / partition * u[0] * real, rtol=1e-4, atol=1e-6)


def test_a_row_whose_negatives_are_all_masked_has_no_loss(random: torch.Generator) -> None:
    u, e = unit(1, DIM, random=random), unit(CANDIDATES, DIM, random=random)
    masked = torch.ones(1, CANDIDATES, dtype=torch.bool)
    assert info_nce(u, e, torch.tensor([2]), SCALE, masked=masked).item() == pytest.approx(0.0, abs=1e-6)


def test_info_nce_of_no_rows_is_zero_and_has_a_gradient() -> None:
    u = torch.zeros(0, DIM, requires_grad=True)
    loss = info_nce(u, torch.eye(DIM), torch.zeros(0, dtype=torch.int64), SCALE)
    loss.backward()
    assert loss.item() == 0.0


def test_sampling_log_q_is_the_share_of_batches_that_hold_an_item() -> None:
    """Targets by popularity and uniform draws, each item once a batch, as the trainer's candidates."""
    random, batches = np.random.default_rng(0), 20_000
    popularity = np.array([0.5, 0.3, 0.1, 0.08, 0.02, 0.0])
    targets = random.choice(6, p=popularity, size=(batches, 4))
    uniform = random.integers(0, 6, (batches, 3))
    share = [((targets == item).any(1) | (uniform == item).any(1)).mean() for item in range(6)]
    log_q = sampling_log_q(torch.as_tensor(popularity), batch_targets=4, uniform=3, corpus=6)
    assert log_q.exp().tolist() == pytest.approx(share, abs=0.015)
    certain = sampling_log_q(torch.tensor([0.9, 0.1]), batch_targets=1000, uniform=0, corpus=1)
    assert certain.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_sampled_candidates_with_log_q_estimate_the_full_partition(random: torch.Generator) -> None:
    """Averaged over many samples of distinct items, the corrected sum of exponentials is that of the whole corpus, however often the
    popular ones are drawn."""
    corpus, uniform, targets = 50, 10, 20
    scores, popularity = torch.randn(corpus, generator=random), torch.arange(corpus, 0, -1.0) ** 3
    popularity /= popularity.sum()
    sums = []
    for _ in range(4000):
        taken = torch.multinomial(popularity, targets, replacement=True, generator=random)
        drawn = torch.unique(torch.cat([taken, torch.randint(corpus, (uniform,), generator=random)]))
        log_q = sampling_log_q(popularity[drawn], batch_targets=targets, uniform=uniform, corpus=corpus)
        sums.append((scores[drawn] - log_q).exp().sum())
    assert torch.stack(sums).mean().item() == pytest.approx(scores.exp().sum().item(), rel=0.02)


@pytest.mark.parametrize(("start", "inverse"), [(0.07, 1 / 0.07), (0.001, 100.0), (5.0, 1.0)])
def test_temperature_stays_within_its_bounds(start: float, inverse: float) -> None:
    temperature = Temperature(start)
    temperature.keep_within()
    assert temperature().item() == pytest.approx(inverse, rel=1e-5)


@pytest.mark.parametrize(("start", "away"), [(1.0, -1.0), (0.01, 1.0)])
def test_a_temperature_comes_back_from_its_limit(start: float, away: float) -> None:
    """Pushed against a limit for a while, it leaves it at the first push the other way."""
    temperature = Temperature(start)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=0.1)
    for push in [away] * 5 + [-away]:
        optimiser.zero_grad()
        (-push * temperature().log()).backward()
        optimiser.step()
        temperature.keep_within()
    assert temperature().item() == pytest.approx(math.exp(-0.1 * away) / start, rel=1e-5)


def loop_cross_entropy(states: Tensor, first: list[int], head: Tensor, tokens: Tensor, mask: Tensor) -> float:
    total, count = 0.0, 0
    for row in range(len(tokens)):
        for step in range(tokens.shape[1]):
            if mask[row, step]:
                logits = [float(head[word] @ states[row, first[row] + step]) for word in range(len(head))]
                total += math.log(sum(math.exp(value) for value in logits)) - logits[int(tokens[row, step])]
                count += 1
    return total / count


def test_generation_reads_from_the_end_of_each_history(random: torch.Generator) -> None:
    states, head = torch.randn(3, 9, 4, generator=random), torch.randn(6, 4, generator=random)
    tokens = torch.randint(6, (3, 3), generator=random)
    mask = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
    first = [5, 0, 6]
    expected = loop_cross_entropy(states, first, head, tokens, mask)
    assert generation_loss(states, torch.tensor(first), head, tokens, mask).item() == pytest.approx(expected, abs=1e-5)


def test_reconstruction_reads_from_the_last_prefix_token(random: torch.Generator) -> None:
    states, head = torch.randn(2, 3 + 4, 5, generator=random), torch.randn(6, 5, generator=random)
    tokens = torch.randint(6, (2, 4), generator=random)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    expected = loop_cross_entropy(states, [2, 2], head, tokens, mask)
    assert reconstruction_loss(states, 3, head, tokens, mask).item() == pytest.approx(expected, abs=1e-5)


def test_no_text_at_all_is_no_loss() -> None:
    states = torch.ones(2, 4, 3, requires_grad=True)
    loss = reconstruction_loss(states, 1, torch.ones(5, 3), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0


def test_visual_loss_counts_only_rows_with_an_image() -> None:
    predicted = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 3.0]])
    features = torch.tensor([[0.0, 0.0], [9.0, 9.0], [3.0, 1.0]])
    expected = (1**2 + 2**2 + 0**2 + 2**2) / (2 * 2)
    assert visual_loss(predicted, features, torch.tensor([True, False, True])).item() == pytest.approx(expected)
    assert visual_loss(predicted, features, torch.zeros(3, dtype=torch.bool)).item() == 0.0
