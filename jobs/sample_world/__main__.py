"""``karma sample-world``: make a sample world and say what is attainable on it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from jobs.cli import RootArgs, context_of, parse_day, run_main
from jobs.sample_world.config import WorldConfig
from jobs.sample_world.ladder import POLICY, K
from jobs.sample_world.world import World, generate_world
from schemas import names


@dataclass(frozen=True, kw_only=True)
class SampleWorldArgs(RootArgs):
    """Make a sample world: a landing zone (events, items with pictures, impressions) grown from latent styles, and its ladder."""

    users: int = WorldConfig.users
    """How many users, 1 and up."""
    items: int = WorldConfig.items
    """How many items, those launched on the last days included."""
    days: int = WorldConfig.days
    """Daily partitions after the bulk load."""
    history_days: int = WorldConfig.history_days
    """Days of the bulk load."""
    seed: int = WorldConfig.seed
    """Of every draw: the same seed and sizes give the same rows."""
    image_px: int = WorldConfig.image_px
    """Side of the pictures, pixels."""
    first_day: str = WorldConfig.first_day.isoformat()
    """The first daily partition, YYYY-MM-DD; the world has a clock of its own."""
    replace: bool = False
    """Remove a world of other parameters that is there."""

    @property
    def config(self) -> WorldConfig:
        return WorldConfig(
            users=self.users,
            items=self.items,
            days=self.days,
            history_days=self.history_days,
            seed=self.seed,
            image_px=self.image_px,
            first_day=parse_day(self.first_day, "--first-day"),
        )


def main(argv: Sequence[str] | None = None) -> int:
    return run_main(SampleWorldArgs, _run, argv, "karma sample-world")


def _run(args: SampleWorldArgs) -> int:
    config = args.config
    context = context_of(args, "sample-world", makes_root=True)
    report(generate_world(context.spark, context.places, config, replace=args.replace), Console(width=120))
    return names.EXIT_DONE


def report(world: World, console: Console) -> None:
    """Where the world is, its rows by partition, and its ladder."""
    partitions = [*world.rows[names.EVENTS]]
    rows = Table("table", *partitions, title=f"{'Kept' if world.kept else 'Made'}: {world.paths.landing}")
    for table, counts in world.rows.items():
        rows.add_row(table, *(f"{counts[partition]:,}" for partition in partitions))
    ladder = Table("what is attainable", f"HR@{K}", "+-", "n", caption=POLICY)
    for rung in world.ladder:
        ladder.add_row(rung.name, f"{rung.hit_rate:.3f}", f"{rung.half_width:.3f}", str(rung.n))
    console.print(rows)
    console.print(ladder)


if __name__ == "__main__":
    sys.exit(main())
