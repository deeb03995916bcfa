"""Which precision a processor is good at."""

import torch

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names, over processor families, of a unit that multiplies bfloat16."""


def computes_in_bf16() -> bool:
    """True where this processor multiplies bfloat16 itself; elsewhere bf16 is emulated and slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(flag)) for flag in BF16_FLAGS)


def wants_bf16(precision: str) -> bool:
    """Whether a configured precision ("auto", "bf16" or "fp32") means bf16 here."""
    return precision == "bf16" or (precision == "auto" and computes_in_bf16())
