"""Which parameters learn how fast, how the rate falls, and the optimiser's state as named tensors."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

from karma.training.losses import Learner

BETAS = (0.9, 0.98)


def optimiser_of(learner: Learner) -> torch.optim.AdamW:
    """AdamW over all that the learner trains; see ``parameter_groups``."""
    return torch.optim.AdamW(parameter_groups(learner), lr=learner.config.learning_rate, betas=BETAS, fused=True)


def rate_at(step: int, warm_up: int, steps: int, final: float) -> float:
    """Factor on the learning rate: linear from 0 over the warm-up, then a half cosine down to ``final``."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Let every group learn at ``factor`` of its own rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of the optimiser's tensors as ``<parameter number>.<name>``, numbered over its groups in order."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().clone().contiguous()
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Set the state to what ``optimiser_tensors`` returned."""
    state: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state[int(number)][name] = value
    optimiser.load_state_dict({"state": dict(state), "param_groups": optimiser.state_dict()["param_groups"]})


def parameter_groups(learner: Learner) -> list[dict[str, object]]:
    """One group a learning rate and decay: only matrices that map vectors decay, never tables, kernels, gates or norms.

    What does not learn (a frozen backbone) is in none, and has no optimiser state.
    """
    config = learner.config
    matrices = {id(module.weight) for part in learner.parts for module in part.modules() if isinstance(module, nn.Linear)}
    factors = {
        "tower.collaborative.": config.rate_collaborative,
        "interest.residual.": config.rate_residual,
        "backbone.": config.rate_backbone,
    }
    if not learner.model.interest.adds_to_pool:
        factors.pop("interest.residual.")  # then it is no residual, but a path of its own
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for part in learner.parts:
        for name, parameter in part.named_parameters():
            factor = next((value for prefix, value in factors.items() if part is learner.model and name.startswith(prefix)), 1.0)
            decay = config.weight_decay if id(parameter) in matrices else 0.0
            if parameter.requires_grad:
                groups.setdefault((factor, decay), []).append(parameter)
    rates = {factor: config.learning_rate * factor for factor, _ in groups}
    return [
        {"params": parameters, "lr": rates[factor], "initial_lr": rates[factor], "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]
