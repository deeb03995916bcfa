"""The sample world: a landing zone grown from latent styles, and what is attainable on it."""

from jobs.sample_world.commit import WorldPaths
from jobs.sample_world.config import WorldConfig
from jobs.sample_world.world import World, generate_world

__all__ = ["World", "WorldConfig", "WorldPaths", "generate_world"]
