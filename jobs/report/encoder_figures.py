"""The figures that only the page of an encoder has; the others are those of the page of a run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jobs.report.encoder_facts import Ages, Attention, EncoderFacts
from jobs.report.facts import DECISIVE, Floats, Judged, Slice
from jobs.report.figures import METHODS, as_text, cutoffs, differences, framed, ordered, rates, spectrum
from karma.evaluation.bootstrap import JUDGED_USERS

SLICES = "Slices"


def encoder_figures(facts: EncoderFacts) -> dict[str, go.Figure]:
    """Every figure that the facts allow, by the name under which the page places it."""
    drawn = {
        "rates": rates(facts.judged.whole),
        "differences": differences(facts.judged) if facts.judged.differences else None,
        "spectrum": spectrum(facts.clouds) if any(len(cloud.singular) for cloud in facts.clouds) else None,
        "ages": by_age(facts.ages) if facts.ages else None,
        "slices": slices(found) if (found := slices_of(facts.judged)) else None,
        "attention": attention(facts.attention) if facts.attention else None,
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def slices_of(judged: Judged) -> tuple[Slice, ...]:
    """The slices; none where no K has a rate in all of them."""
    return next((members for title, members in judged.groups if title == SLICES and _cut(members)), ())


def _cut(members: Sequence[Slice]) -> str | None:
    """The second smallest K of those with a rate in every slice: HR@50 where the corpus is large enough."""
    known = [cut for cut in cutoffs(members[0].rates) if all(row.rates["encoder"].get(cut) is not None for row in members)]
    return known[min(1, len(known) - 1)] if known else None


def by_age(shown: Ages) -> go.Figure:
    """HR@K by the age of the vector, a line a K."""
    days = [age for age, _ in shown.rates]
    traces = [
        go.Scatter(
            x=days, y=[of.get(cut) for _, of in shown.rates], name=cut, mode="lines+markers", marker={"size": 9},
            line={"color": colour, "width": 2.5}, hovertemplate="%{x} days: %{y:.3f}",
        )
        for cut, colour in zip(cutoffs({"encoder": shown.rates[0][1]}), METHODS, strict=False)
        if any(of.get(cut) is not None for _, of in shown.rates)
    ]  # fmt: skip
    figure = framed(traces, height=320, x="days between the end of the history and the target", y="share of the targets")
    return figure.update_xaxes(tickvals=days).update_yaxes(rangemode="tozero")


def slices(members: Sequence[Slice]) -> go.Figure:
    """One K by slice: a dot a method, the encoder's with its interval; slices of too few targets are named as such."""
    cut = _cut(members)
    names = [as_text(f"{row.name} (n = {row.n:,}{', not judged' if (row.n or 0) < JUDGED_USERS else ''})") for row in members][::-1]
    traces = [
        go.Scatter(
            y=names, x=[row.rates.get(method, {}).get(str(cut)) for row in members][::-1], name=as_text(method), mode="markers",
            marker={"size": 14 if method == "encoder" else 9, "color": colour}, hovertemplate="%{x:.3f}",
            error_x=_intervals(members[::-1], colour) if method == "encoder" and cut == DECISIVE else None,
        )
        for (method, _), colour in zip(ordered(members[0].rates), METHODS, strict=False)
    ]  # fmt: skip
    return framed(traces, height=110 + 34 * len(members), x=str(cut)).update_xaxes(rangemode="tozero")


def _intervals(members: Sequence[Slice], colour: str) -> dict[str, Any]:
    """Error bars of the encoder; a slice that is not judged has none."""
    rates = [row.rates["encoder"][DECISIVE] or 0.0 for row in members]
    ends = [row.interval or (rate, rate) for row, rate in zip(members, rates, strict=True)]
    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": 2, "width": 5,
        "array": [high - rate for (_, high), rate in zip(ends, rates, strict=True)],
        "arrayminus": [rate - low for (low, _), rate in zip(ends, rates, strict=True)],
    }  # fmt: skip


def attention(shown: Attention) -> go.Figure:
    """The mean attention map."""
    return by_event(framed([heat_of(shown.mean_map)], height=560, x="event that is read", y="event that reads"), len(shown.mean_map))


def heat_of(mean_map: Floats) -> go.Heatmap:
    """A map of attention; the upper half is empty, since no event sees a later one."""
    places = _events(len(mean_map))
    shares = np.round(mean_map.astype(float), 4).tolist()
    seen = [[share if key <= query else None for key, share in enumerate(row)] for query, row in enumerate(shares)]
    return go.Heatmap(
        z=seen, x=places, y=places, colorscale="Oranges", zmin=0, zmax=1 / 3, colorbar={"thickness": 12, "outlinewidth": 0},
        hovertemplate="event %{y} reads %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip


def by_event(figure: go.Figure, size: int) -> go.Figure:
    """Both axes of each panel name events, the newest at the right and below."""
    ticks = _events(size)[::4]
    figure.update_xaxes(type="category", tickvals=ticks, showgrid=False, constrain="domain")
    figure.update_yaxes(
        type="category", autorange="reversed", tickvals=ticks, showgrid=False, constrain="domain", constraintoward="top"
    )  # fmt: skip
    return figure.for_each_yaxis(lambda axis: axis.update(scaleanchor=axis.anchor or "x"))


def _events(size: int) -> list[str]:
    return ["template", *map(str, range(1, size))]
