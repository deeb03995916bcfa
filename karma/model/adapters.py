"""What of a backbone learns: all, low-rank adapters beside its matrices, or nothing.

Adapters exist in training alone: what is exported has them merged into the matrices, and to serve it nothing of peft is imported.
"""

import torch
from torch import Tensor, nn

from karma.config import BackboneConfig, LowRankConfig, PretrainedModelError
from karma.model.backbone import Backbone

_ADAPTER = "default"


def tune(backbone: Backbone, config: BackboneConfig) -> None:
    """Leave learning what ``config.tuning`` names. Raises PretrainedModelError: no layer has a name among the adapters' target modules."""
    if config.tuning != "full":
        backbone.requires_grad_(False)
    if config.tuning == "lora":
        _add_adapters(backbone, config.lora)


def _add_adapters(backbone: Backbone, config: LowRankConfig) -> None:
    from peft import LoraConfig, LoraModel  # seconds to import, for this tuning alone

    if backbone.model is None:
        raise ValueError("this backbone was built without its layers: there is nothing to adapt")
    targets = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=targets)
    try:
        LoraModel(backbone.model, lora, _ADAPTER)  # changes the model in place
    except ValueError as error:
        layers = {name.rpartition(".")[2] for name, part in backbone.model.named_modules() if isinstance(part, nn.Linear)}
        raise PretrainedModelError(
            "no layer can be adapted",
            expected="lora.target_modules among " + ", ".join(sorted(layers)),
            got=targets,
            hint='or "all-linear"',
        ) from error


def merged_weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights of ``module``, ``W + alpha / rank * B A`` under W's own name where a matrix is adapted; ``module`` stays as it is."""
    weights = {name.replace(".base_layer.", "."): value for name, value in module.state_dict().items() if ".lora_" not in name}
    with torch.no_grad():
        for name, layer in module.named_modules():
            if hasattr(layer, "get_delta_weight"):  # peft's own layers have it
                weights[f"{name}.weight"] = weights[f"{name}.weight"] + layer.get_delta_weight(_ADAPTER)
    return weights
