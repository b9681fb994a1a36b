"""The sweeps: a map of two keys, all keys at once, which of them matter, the best runs, and what went wrong."""

from __future__ import annotations

import shlex
from typing import Any

import polars
import streamlit as st

from expkit.dashboard import charts, choose, escape, importance, live, look, navigation, points, reading
from expkit.dashboard.progress import progress
from expkit.errors import UserError
from expkit.overrides import without_runs
from expkit.sweeps.sweep import Sweep
from expkit.views import text

LISTED = 200
BEST = 50


def show() -> None:
    sweeps = {sweep.id: sweep for sweep in reading.all_sweeps()[:LISTED]}
    if not sweeps:
        look.head("Sweeps", f"None in {reading.root()}")
        choose.nothing(
            "No sweeps are recorded here yet.", "expkit train -m +experiment=grokking_xor 'seed=range(0,10)'"
        )
        return
    asked = st.query_params.get("sweep")
    look.head("Sweeps", f"{len(sweeps):,} in {reading.root()}")
    names = list(sweeps)
    top = st.container(horizontal=True, vertical_alignment="bottom")
    with top:
        chosen = choose.one("Sweep", names, "sweeps_sweep", index=names.index(asked) if asked in names else 0)
    assert chosen is not None
    sweep = sweeps[chosen]
    live.follow(lambda: reading.sweep_state(sweep))
    frame = reading.sweep_frame(sweep)
    _facts(sweep)
    keys, metrics = reading.swept(frame), reading.metrics(frame)
    if not metrics or not keys:
        st.info(
            "There is nothing to draw yet: no run has ended, or they do not differ.", icon=":material/hourglass_empty:"
        )
        _failures(frame)
        return
    with top:
        metric = choose.one("Metric", metrics, f"sweeps_metric_{chosen}") or metrics[0]
        low = st.toggle("Low is good", value=choose.low_is_good(metric), key=f"sweeps_low_{chosen}_{metric}")
    failed = frame.filter(polars.col("state").is_in(["failed", "diverged", "damaged"])).height
    choose.tabs(
        {
            "Map": lambda: _map(frame, keys, metric, chosen),
            "All keys": lambda: _parallel(frame, keys, metric, low),
            "Importance": lambda: _importance(frame, keys, metric, low, chosen),
            "Best runs": lambda: _best(frame, keys, metrics, metric, low, reading.is_dense(sweep)),
            f"Failures ({failed:,})": lambda: _failures(frame),
        },
        key=f"sweeps_tabs_{chosen}",
    )


def _facts(sweep: Sweep) -> None:
    info = sweep.info
    state = str(info.get("state", "damaged"))
    counts = reading.sweep_counts(sweep)
    with st.container(horizontal=True, vertical_alignment="center"):
        look.state_badge(state)
        begun = str(info.get("started") or "").replace("T", " ")[:16]
        words = [info.get("experiment"), f"{sum(counts.values()):,} runs", info.get("launcher"), begun]
        st.caption(escape.markdown("  ·  ".join(str(word) for word in words if word)))
    if len(counts) > 1:
        look.counted(counts)
    if state in ("running", "interrupted"):
        at = progress(sweep)
        left = "" if at.seconds_left is None else f", about {text.duration(at.seconds_left)} left"
        st.progress(at.fraction, text=f"{at.ended:,} of {at.total:,} runs have ended{left}")
    overrides = without_runs(info.get("overrides", []))
    with st.expander("Command", icon=":material/terminal:"):
        st.code(escape.clean(shlex.join(["expkit", "train", "-m", *overrides])), language="bash", wrap_lines=True)
        st.code(
            escape.clean(shlex.join(["expkit", "resume", sweep.id, "--runs", str(reading.root())])), language="bash"
        )


