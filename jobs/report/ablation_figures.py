"""The figures of an ablation's page; an arm has the same colour in all of them."""

from collections.abc import Iterator, Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from jobs.ablation_cells import PathPair, SliceDifference, Table
from jobs.report.ablation_facts import AblationFacts, Attended, Curve, PathFacts
from jobs.report.encoder_figures import by_event, heat_of
from jobs.report.figures import INK, MUTED, as_text, dressed, framed, spectra

COLOURS = ("#22303c", "#d95f02", "#3b6ea5", "#1d7a46", "#8c6d9e", "#b42318", "#b8860b", "#2a9d8f", "#7f7f7f")
"""The first is that of the arm that the others are held against."""
PANELS = 3
_BAND = 0.14


def ablation_figures(facts: AblationFacts) -> dict[str, go.Figure]:
    """Every figure that the facts allow, by the name under which the page places it."""
    colours = {arm: COLOURS[place % len(COLOURS)] for place, arm in enumerate(facts.arms)}
    drawn = dict(of_path for path in facts.paths for of_path in _of_path(path, colours))
    return drawn | {f"added-{pair.path}": added(pair, colours) for pair in facts.pairs}


def _of_path(path: PathFacts, colours: Mapping[str, str]) -> Iterator[tuple[str, go.Figure]]:
    if hit_rates(path.table):
        yield f"bars-{path.name}", bars(path.table, colours)
    if path.curves:
        yield f"curves-{path.name}", curves(path.curves, colours)
    if path.spectra:
        yield f"spectra-{path.name}", spectra(path.spectra, colours)
    if path.attention:
        yield f"attention-{path.name}", attention(path)


def hit_rates(table: Table) -> list[int]:
    """Places of the columns that are hit rates."""
    return [place for place, column in enumerate(table.columns) if "HR@" in column]


def bars(table: Table, colours: Mapping[str, str]) -> go.Figure:
    """Hit rates of each arm; the whisker is the interval of the difference to the first arm, laid around the bar's top."""
    places = hit_rates(table)
    traces = []
    for row in table.rows:
        cells = [row.cells[place] for place in places]
        ends = [(of.high - of.mean, of.mean - of.low) if (of := cell.difference) else (None, None) for cell in cells]
        whiskers = {"array": [above for above, _ in ends], "arrayminus": [below for _, below in ends], "visible": row is not table.rows[0]}
        traces.append(go.Bar(
            x=[cell.column.replace("_", " ") for cell in cells], y=[cell.mean for cell in cells], name=row.arm,
            marker_color=colours[row.arm], customdata=[as_text(cell.text) for cell in cells],
            hovertemplate="%{customdata}",
            error_y={"type": "data", "symmetric": False, "color": MUTED, "thickness": 1.5, "width": 4, **whiskers},
        ))  # fmt: skip
    return framed(traces, height=340, y="share of the targets", barmode="group", showlegend=True).update_yaxes(rangemode="tozero")


def added(pair: PathPair, colours: Mapping[str, str]) -> go.Figure:
    """One path minus another, a dot and its interval a slice and arm; left of zero it does harm."""
    names = list(dict.fromkeys(_slice(row) for row in pair.rows))
    arms = list(dict.fromkeys(row.arm for row in pair.rows))
    traces = []
    for place, arm in enumerate(arms):
        of_arm = [row for row in pair.rows if row.arm == arm]
        found = [row.difference for row in of_arm]
        beside = 0.5 * (place - (len(arms) - 1) / 2) / len(arms)
        traces.append(go.Scatter(
            y=[names[::-1].index(_slice(row)) - beside for row in of_arm], x=[of.mean for of in found], name=arm, mode="markers",
            marker={"size": 10, "color": colours[arm]}, customdata=[f"{_slice(row)}: {row.difference}" for row in of_arm],
            hovertemplate="%{customdata}", error_x={
                "type": "data", "symmetric": False, "color": colours[arm], "thickness": 2, "width": 5,
                "array": [of.high - of.mean for of in found], "arrayminus": [of.mean - of.low for of in found],
            },
        ))  # fmt: skip
    figure = framed(traces, height=120 + 30 * len(names) + 8 * len(names) * len(arms), x=f"{pair.path} minus {pair.to}", showlegend=True)
    figure.update_xaxes(tickformat="+.3f").add_vline(x=0, line={"color": INK, "width": 1})
    return figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=[as_text(name) for name in names[::-1]], range=[-0.7, len(names) - 0.3]
    )


