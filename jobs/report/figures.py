"""The figures of the page, drawn by plotly from plain values.

Titles, names and queries are the source's own texts. Plotly reads some HTML in any text (a link, a line break), so each goes
through ``as_text`` before it enters a figure.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jobs.report.facts import Cloud, Cost, Coverage, Facts, Floats, Histories, InterestMap, Judged, Longs, Rates, Slice

INK, MUTED, GRID = "#22303c", "#64748b", "#e8edf2"
STRONG, CALM, PALE, CLEAR = "#d95f02", "#3b6ea5", "#a9bfd6", "rgba(0,0,0,0)"
METHODS = ("#d95f02", "#3b6ea5", "#7fa3c9", "#9aa7b4", "#c9d2db", "#5f7f6f", "#8c6d9e")
"""Colours of the methods, the encoder's first."""
LONGEST_LABEL = 30
BINS = 48
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def as_text(text: object) -> str:
    """``text`` such that plotly shows exactly its characters."""
    return html.escape(str(text), quote=False)


def figures_of(facts: Facts) -> dict[str, go.Figure]:
    """Every figure that the facts allow, by the name under which the page places it."""
    drawn = {
        "snapshots": snapshots(facts.coverage),
        "impressions": impressions(facts.coverage) if any(facts.coverage.reasons.values()) else None,
        "lengths": lengths(facts.histories) if len(facts.histories.lengths) else None,
        "spectrum": spectrum(facts.clouds) if any(len(cloud.singular) for cloud in facts.clouds) else None,
        "cosines": cosines(facts.clouds) if any(len(cloud.cosines) for cloud in facts.clouds) else None,
        "map": area(facts.area) if facts.area else None,
        "rates": rates(facts.judged.whole) if facts.judged else None,
        "differences": differences(facts.judged) if facts.judged and facts.judged.differences else None,
        "cost": cost(facts.cost) if facts.cost.seconds else None,
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def framed(traces: Sequence[Any], *, height: int, x: str = "", y: str = "", **layout: Any) -> go.Figure:
    """A figure in the page's dress; ``x`` and ``y`` name the axes."""
    figure = dressed(go.Figure(data=list(traces)), height=height, **layout)
    figure.update_xaxes(title={"text": x, "font": {"color": MUTED}})
    return figure.update_yaxes(title={"text": y, "font": {"color": MUTED}})


def dressed(figure: go.Figure, *, height: int, **layout: Any) -> go.Figure:
    """``figure``, of one panel or of several, in the page's dress."""
    figure.update_layout(
        template="none", height=height, margin={"l": 8, "r": 16, "t": 34, "b": 8}, bargap=0.25,
        paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, font={"family": _FONT, "size": 13, "color": INK},
        hoverlabel={"bgcolor": "white", "font": {"family": _FONT, "color": INK}},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "bgcolor": CLEAR},
        modebar={"bgcolor": CLEAR, "color": "#a3afbd", "activecolor": INK}, **layout,
    )  # fmt: skip
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    return figure.update_xaxes(**axis).update_yaxes(**axis)


def snapshots(coverage: Coverage) -> go.Figure:
    """Users with a vector a published day, those encoded on that day above those carried; a line for the users expected."""
    days = [day.ds for day in coverage.snapshots]
    encoded = [day.encoded for day in coverage.snapshots]
    carried = [day.with_vector - day.encoded for day in coverage.snapshots]
    traces = [
        go.Bar(x=days, y=carried, name="carried from another day", marker_color=PALE, hovertemplate="%{y:,}"),
        go.Bar(x=days, y=encoded, name="encoded on the day", marker_color=STRONG, hovertemplate="%{y:,}"),
        go.Scatter(
            x=days, y=[day.users for day in coverage.snapshots], name="users with a history", mode="markers",
            marker={"symbol": "line-ew", "size": 34, "line": {"width": 2, "color": INK}}, hovertemplate="%{y:,}",
        ),
    ]  # fmt: skip
    figure = framed(traces, height=300, y="users", barmode="stack", hovermode="x unified")
    return figure.update_xaxes(type="category").update_yaxes(rangemode="tozero")


def impressions(coverage: Coverage) -> go.Figure:
    """Impressions of the published days by outcome."""
    reasons = sorted(coverage.reasons.items(), key=lambda pair: (pair[0] != "joined", -pair[1]))[::-1]
    names, rows = zip(*reasons, strict=True)
    bars = go.Bar(
        y=[as_text(name) for name in names], x=rows, orientation="h", text=[f"{n:,}" for n in rows], textposition="auto",
        marker_color=[CALM if name == "joined" else PALE for name in names], hoverinfo="skip",
    )  # fmt: skip
    return framed([bars], height=90 + 30 * len(rows), x="impressions")