def _map(frame: polars.DataFrame, keys: list[str], metric: str, sweep: str) -> None:
    if len(keys) == 1:
        st.plotly_chart(
            charts.over_one_key(frame, keys[0], metric, look.palette()), config=charts.CONFIG, key="one_key"
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = choose.one("Across", keys, f"sweeps_x_{sweep}") or keys[0]
        others = [key for key in keys if key != x]
        first = len(others) if reading.is_seed(others[0]) else 0  # seeds are averaged over
        y = choose.one("Up", [*others, "(nothing)"], f"sweeps_y_{sweep}", index=first) or others[0]
        statistic = choose.one("Of each cell's runs", ["mean", "min", "max", "spread"], "sweeps_statistic") or "mean"
        place = st.container(width="content")
    if y == "(nothing)":
        st.plotly_chart(charts.over_one_key(frame, x, metric, look.palette()), config=charts.CONFIG, key="one_key")
        return
    x_values, y_values = frame[x].n_unique(), frame[y].n_unique()
    if max(x_values, y_values) > points.CELLS:
        frame = _zoomed(frame, x, y, sweep)
    grid = points.binned(frame, x, y, metric, statistic)
    wide = points.spans_decades(grid.values)
    log = place.toggle("Log colours", value=wide, key=f"sweeps_log_{sweep}_{metric}")
    missing = "#2a323d" if look.is_dark() else "#e9edf1"
    st.plotly_chart(charts.heat_map(grid, x, y, metric, statistic, log, missing), config=charts.CONFIG, key="heat_map")
    merged = f" Each cell takes {grid.merged[0]} by {grid.merged[1]} values." if max(grid.merged) > 1 else ""
    st.caption(f"{len(frame):,} runs over {frame[x].n_unique()} by {frame[y].n_unique()} values.{merged} "
               "Empty cells: no run there has ended with a finite value.")  # fmt: skip


def _zoomed(frame: polars.DataFrame, x: str, y: str, sweep: str) -> polars.DataFrame:
    """The part of a map that is larger than a screen, down to single runs."""
    with st.popover("Zoom", icon=":material/zoom_in:"):
        for key in (x, y):
            if not frame[key].dtype.is_numeric():
                continue
            values = frame[key].drop_nulls().unique().sort().to_list()
            low, high = st.slider(
                escape.markdown(key), 0.0, 1.0, (0.0, 1.0), 0.01, key=f"sweeps_zoom_{sweep}_{key}",
                help="Part of the values, from the smallest to the largest",
            )  # fmt: skip
            first, last = (values[round(part * (len(values) - 1))] for part in (low, high))
            st.caption(f"{first:.4g} to {last:.4g}")
            frame = frame.filter(polars.col(key).is_between(first, last))
    return frame


def _parallel(frame: polars.DataFrame, keys: list[str], metric: str, low: bool) -> None:
    shown = choose.several("Keys", keys, "sweeps_parallel", default=keys[:6])
    finite = frame.filter(polars.col(metric).is_finite())
    if not shown or finite.is_empty():
        st.info("Choose a key." if finite.height else "No run has a finite value yet.")
        return
    figure = charts.parallel(frame, shown, metric, low, look.is_dark())
    st.plotly_chart(figure, config=charts.CONFIG, key="parallel")
    some = f"{points.LINES} of {len(finite):,} runs, the best among them. " if len(finite) > points.LINES else ""
    st.caption(f"{some}Yellow is good, blue is bad. Drag along an axis to see only the runs that pass there.")


def _importance(frame: polars.DataFrame, keys: list[str], metric: str, low: bool, sweep: str) -> None:
    method = choose.one("Measure", list(importance.METHODS), "sweeps_importance") or "fANOVA"
    try:
        found = _importances(sweep, _token(frame), tuple(keys), metric, method, low, frame)
    except UserError as error:
        choose.complain(error)
        return
    st.plotly_chart(charts.bars(found, "importance", look.palette()[0]), config=charts.CONFIG, key="importance")
    st.caption(importance.METHODS[method])


def _token(frame: polars.DataFrame) -> str:
    return f"{len(frame)}-{frame['state'].value_counts().sort('state').rows()}"


@st.cache_data(max_entries=200, show_spinner="Fitting a forest to the runs")
def _importances(
    sweep: str, token: str, keys: tuple[str, ...], metric: str, method: str, low: bool, _frame: polars.DataFrame
) -> dict[str, float]:
    return importance.importance(_frame, keys, metric, method, low)


def _best(frame: polars.DataFrame, keys: list[str], metrics: list[str], metric: str, low: bool, dense: bool) -> None:
    finite = frame.filter(polars.col(metric).is_finite())
    best = finite.sort(metric, descending=not low).head(BEST)
    others = [name for name in metrics if name != metric][:5]
    table = best.select(polars.col("run").str.split("/").list.last().alias("run"), *keys, metric, *others)
    picked = choose.table(
        table,
        height=560,
        on_select="rerun",
        selection_mode="single-row",
        key=f"sweeps_best_{metric}_{low}",
    )
    rows = [row for row in picked.selection.rows if row < len(table)]
    if dense:
        st.caption("These runs are rows of the sweep's table and have no records of their own.")
    elif st.button("Open run", icon=":material/open_in_new:", disabled=not rows, key="sweeps_open"):
        navigation.go("run", id=table["run"][rows[0]])


def _failures(frame: polars.DataFrame) -> None:
    if "state" not in frame.columns:
        return
    failed = frame.filter(polars.col("state").is_in(["failed", "diverged", "damaged"]))
    if failed.is_empty():
        st.success("No run has failed or diverged.", icon=":material/check:")
        return
    keys: list[Any] = reading.swept(frame)
    error = [polars.col("error").str.split("\n").list.first().alias("error")] if "error" in frame.columns else []
    table = failed.head(LISTED).select(
        "state", *error, *keys, polars.col("run").str.split("/").list.last().alias("run")
    )
    choose.table(table, height=460)
    if len(failed) > LISTED:
        st.caption(f"The first {LISTED} of {len(failed):,}.")
    if error and failed["error"].n_unique() > 1:
        told = failed.group_by(error[0]).agg(polars.len().alias("runs")).sort("runs", descending=True).drop_nulls()
        st.caption("What they say, and how often")
        choose.table(told.head(20))
