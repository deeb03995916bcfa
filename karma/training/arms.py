"""Arms of a comparison: what each changes in one base configuration.

An arm says which objectives are on, a path which ways lead to the interest vector and to the item vector.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from karma.config import TrainingConfig

Arm = Literal["action", "generation", "reconstruction", "pair", "items", "text", "images_read", "images", "images_diffusion"]
InterestPath = Literal["blocks", "pool+lm", "pool", "state", "lm", "lm+id"]
ARMS_IN_ORDER: tuple[Arm, ...] = get_args(Arm)
PATHS_IN_ORDER: tuple[InterestPath, ...] = get_args(InterestPath)

_GENERATION, _INTEREST, _ITEM = {"generation": 0.05}, {"reconstruct_interest": 0.05}, {"reconstruct_item": 0.1}
_OFF = dict.fromkeys(("generation", "reconstruct_interest", "reconstruct_item", "visual"), 0.0)
_IMAGES = {**_OFF, **_GENERATION, **_INTEREST, **_ITEM, "visual": 0.05}

OBJECTIVES: Mapping[Arm, Mapping[str, float | str]] = {
    "action": _OFF,
    "generation": {**_OFF, **_GENERATION},
    "reconstruction": {**_OFF, **_INTEREST},
    "pair": {**_OFF, **_GENERATION, **_INTEREST},
    "items": {**_OFF, **_ITEM},
    "text": {**_OFF, **_GENERATION, **_INTEREST, **_ITEM},
    "images_read": {**_IMAGES, "visual": 0.0},
    "images": {**_IMAGES, "visual_by": "mse"},
    "images_diffusion": {**_IMAGES, "visual_by": "diffusion"},
}
"""Action only; with KARMA's (i) and (ii) on text (arXiv 2603.22779), one at a time and as a pair; with the same decoder on the item
vectors; with all three; with images in the tower too; with images as an objective as well; with that objective by diffusion."""

READ_IMAGES: frozenset[Arm] = frozenset({"images_read", "images", "images_diffusion"})
"""Arms whose tower reads images; the others' does not, whatever the configuration says."""

_CONTENT_THAT_LEARNS = {"latent_semantics": 0}
PATHS: Mapping[InterestPath, Mapping[str, bool | int]] = {
    "blocks": {"use_pool": True, "use_lm": True},
    "pool+lm": {"use_pool": True, "use_lm": True},
    "pool": {"use_pool": True, "use_lm": False},
    "state": {"use_pool": False, "use_lm": True},
    "lm": {"use_pool": False, "use_lm": True, "use_collaborative": False, **_CONTENT_THAT_LEARNS},
    "lm+id": {"use_pool": False, "use_lm": True, "use_collaborative": True, **_CONTENT_THAT_LEARNS},
}
"""Pool and language model, each with a block of its own; the state added to the pool's vector; the pooling path alone; the language
model's state alone, over the same items. Then what shows forgetting: the state alone over items of content alone, text read by nothing
but embeddings that learn (what is frozen cannot forget); the same with the collaborative part, a shortcut past the text."""

_WITHOUT_LM = frozenset(path for path, parts in PATHS.items() if not parts["use_lm"])
ALL_OF_A_PATH: frozenset[Arm] = READ_IMAGES | {"text"}
"""Arms of all objectives that a path has: without a language model they go without generation. Of the others generation is the point."""


def goes_without(arm: str, path: str) -> str:
    """The objective that ``arm`` has on other paths and not on ``path``, where nothing could learn it; empty where it has all."""
    return "generation" if arm in ALL_OF_A_PATH and path in _WITHOUT_LM else ""


def path_of(base: TrainingConfig) -> InterestPath:
    """The path that a configuration takes itself."""
    if base.encoder.use_pool and base.encoder.use_lm:
        return "blocks" if base.encoder.reading_dim else "pool+lm"
    return "pool" if base.encoder.use_pool else "state"


def arm_config(base: TrainingConfig, arm: Arm, path: InterestPath, seed: int, changes: Mapping[str, Any]) -> TrainingConfig:
    """``base`` as ``arm`` and ``path`` change it. ``changes`` are top-level fields and win.

    Raises:
        ValueError: the path has no language model, which the arm's generation would train (but see ``ALL_OF_A_PATH``); or what reads its
            texts should learn and cannot.
    """
    if _CONTENT_THAT_LEARNS.items() <= PATHS[path].items() and (base.text_encoder.source is not None or base.backbone.tuning != "full"):
        raise ValueError("the path shows what embeddings that learn forget: it needs backbone.tuning full, and no text_encoder")
    told = base.model_dump()
    told["objectives"].update(OBJECTIVES[arm])
    if lost := goes_without(arm, path):
        told["objectives"][lost] = 0.0
    own_items = base.encoder.use_own_items and PATHS[path]["use_pool"]
    reading_dim = (base.encoder.reading_dim or max(1, base.encoder.dim // 2)) if path == "blocks" else 0
    changed = {"use_visual": arm in READ_IMAGES, "use_own_items": own_items, "reading_dim": reading_dim, **PATHS[path]}
    told["encoder"].update(changed)
    return TrainingConfig.model_validate({**told, "name": f"{base.name}-{path}-{arm}-{seed}", "seed": seed, **changes})
