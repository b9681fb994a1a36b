"""The dashboard's figures, from frames to Plotly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from expkit.dashboard import escape
from expkit.dashboard.points import LINES, POINTS, Map, is_logarithmic, mean_and_band, smoothed, thinned
from expkit.sweeps.sweep import runs

MOST_LINES = 120
"""In one figure of curves; more tell nobody anything."""
MOST_MEANS = 12
DASHES = ("solid", "dash", "dot", "dashdot")
SCALE = "Viridis"
CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
"""Of Plotly's own buttons."""


def curves(
    history: polars.DataFrame,
    metric: str,
    names: Mapping[str, str],
    palette: Sequence[str],
    *,
    averaged: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    smoothing: float = 0.0,
) -> go.Figure:
    """A metric over the steps of runs.

    Args:
        history: long, of `expkit.records.history`.
        names: by run id, what the legend calls it; runs of one name share a colour.
        averaged: one mean for all runs of a name, with its 95 % interval, in place of the runs.
        smoothing: the weight of the past in an exponential moving average, from 0 to 1.
    """
    figure = go.Figure()
    known = history.filter(polars.col(metric).is_not_null() & polars.col("run_id").is_in(list(names)))
    known = known.with_columns(polars.col("run_id").replace_strict(names, return_dtype=polars.String).alias("name"))
    groups = list(dict.fromkeys(names.values()))
    if averaged:
        for place, name in enumerate(groups[:MOST_MEANS]):
            _add_mean(figure, known.filter(polars.col("name") == name), metric, name, place, palette, log_x, smoothing)
    else:
        parts = known.partition_by("run_id", maintain_order=True)[:MOST_LINES]
        limit = max(20, POINTS // max(len(parts), 1))
        shown: set[str] = set()
        for part in parts:
            _add_run(figure, part, metric, groups, shown, palette, log_x, smoothing, limit)
    _step_axis(figure, known["step"], log_x)
    figure.update_yaxes(title=escape.figure(metric), type="log" if log_y else "linear")
    if log_y:
        figure.update_yaxes(exponentformat="power", dtick=1 if _decades(known[metric]) > 1.5 else None)
    return _finished(figure, legend=len(groups) > 1 or averaged)


def panel(
    logged: polars.DataFrame, metrics: Sequence[str], title: str, palette: Sequence[str], *, log_x: bool, log_y: bool
) -> go.Figure:
    """Several metrics of one run over its steps.

    Args:
        logged: column 'step', and one for each metric.
    """
    figure = go.Figure()
    limit = max(50, POINTS // (4 * len(metrics)))
    for place, metric in enumerate(metrics):
        known = logged.filter(polars.col(metric).is_not_null())
        kept = thinned(len(known), limit, log_x)
        step = known["step"].to_numpy()[kept]
        figure.add_scatter(
            x=_steps(step, log_x),
            y=known[metric].to_numpy()[kept],
            customdata=step,
            mode="lines+markers" if len(kept) < 40 else "lines",
            marker={"size": 5},
            line={"color": palette[place % len(palette)], "dash": _dash(place, palette), "width": 2},
            name=escape.figure(metric),
            hovertemplate="step %{customdata}: %{y:.4g}",
        )
    _step_axis(figure, logged["step"], log_x)
    figure.update_yaxes(title=escape.figure(title), type="log" if log_y else "linear")
    return _finished(figure, legend=True, height=340)


def _add_run(
    figure: go.Figure,
    part: polars.DataFrame,
    metric: str,
    groups: Sequence[str],
    shown: set[str],
    palette: Sequence[str],
    log_x: bool,
    smoothing: float,
    limit: int,
) -> None:
    part = part.sort("step")
    name = part["name"][0]
    place = groups.index(name)
    kept = thinned(len(part), limit, log_x)
    step = part["step"].to_numpy()[kept]
    values = smoothed(part[metric], smoothing).to_numpy()[kept]
    figure.add_scatter(
        x=_steps(step, log_x),
        y=values,
        customdata=step,
        mode="lines+markers" if len(kept) < 25 else "lines",
        marker={"size": 5},
        line={"color": palette[place % len(palette)], "dash": _dash(place, palette), "width": 1.7},
        opacity=0.9 if len(groups) > 1 or len(shown) == 0 else 0.6,
        name=escape.figure(name),
        legendgroup=str(place),
        showlegend=name not in shown,
        hovertemplate="step %{customdata}: %{y:.4g}",
    )
    shown.add(name)


def _add_mean(
    figure: go.Figure,
    part: polars.DataFrame,
    metric: str,
    name: str,
    place: int,
    palette: Sequence[str],
    log_x: bool,
    smoothing: float,
) -> None:
    band = mean_and_band(part, metric, ["step"])
    if band.is_empty():
        return
    kept = thinned(len(band), POINTS // (3 * MOST_MEANS), log_x)
    step = band["step"].to_numpy()[kept]
    x = _steps(step, log_x)
    low, mean, high = (smoothed(band[column], smoothing).to_numpy()[kept] for column in ("low", "mean", "high"))
    colour = palette[place % len(palette)]
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=_faded(colour, 0.18),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=str(place),
        mode="lines",
    )
    figure.add_scatter(
        x=x,
        y=mean,
        customdata=np.stack([step, low, high, band["runs"].to_numpy()[kept]], axis=1),
        mode="lines+markers" if len(kept) < 25 else "lines",
        marker={"size": 5},
        line={"color": colour, "dash": _dash(place, palette), "width": 2.2},
        name=escape.figure(f"{name} ({runs(int(band['runs'].to_numpy().max()))})"),
        legendgroup=str(place),
        hovertemplate="step %{customdata[0]}: %{y:.4g} [%{customdata[1]:.4g}, %{customdata[2]:.4g}], "
        "%{customdata[3]} runs",
    )


def heat_map(grid: Map, x: str, y: str, metric: str, statistic: str, log_colour: bool, missing: str) -> go.Figure:
    """A metric over two swept keys.

    Args:
        log_colour: colours tell apart orders of magnitude; values that are not above zero are left out.
        missing: the colour of cells without a finite value.
    """
    values = grid.values
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.log10(np.where(values > 0, values, np.nan)) if log_colour else values
    finite = shown[np.isfinite(shown)]
    low, high = (np.quantile(finite, [0.01, 0.99]) if finite.size > 50 else _ends(finite)) if finite.size else (0, 1)
    columns, rows = _plain(grid.x), _plain(grid.y)
    label = escape.figure(metric if statistic == "mean" else f"{statistic} of {metric}")
    bar: dict[str, Any] = {"title": {"text": label, "side": "right"}, "thickness": 14, "outlinewidth": 0}
    if log_colour and finite.size:
        bar |= _ticks_of_logarithm(float(low), float(high))
    figure = go.Figure(
        go.Heatmap(
            x=columns,
            y=rows,
            z=shown,
            customdata=np.dstack([values, grid.runs]),
            colorscale=SCALE,
            zmin=float(low),
            zmax=float(high) if high > low else float(low) + 1e-9,
            colorbar=bar,
            hoverongaps=False,
            hovertemplate=f"{escape.figure(x)} = %{{x:.4g}}<br>{escape.figure(y)} = %{{y:.4g}}<br>"
            f"{label} = %{{customdata[0]:.4g}}<br>%{{customdata[1]}} runs<extra></extra>",
        )
    )
    for update, key, centres in ((figure.update_xaxes, x, columns), (figure.update_yaxes, y, rows)):
        update(title=escape.figure(key), showgrid=False, zeroline=False)
        _value_axis(update, centres)
    _finished(figure, legend=False, height=540)
    figure.update_layout(plot_bgcolor=missing, hovermode="closest")
    return figure


def over_one_key(frame: polars.DataFrame, key: str, metric: str, palette: Sequence[str]) -> go.Figure:
    """A metric over one swept key: the runs, and their mean with its 95 % interval."""
    finite = frame.filter(polars.col(metric).is_finite())
    numeric = frame[key].dtype.is_numeric()
    finite = finite.with_columns(polars.col(key) if numeric else polars.col(key).cast(polars.String).fill_null("null"))
    band = mean_and_band(finite, metric, [key])
    band = band[thinned(len(band), 500)]
    some = finite.sample(min(len(finite), 2000), seed=0)
    figure = go.Figure()
    figure.add_scatter(
        x=_plain(some[key]),
        y=some[metric].to_numpy(),
        mode="markers",
        marker={"color": palette[0], "size": 6, "opacity": 0.35},
        name="a run",
        hovertemplate="%{x}: %{y:.4g}",
    )
    figure.add_scatter(
        x=_plain(band[key]),
        y=band["mean"].to_numpy(),
        error_y={"array": (band["high"] - band["mean"]).to_numpy(), "thickness": 1.2, "width": 3},
        mode="lines+markers" if numeric else "markers",
        line={"color": palette[1], "width": 2},
        marker={"size": 8, "color": palette[1]},
        name="mean, 95 % interval",
        hovertemplate="%{x}: %{y:.4g}",
    )
    figure.update_xaxes(title=escape.figure(key))
    figure.update_yaxes(title=escape.figure(metric))
    _value_axis(figure.update_xaxes, _plain(band[key]))
    return _finished(figure, legend=True, height=460)


def parallel(frame: polars.DataFrame, keys: Sequence[str], metric: str, best_low: bool, dark: bool) -> go.Figure:
    """A line for each run through the values of its keys, coloured by a metric; sampled where there are many.

    Args:
        best_low: whether small values of the metric are the good ones, which are drawn on top.
        dark: whether lines and texts are seen on a dark page.
    """
    finite = frame.filter(polars.col(metric).is_finite())
    if len(finite) > LINES:
        best = finite.sort(metric, descending=not best_low).head(LINES // 6)
        finite = polars.concat([finite.sample(LINES - len(best), seed=0), best])
    finite = finite.sort(metric, descending=best_low)
    values = finite[metric].cast(polars.Float64).to_numpy()
    colours = np.argsort(np.argsort(values)) if _is_skewed(values) else values
    text = "#e4e8ed" if dark else "#1d2733"
    # Without the end of the scale that the page's own colour would swallow.
    visible = sample_colorscale(SCALE, np.linspace(0.28, 1.0, 12) if dark else np.linspace(0.0, 0.93, 12))
    dimensions = [_dimension(finite[key], key) for key in [*keys, metric]]
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": colours, "colorscale": visible, "reversescale": best_low, "showscale": False},
            labelfont={"color": text, "size": 13},
            tickfont={"color": text, "size": 11},
            rangefont={"color": "rgba(0,0,0,0)", "size": 1},
            labelangle=0,
            unselected={"line": {"color": "#8a94a0", "opacity": 0.08}},
        )
    )
    figure.update_layout(height=480, margin={"l": 70, "r": 70, "t": 60, "b": 30})
    return figure


def bars(values: Mapping[str, float], label: str, colour: str) -> go.Figure:
    """Horizontal bars, the largest on top."""
    ordered = sorted(values.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in ordered],
            y=[escape.figure(name) for name, _ in ordered],
            orientation="h",
            marker={"color": colour},
            text=[f"{value:.2f}" for _, value in ordered],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title=label, rangemode="tozero")
    figure.update_yaxes(showgrid=False, type="category")
    _finished(figure, legend=False, height=130 + 38 * len(ordered))
    figure.update_layout(bargap=0.35)
    return figure


