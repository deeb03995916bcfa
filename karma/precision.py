"""Which processor trains, and which precision it is good at."""

import torch

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names, over processor families, of a unit that multiplies bfloat16."""


def computes_in_bf16() -> bool:
    """True where this processor multiplies bfloat16 itself; elsewhere bf16 is emulated and slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(flag)) for flag in BF16_FLAGS)


def training_device() -> torch.device:
    """The first GPU that CUDA shows (CUDA_VISIBLE_DEVICES chooses, empty hides them all), else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def wants_bf16(precision: str, device: torch.device) -> bool:
    """Whether a configured precision ("auto", "bf16" or "fp32") means bf16 on ``device``."""
    good = computes_in_bf16() if device.type == "cpu" else torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16" or (precision == "auto" and good)