def lengths(histories: Histories) -> go.Figure:
    """Users by the length of their history, with a line where the encoder stops reading."""
    most = int(histories.lengths.max())
    width = max(1, -(-most // BINS))
    edges = np.arange(1, most + width + 1, width)
    users, _ = np.histogram(histories.lengths, bins=edges, weights=histories.users) if len(edges) > 1 else (histories.users, None)
    starts = edges[: len(users)]
    spans = [f"{start}" if width == 1 else f"{start} to {start + width - 1}" for start in starts]
    bars = go.Bar(
        x=starts + (width - 1) / 2, y=users, width=width * 0.92, marker_color=CALM, customdata=spans,
        hovertemplate="%{customdata} events: %{y:,} users<extra></extra>",
    )  # fmt: skip
    figure = framed([bars], height=300, x="events in the history", y="users")
    figure.update_xaxes(range=[0.5 - width / 2, most + width])
    if histories.read <= most:
        note = {"text": f"the encoder reads the newest {histories.read}", "font": {"color": STRONG}}
        side = "top left" if histories.read > most / 2 else "top right"
        figure.add_vline(x=histories.read, line={"color": STRONG, "dash": "dot"}, annotation=note, annotation_position=side)
    return figure


def spectrum(clouds: Sequence[Cloud]) -> go.Figure:
    """Singular values of each cloud as shares of their sum, largest first."""
    shares = {cloud.name: cloud.singular / (cloud.singular.sum() or 1) for cloud in clouds if len(cloud.singular)}
    return spectra(shares, dict(zip(shares, (STRONG, CALM), strict=False)))


def spectra(shares: Mapping[str, Floats], colours: Mapping[str, str]) -> go.Figure:
    """Shares of singular values by the name of the cloud, largest first."""
    traces = [
        go.Scatter(
            x=np.arange(1, len(of) + 1), y=_rounded(np.maximum(of, 1e-7), 8), name=name, line={"color": colours[name], "width": 2.5},
            mode="lines+markers" if len(of) < 40 else "lines", hovertemplate="direction %{x}: %{y:.2%}",
        )
        for name, of in shares.items()
    ]  # fmt: skip
    figure = framed(traces, height=320, x="direction, strongest first", y="share of all singular values")
    return figure.update_yaxes(type="log", tickformat=".1~p")


def cosines(clouds: Sequence[Cloud]) -> go.Figure:
    """How alike two random vectors of a cloud are."""
    edges = np.linspace(-1, 1, 81)
    middles = _rounded((edges[1:] + edges[:-1]) / 2, 4)
    traces = [
        go.Scatter(
            x=middles, y=_rounded(np.histogram(np.clip(cloud.cosines, -1, 1), bins=edges)[0] / len(cloud.cosines), 5), name=cloud.name,
            fill="tozeroy", mode="lines", line={"color": colour, "width": 2, "shape": "hvh"},
            hovertemplate="cosine %{x:.2f}: %{y:.1%} of the pairs",
        )
        for cloud, colour in zip(clouds, (STRONG, CALM), strict=False)
        if len(cloud.cosines)
    ]  # fmt: skip
    return framed(traces, height=320, x="cosine of two random vectors", y="share of the pairs").update_yaxes(tickformat=".0%")


def area(shown: InterestMap) -> go.Figure:
    """The map: items behind, interests by the length of their history, some titles in words; every dot tells its title."""
    items = go.Scatter(
        x=_rounded(shown.items[:, 0], 4), y=_rounded(shown.items[:, 1], 4), mode="markers", name="items",
        marker={"size": 5, "color": PALE, "opacity": 0.55}, hoverinfo="text", hovertext=[as_text(title) for title in shown.titles],
    )  # fmt: skip
    users = go.Scatter(
        x=_rounded(shown.users[:, 0], 4), y=_rounded(shown.users[:, 1], 4), mode="markers", name="interests", hoverinfo="text",
        hovertext=[_who(*user) for user in zip(shown.user_ids, shown.lengths.tolist(), shown.newest, strict=True)],
        marker=_by_length(shown.lengths),
    )  # fmt: skip
    labels = go.Scatter(
        x=_rounded(shown.items[list(shown.labelled), 0], 4), y=_rounded(shown.items[list(shown.labelled), 1], 4), mode="markers+text",
        name="some titles", text=[as_text(_short(shown.titles[row])) for row in shown.labelled], textposition="top center",
        textfont={"size": 11, "color": INK}, marker={"size": 6, "color": CALM}, hoverinfo="text", cliponaxis=False,
        hovertext=[as_text(shown.titles[row]) for row in shown.labelled],
    )  # fmt: skip
    first, second = shown.explained
    figure = framed(
        [items, users, labels], height=680, x=f"first principal axis of the interests ({first:.0%} of their variance)",
        y=f"second ({second:.0%})", hovermode="closest", dragmode="pan",
    )  # fmt: skip
    return figure.update_yaxes(scaleanchor="x")


def _by_length(lengths: Longs) -> dict[str, Any]:
    """Markers of interests, darker for longer histories (on a log scale), with the bar that says so."""
    ticks = [n for n in (1, 3, 10, 30, 100, 300) if n <= lengths.max(initial=1)]
    bar = {"tickvals": np.log10(ticks).tolist(), "ticktext": [str(n) for n in ticks], "thickness": 12, "outlinewidth": 0}
    return {
        "size": 8, "color": _rounded(np.log10(np.maximum(lengths, 1)), 3), "colorscale": "Oranges", "cmin": -0.6,
        "line": {"width": 0.5, "color": "white"}, "colorbar": {"title": {"text": "events in<br>the history"}, **bar},
    }  # fmt: skip


def _who(user_id: str, length: int, newest: Sequence[str]) -> str:
    lines = [f"<b>{as_text(user_id)}</b>, {length} events; the newest:", *(as_text(_short(title, 60)) for title in newest)]
    return "<br>".join(lines)


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def rates(whole: Slice) -> go.Figure:
    """HR@K of every method, grouped by K."""
    cuts = cutoffs(whole.rates)
    traces = [
        go.Bar(
            x=cuts, y=[of.get(cut) for cut in cuts], name=as_text(method), marker_color=colour, hovertemplate="%{y:.3f}",
            text=["n/a" if (rate := of.get(cut)) is None else f"{rate:.3f}" for cut in cuts], textposition="outside", cliponaxis=False,
        )
        for (method, of), colour in zip(ordered(whole.rates), METHODS * len(whole.rates), strict=False)
    ]  # fmt: skip
    return framed(traces, height=340, y="share of the targets", barmode="group").update_yaxes(rangemode="tozero")


def differences(judged: Judged) -> go.Figure:
    """Encoder minus baseline at the decisive K, a dot with its interval; left of zero the baseline is better."""
    rows = judged.decisive[::-1]
    dots = go.Scatter(
        y=[f"minus {as_text(row.baseline)}" for row in rows], x=[row.mean for row in rows], mode="markers",
        marker={"size": 11, "color": STRONG}, error_x={
            "type": "data", "symmetric": False, "color": STRONG, "thickness": 2.5, "width": 8,
            "array": [row.high - row.mean for row in rows], "arrayminus": [row.mean - row.low for row in rows],
        },
        hovertemplate="%{x:+.3f}<extra></extra>",
    )  # fmt: skip
    figure = framed([dots], height=110 + 46 * len(rows), x=f"encoder minus baseline, {rows[0].cut}").update_xaxes(tickformat="+.2f")
    return figure.add_vline(x=0, line={"color": INK, "width": 1}).update_yaxes(range=[-0.7, len(rows) - 0.3])


def cost(spent: Cost) -> go.Figure:
    """Seconds a step, in the order in which they were done."""
    steps = list(spent.seconds.items())[::-1]
    bars = go.Bar(
        y=[as_text(name) for name, _ in steps], x=[seconds for _, seconds in steps], orientation="h", marker_color=CALM, hoverinfo="skip",
        text=[f"{seconds:,.1f} s" for _, seconds in steps], textposition="auto",
    )  # fmt: skip
    return framed([bars], height=90 + 30 * len(steps), x="seconds")


def cutoffs(by_method: Mapping[str, Rates]) -> list[str]:
    """The names HR@K that any method has, by K."""
    return sorted({cut for of in by_method.values() for cut in of}, key=lambda cut: int(cut.partition("@")[2]))


def ordered(by_method: Mapping[str, Rates]) -> list[tuple[str, Rates]]:
    """The encoder first, then the baselines, best first at the largest K that has a rate."""

    def place(pair: tuple[str, Rates]) -> tuple[bool, float, str]:
        known = [rate for cut in cutoffs(by_method) if (rate := pair[1].get(cut)) is not None]
        return pair[0] != "encoder", -known[-1] if known else 0.0, pair[0]

    return sorted(by_method.items(), key=place)


def _rounded(values: Floats, digits: int) -> list[float]:
    """Plain numbers: a few digits are all that a dot needs, and a page of them stays small."""
    rounded: list[float] = np.round(values.astype(float), digits).tolist()
    return rounded