def summary_bars(frame: polars.DataFrame, metric: str, palette: Sequence[str], best_low: bool) -> go.Figure:
    """The mean of a metric for each 'name', with its 95 % interval and the runs as strokes; the best on top."""
    finite = frame.filter(polars.col(metric).is_finite())
    band = mean_and_band(finite, metric, ["name"]).sort("mean", descending=best_low)
    places = {name: place for place, name in enumerate(dict.fromkeys(frame["name"]))}
    labels = [escape.figure(name) for name in band["name"]]
    figure = go.Figure()
    figure.add_bar(
        x=band["mean"].to_numpy(),
        y=labels,
        orientation="h",
        error_x={"array": (band["high"] - band["mean"]).to_numpy(), "thickness": 1.6, "width": 5},
        marker={"color": [palette[places[name] % len(palette)] for name in band["name"]], "opacity": 0.75},
        customdata=band.select("low", "high", "runs").to_numpy(),
        hovertemplate="%{x:.4g} [%{customdata[0]:.4g}, %{customdata[1]:.4g}], %{customdata[2]} runs<extra></extra>",
        name="mean, 95 % interval",
    )
    some = finite.sample(min(len(finite), 1500), seed=0)
    figure.add_scatter(
        x=some[metric].to_numpy(),
        y=[escape.figure(name) for name in some["name"]],
        mode="markers",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 1.6, "color": "#808a96"}},
        hovertemplate="a run: %{x:.4g}<extra></extra>",
        name="a run",
    )
    figure.update_xaxes(title=escape.figure(metric))
    figure.update_yaxes(showgrid=False, type="category")
    _finished(figure, legend=False, height=150 + 34 * len(labels))
    figure.update_layout(bargap=0.35, hovermode="closest")
    return figure


