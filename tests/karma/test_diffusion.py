"""The diffusion objective against a loop written from its formulas, and what its head is conditioned on."""

import math

import pytest
import torch
from torch import Tensor

from karma.model.denoiser import Denoiser, waves
from karma.objectives.diffusion import cosine_schedule, diffusion_loss

ROWS, COMPONENTS, DIM = 6, 3, 4


def energy(share: float) -> float:
    return math.cos((share + 0.008) / 1.008 * math.pi / 2) ** 2


def test_the_schedule_at_its_ends_and_half_way() -> None:
    kept = cosine_schedule(1000)
    assert len(kept) == 1000
    assert kept[0].item() == pytest.approx(energy(1 / 1000) / energy(0), abs=1e-6)
    assert kept[499].item() == pytest.approx(energy(0.5) / energy(0), abs=1e-6)
    assert kept[499].item() == pytest.approx(0.4938, abs=1e-4)
    assert kept[998].item() == pytest.approx(energy(0.999) / energy(0), rel=1e-3)
    assert kept[999].item() == pytest.approx(0.001 * kept[998].item(), rel=1e-3)  # beta = 1 would leave nothing: it is cut at 0.999
    assert (kept.diff() < 0).all()


def test_a_schedule_of_two_steps_by_hand() -> None:
    """beta_1 = 1 - cos^2(0.508/1.008 90 deg) / cos^2(0.008/1.008 90 deg), beta_2 = 0.999."""
    first = energy(0.5) / energy(0)
    assert cosine_schedule(2).tolist() == pytest.approx([first, first * 0.001], rel=1e-5)


def loop_diffusion(denoise: Tensor, features: Tensor, has_visual: list[bool], kept: list[float], noise: Tensor) -> float:
    """``denoise`` [c, c] is a linear map of the noisy features, scaled by the row's step."""
    total, rows = 0.0, 0
    for row, (has_image, energy_kept) in enumerate(zip(has_visual, kept, strict=True)):
        if not has_image:
            continue
        rows += 1
        noisy = [
            math.sqrt(energy_kept) * float(features[row, k]) + math.sqrt(1 - energy_kept) * float(noise[row, k]) for k in range(COMPONENTS)
        ]
        for k in range(COMPONENTS):
            predicted = (1 + row) * sum(float(denoise[k, j]) * noisy[j] for j in range(COMPONENTS))
            total += (float(noise[row, k]) - predicted) ** 2
    return total / (COMPONENTS * rows)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_the_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    features, noise = (torch.randn(ROWS, COMPONENTS, generator=random) for _ in range(2))
    denoise = torch.randn(COMPONENTS, COMPONENTS, generator=random)
    has_visual = torch.tensor([True, False, True, True, False, True])
    schedule = torch.linspace(0.9, 0.1, 10)
    steps = torch.randint(10, (ROWS,), generator=random)

    def denoiser(noisy: Tensor, at: Tensor) -> Tensor:
        assert at.tolist() == steps.tolist()
        return noisy @ denoise.T * torch.arange(1, ROWS + 1)[:, None]

    found = diffusion_loss(denoiser, features, has_visual, schedule=schedule, steps=steps, noise=noise)
    expected = loop_diffusion(denoise, features, has_visual.tolist(), schedule[steps].tolist(), noise)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_rows_without_an_image_have_no_loss() -> None:
    scale = torch.ones(1, requires_grad=True)
    loss = diffusion_loss(
        lambda noisy, _: noisy * scale, torch.ones(2, 3), torch.zeros(2, dtype=torch.bool), schedule=cosine_schedule(5),
        steps=torch.tensor([0, 4]), noise=torch.ones(2, 3),
    )  # fmt: skip
    loss.backward()
    assert loss.item() == 0.0
    assert scale.grad is not None
    assert scale.grad.item() == 0.0


def test_who_knows_the_features_tells_the_noise() -> None:
    """``(x_t - sqrt(abar) x) / sqrt(1 - abar)`` is the noise: the loss can fall to 0 where the condition says all."""
    random = torch.Generator().manual_seed(0)
    features, noise = (torch.randn(ROWS, COMPONENTS, generator=random) for _ in range(2))
    schedule, steps = cosine_schedule(50), torch.randint(5, 50, (ROWS,), generator=random)
    kept = schedule[steps][:, None]
    everyone = torch.ones(ROWS, dtype=torch.bool)
    known = {"schedule": schedule, "steps": steps, "noise": noise}
    told = diffusion_loss(lambda noisy, _: (noisy - kept.sqrt() * features) / (1 - kept).sqrt(), features, everyone, **known)
    assert told.item() == pytest.approx(0.0, abs=1e-8)
    untold = diffusion_loss(lambda noisy, _: noisy * 0, features, everyone, **known)
    assert untold.item() == pytest.approx(float(noise.square().mean()), rel=1e-5)


def test_waves_of_steps_by_hand() -> None:
    found = waves(torch.tensor([0, 3]), 2)
    assert found[0].tolist() == [0, 0, 1, 1]
    expected = [math.sin(3), math.sin(3 / 100), math.cos(3), math.cos(3 / 100)]  # frequencies 1 and 10,000^(-1/2)
    assert found[1].tolist() == pytest.approx(expected, abs=1e-6)


def test_what_the_head_says_depends_on_vector_step_and_features() -> None:
    torch.manual_seed(0)
    head = Denoiser(dim=DIM, components=COMPONENTS, width=8)
    given = {"vectors": torch.randn(1, DIM), "noisy": torch.randn(1, COMPONENTS), "steps": torch.tensor([7])}
    said = head(**given)
    assert said.shape == (1, COMPONENTS)
    for name, value in given.items():
        assert not torch.allclose(head(**{**given, name: value + 1}), said)
