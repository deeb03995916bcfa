"""demo: the whole road on the sample world: three days published, joined to impressions, and shown."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jobs.bulk_load import bulk_load
from jobs.cli import RootArgs, context_of, parse_day, run_main
from jobs.day import DayOptions, run_day
from jobs.encoders import Encoder, active_encoders
from jobs.ingest import IngestOptions
from jobs.ledger import LedgerRow
from jobs.publish import Publication
from jobs.sample_world import World, WorldConfig, generate_world
from jobs.session import FEW_ROWS
from jobs.showing.picture import draw_day
from jobs.showing.printing import print_carried, print_days, print_gates, print_row, print_tables, print_user, table_of
from jobs.showing.words import in_words, one_row
from jobs.showing.world_figures import WorldFigures, world_figures
from jobs.stage import Context, run_stage
from jobs.steps import Steps, refuse_unsettled
from jobs.summary import write_summary
from jobs.tables import Where
from jobs.train_encoder import train_stage
from jobs.visual_features import SAMPLE_VISION, visual_features_stage
from schemas import names

CONFIG = Path(__file__).resolve().parents[1] / "conf" / "encoder" / "sample.toml"
SMALL_WORLD = 5000  # users, up to which compiling a query costs more than it saves


@dataclass(frozen=True, kw_only=True)
class DemoArgs(RootArgs):
    """Grow a sample world, train an encoder, publish three days, join them to impressions, and show it all."""

    users: int = 600
    """Users of the world."""
    items: int = 1000
    """Items of the world."""
    days: int = 3
    """Days published."""
    seed: int = 7
    """Of the world."""
    history_days: int = WorldConfig.history_days
    """Days before them, loaded at once."""
    image_px: int = WorldConfig.image_px
    """Side of the pictures, pixels."""
    first_day: str = WorldConfig.first_day.isoformat()
    """The first day published, YYYY-MM-DD; the world has a clock of its own."""
    config: Path = CONFIG
    """Training configuration of the encoder."""
    only_encoder: bool = False
    """Stop once the encoder is trained: the days have landed, a scheduler publishes them."""

    @property
    def world(self) -> WorldConfig:
        first_day = parse_day(self.first_day, "--first-day")
        return WorldConfig(
            users=self.users, items=self.items, days=self.days, history_days=self.history_days, seed=self.seed, image_px=self.image_px,
            first_day=first_day,
        )  # fmt: skip


def run_demo(context: Context, config: WorldConfig, training: Path) -> tuple[World, Encoder, list[LedgerRow], Steps]:
    """The main job on a sample world. Raises JobError where a stage did not settle."""
    world, shown, steps = prepare_demo(context, config, training)
    trained = shown[-1].details["version"]
    options = DayOptions(publication=Publication(mode="simulated"))
    encoders = active_encoders(context)
    for day in world.days:
        with steps.step(f"day {day}"):
            shown += run_day(context, options, day, encoders)
            refuse_unsettled(shown)
    return world, next(encoder for encoder in encoders if encoder.version == trained), shown, steps


def prepare_demo(context: Context, config: WorldConfig, training: Path) -> tuple[World, list[LedgerRow], Steps]:
    """A world with its past loaded and an encoder trained on that; its days have landed, and none is processed."""
    steps, ready = Steps(), (names.EVENTS, names.ITEMS, names.IMPRESSIONS)
    with steps.step("sample world"):
        world = generate_world(context.spark, context.places, config)
    last_past_day = world.days[0] - timedelta(days=1)
    with steps.step("past: one bulk load"):
        refuse_unsettled([row for table in ready for row in bulk_load(context, table, IngestOptions(bulk=True))])
        shown = [run_stage(context, visual_features_stage((SAMPLE_VISION,)), last_past_day)]
    with steps.step("encoder: trained on the past"):
        shown.append(run_stage(context, train_stage(training, world.trained_until, SAMPLE_VISION), last_past_day))
        refuse_unsettled(shown)
    return world, shown, steps


def show(
    console: Console, context: Context, world: World, encoder: Encoder, rows: list[LedgerRow], seconds: dict[str, float]
) -> dict[str, Any]:
    """Measure, draw, write summary.json and print."""
    figures = world_figures(context, encoder, world)
    last = world.days[-1]
    row = one_row(context, encoder, last)
    picture = _draw(context, encoder, world, figures)
    metrics = {"world": {"HR@50": figures.ladder, "n": figures.n, "encoder_minus_popularity": asdict(figures.above_popularity)}}
    extra = {"encoder": encoder.version, "space_id": encoder.space_id, "picture": str(picture), "seconds": seconds}
    summary = write_summary(context, metrics=metrics, extra=extra)
    print_days(console, rows)
    print_tables(console, summary["rows"], summary["quarantined"])
    print_gates(console, summary["gates"])
    print_carried(console, rows)
    print_row(console, row)
    print_user(console, in_words(context, encoder, row))
    ladder = [(name, f"{value:.3f}") for name, value in sorted(figures.ladder.items(), key=lambda pair: -pair[1])]
    console.print(table_of(f"HR@50 on the world's targets (n = {figures.n})", ("who", "HR@50"), ladder))
    console.print(f"encoder minus popularity: {figures.above_popularity} (95 %, paired over users)")
    console.print(table_of("Seconds", ("step", "s"), list(seconds.items())))
    console.print(table_of("Where", ("what", "path"), [*summary["paths"].items(), ("picture", picture)]))
    return summary


def _draw(context: Context, encoder: Encoder, world: World, figures: WorldFigures) -> Path:
    where: Where = {"ds": world.days[-1], "space_id": encoder.space_id}
    published = context.tables.read_where(names.INTEREST_EMBEDDINGS, where).orderBy("user_id").select("history_len", "embedding").toPandas()
    vectors = np.stack(published.embedding.to_numpy()).astype(np.float32)
    title = f"interest_embeddings of {world.days[-1]}, encoder {encoder.version}"
    return draw_day(vectors, published.history_len.to_numpy(), figures.ladder, title, context.places.report / "day.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``make demo`` and ``karma demo``."""

    def body(args: DemoArgs) -> int:
        context = context_of(args, "demo", overrides=FEW_ROWS if args.users <= SMALL_WORLD else None, makes_root=True)
        if args.only_encoder:
            prepare_demo(context, args.world, args.config)
            return names.EXIT_DONE
        world, encoder, rows, steps = run_demo(context, args.world, args.config)
        show(Console(width=None if sys.stdout.isatty() else 160), context, world, encoder, rows, steps.seconds)
        return names.EXIT_DONE

    return run_main(DemoArgs, body, argv, prog="karma demo")


if __name__ == "__main__":
    sys.exit(main())