def _finished(figure: go.Figure, legend: bool, height: int = 400) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 36, "b": 10},
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "title": None},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def _step_axis(figure: go.Figure, steps: polars.Series, log: bool) -> None:
    figure.update_xaxes(title="step")
    if log and len(steps):
        last = int(steps.max() or 1)  # type: ignore[arg-type]
        ticks = [
            0.5,
            *(10.0**power for power in range(math.ceil(math.log10(max(last, 1))) + 1) if 10**power <= 2 * last),
        ]
        texts = ["0", *(f"{int(tick):,}" for tick in ticks[1:])]
        figure.update_xaxes(
            type="log",
            tickvals=ticks,
            ticktext=texts,
            range=[math.log10(0.42), math.log10(max(last, 1) * 1.12)],
        )


def _steps(step: NDArray[Any], log: bool) -> NDArray[Any]:
    """Step 0 has its place to the left of step 1 on a logarithmic axis."""
    return np.maximum(step, 0.5) if log else step


def _value_axis(update: Any, values: Sequence[Any] | NDArray[Any]) -> None:
    if len(values) and isinstance(values[0], str):
        update(type="category")
    elif len(values) <= 12:
        logarithmic = is_logarithmic(values)
        update(type="log" if logarithmic else "linear", tickvals=values, ticktext=[f"{value:.3g}" for value in values])
    elif is_logarithmic(values):
        update(type="log", exponentformat="power", dtick=1 if max(values) / min(values) > 100 else None)
    else:
        update(type="linear")