def _slice(row: SliceDifference) -> str:
    return f"{row.slice}, {row.measure} (n = {row.n:,})"


def curves(by_measure: Mapping[str, tuple[Curve, ...]], colours: Mapping[str, str]) -> go.Figure:
    """A panel a measure, a line an arm: the mean over seeds, the band from the smallest to the largest."""
    rows = -(-len(by_measure) // PANELS)
    figure = _panels(list(by_measure), rows, 0.09)
    named: set[str] = set()
    for place, of_measure in enumerate(by_measure.values()):
        at = {"row": 1 + place // PANELS, "col": 1 + place % PANELS}
        for curve in of_measure:
            figure.add_trace(_band(curve, colours[curve.arm]), **at)
            figure.add_trace(_line(curve, colours[curve.arm], showlegend=curve.arm not in named), **at)
            named.add(curve.arm)
    figure = dressed(figure.update_xaxes(rangemode="tozero"), height=100 + 230 * rows)
    return figure.update_layout(margin={"t": 72}, legend={"y": 1 + 34 / (230 * rows)})  # above the titles of the panels


def _panels(titles: list[str], rows: int, spacing: float) -> go.Figure:
    filled: list[dict[str, str] | None] = [{} if place < len(titles) else None for place in range(rows * PANELS)]
    figure = make_subplots(
        rows=rows, cols=PANELS, subplot_titles=[as_text(title) for title in titles], horizontal_spacing=spacing,
        vertical_spacing=0.32 / max(2, rows), specs=[filled[first : first + PANELS] for first in range(0, len(filled), PANELS)],
    )  # fmt: skip
    figure.update_annotations(font={"size": 12.5, "color": MUTED})
    return figure


def _band(curve: Curve, colour: str) -> go.Scatter:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return go.Scatter(
        x=[*curve.steps, *curve.steps[::-1]], y=[*curve.high.round(5).tolist(), *curve.low[::-1].round(5).tolist()], fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{_BAND})", line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=curve.arm,
        mode="lines",
    )  # fmt: skip


def _line(curve: Curve, colour: str, *, showlegend: bool) -> go.Scatter:
    return go.Scatter(
        x=list(curve.steps), y=curve.mean.round(5).tolist(), name=curve.arm, legendgroup=curve.arm, showlegend=showlegend,
        mode="lines+markers", marker={"size": 5}, line={"color": colour, "width": 2}, hovertemplate="step %{x}: %{y:.4f}",
    )  # fmt: skip


def attention(path: PathFacts) -> go.Figure:
    """The map of step 0 where it was kept, then each arm's, all on one scale."""
    shown = [("step 0", path.before), *((of.arm, of) for of in path.attention)]
    maps = [(f"{name}: sinks {of.score:.3f}", of) for name, of in shown if of is not None]
    rows = -(-len(maps) // PANELS)
    figure = _panels([title for title, _ in maps], rows, 0.06)
    for place, (_, of) in enumerate(maps):
        figure.add_trace(_heat(of), row=1 + place // PANELS, col=1 + place % PANELS)
    figure.update_layout(coloraxis={"colorscale": "Oranges", "cmin": 0, "cmax": 1 / 3, "colorbar": {"thickness": 12, "outlinewidth": 0}})
    return by_event(dressed(figure, height=90 + 330 * rows), len(path.attention[0].mean_map))


def _heat(of: Attended) -> go.Heatmap:
    return heat_of(of.mean_map).update(coloraxis="coloraxis", colorbar=None)
