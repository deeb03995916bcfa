"""own-data: the whole road on a user's own files: ingest, train, evaluate, embed, gate, publish, join, and what came of it."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from jobs.cli import RootArgs, context_of, run_main
from jobs.encoder_configuration import configuration
from jobs.error_budget import check_budget
from jobs.mapping import load_mapping
from jobs.own_data_road.join_figures import join_figures
from jobs.own_data_road.road import Plan, Travelled, travel
from jobs.own_data_road.showing import ingested, show
from jobs.report.write import write_report
from jobs.stage import Context
from jobs.summary import write_summary
from jobs.visual_features import DEFAULT_VISION
from schemas import names

DEFAULT_CONFIGS = {False: Path("conf/encoder/ml_small.toml"), True: Path("conf/encoder/baskets.toml")}
"""By whether items may be taken again."""


@dataclass(frozen=True, kw_only=True)
class OwnDataArgs(RootArgs):
    """Carry your own files to published vectors and a join; it goes on where it was stopped."""

    root: Annotated[str, tyro.conf.arg(name="out")] = field()
    """Folder for everything that this makes: landing/, warehouse/, encoders/, data_docs/, report/, summary.json."""
    events: Path
    """Parquet, CSV or JSON lines (a file or a folder of files): user_id, event_time, event_type, item_id and/or query, value?."""
    items: Path
    """Likewise: item_id, title, category?, price?, image_ref?."""
    images: Path | None = None
    """A table (item_id, image: bytes), or a folder of pictures named by image_ref or <item_id>.<ext>."""
    impressions: Path | None = None
    """Likewise: request_id, item_id, user_id, impression_time, clicked; without it they are derived from the events."""
    targets: Path | None = None
    """Held-out targets: user_id, item_id, cut_time, one a user; a second encoder is then trained without them and judged on them."""
    mapping: str | None = None
    """TOML file that names the source's columns (conf/mapping/example.toml)."""
    config: Path | None = None
    """Training configuration of both encoders; default: conf/encoder/ml_small.toml, with --baskets conf/encoder/baskets.toml."""
    vision: str = DEFAULT_VISION
    """Vision encoder whose features the item tower reads."""
    label_days: int = 28
    """The published encoder is trained until this many days before the end of the last day with an event."""
    days: int = 7
    """The last days, which are published."""
    baskets: bool = False
    """The same item may be taken again, several at one instant: train for that, hold out the last basket whole, and mask no seen item."""
    error_budget: float = names.DEFAULT_ERROR_BUDGET
    """Share of a source's rows that may be refused (100 rows always may); beyond it nothing is trained or published."""

    def plan(self) -> Plan:
        return Plan(
            events=self.events, items=self.items, images=self.images, impressions=self.impressions, targets=self.targets,
            mapping=load_mapping(self.mapping), config=configuration(self.config or DEFAULT_CONFIGS[self.baskets]),
            vision=self.vision, baskets=self.baskets,
            label_days=self.label_days, days=self.days, error_budget=check_budget(self.error_budget),
        )  # fmt: skip


def summarise(context: Context, travelled: Travelled) -> dict[str, Any]:
    """Measure what the road led to and write summary.json."""
    space = {"space_id": travelled.encoder.space_id}
    features, events = context.tables.read_where(names.RANKING_FEATURES, space), context.tables.read(names.EVENTS)
    held_out = travelled.row(names.LEAVE_LAST_OUT_JOB)
    metrics: Mapping[str, Any] = {"leave_last_out": json.loads(held_out.details["figures"])} if held_out else {}
    encoders = {"published": travelled.encoder.version, **({"leave_last_out": held_out.details["version"]} if held_out else {})}
    extra = {
        "ingested": ingested(context),
        "encoders": encoders,
        **space,
        "trained_until": travelled.span.trained_until.isoformat(),
        "published_days": [day.isoformat() for day in travelled.span.published],
        "join": join_figures(features, events, travelled.span.published),
        "seconds": travelled.seconds,
    }
    return write_summary(context, metrics=metrics, extra=extra)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``make own-data`` and ``karma own-data``."""

    def body(args: OwnDataArgs) -> int:
        plan = args.plan()
        context = context_of(args, names.OWN_DATA_JOB, makes_root=True)
        travelled = travel(context, plan)
        console, summary = Console(width=None if sys.stdout.isatty() else 160), summarise(context, travelled)
        show(console, summary, travelled.rows)
        console.print(f"report: {write_report(context, travelled, summary)}", soft_wrap=True, markup=False)
        return names.EXIT_DONE

    return run_main(OwnDataArgs, body, argv, prog=f"karma {names.OWN_DATA_JOB}")


if __name__ == "__main__":
    sys.exit(main())