def _dimension(column: polars.Series, name: str) -> dict[str, Any]:
    """An axis of parallel coordinates."""
    label = escape.figure(name if len(name) <= 22 else "…" + name[-21:])
    if not column.dtype.is_numeric():
        texts = column.cast(polars.String).fill_null("null")
        known = sorted(set(texts))
        codes = [known.index(text) for text in texts]
        return {
            "label": label,
            "values": codes,
            "tickvals": list(range(len(known))),
            "ticktext": [escape.figure(text)[:24] for text in known],
        }
    values = column.cast(polars.Float64).fill_null(float("nan")).to_numpy()
    if is_logarithmic(values[np.isfinite(values)]):
        logarithms = np.log10(values)
        return {"label": label, "values": logarithms, **_ticks_of_logarithm(logarithms.min(), logarithms.max())}
    distinct = np.unique(values)
    ticks = {"tickvals": distinct.tolist()} if len(distinct) <= 8 else {}
    return {"label": label, "values": values, "tickformat": ".3~g", **ticks}


def _ticks_of_logarithm(low: float, high: float) -> dict[str, list[Any]]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [power for power in powers if low - 1e-9 <= power <= high + 1e-9]
    if len(ticks) < 2:
        ticks = np.linspace(low, high, 4).tolist()
    elif len(ticks) > 9:
        ticks = ticks[:: -(-len(ticks) // 8)]
    return {"tickvals": ticks, "ticktext": [f"{10.0**tick:.3g}" for tick in ticks]}


def _decades(values: polars.Series) -> float:
    positive = values.filter((values > 0) & values.is_finite()).to_numpy()
    return float(np.log10(positive.max() / positive.min())) if len(positive) else 0.0


def _is_skewed(values: NDArray[np.float64]) -> bool:
    """Whether a few extremes would take all the colours."""
    if len(values) < 3:
        return False
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    full = values.max() - values.min()
    return bool(full > 4 * (high - low) or not 0.1 < (middle - low) / max(high - low, 1e-300) < 0.9)


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _plain(values: Iterable[Any]) -> list[Any]:
    return [escape.figure(value) if isinstance(value, str) else value for value in values]


def _dash(place: int, palette: Sequence[str]) -> str:
    return DASHES[place // len(palette) % len(DASHES)]


def _faded(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
