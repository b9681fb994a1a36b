"""Runs side by side: their curves, what differs in their configuration, how they ended."""

from __future__ import annotations

import polars
import streamlit as st

from expkit.dashboard import charts, choose, escape, live, look, reading

MOST = 2000
"""Runs that are compared at once."""
MOST_HISTORIES = 240
"""Whose curves are read."""
EACH = "each run"
BESIDE_THE_POINT = ("trainer", "logger", "callbacks", "probes", "tags", "name", "paper")
"""Keys below these are seldom what runs are compared for."""


def show() -> None:
    live.follow(reading.state)
    frame, what = _chosen()
    look.head("Compare", what)
    frame = _narrowed(frame)
    if frame.is_empty():
        st.info(
            "No runs are chosen. Mark some on the Runs page, or choose an experiment here.", icon=":material/inbox:"
        )
        return
    if len(frame) > MOST:
        st.caption(f"The newest {MOST:,} of {len(frame):,} runs.")
        frame = frame.head(MOST)
    keys, metrics = reading.differing(frame), reading.metrics(frame)
    if not metrics:
        st.info("These runs have logged no metric yet.", icon=":material/hourglass_empty:")
        return
    names, averaged = _named(frame, keys)
    choose.tabs(
        {
            "Curves": lambda: _curves(frame, metrics, names, averaged),
            "Results": lambda: _results(frame, metrics, names),
            "What differs": lambda: _differences(frame, keys),
        },
        key="compare_tabs",
    )


def _chosen() -> tuple[polars.DataFrame, str]:
    frame = choose.runs(None)
    ids = [part for part in st.query_params.get("runs", "").split(",") if part]
    if ids:
        found = frame.filter(polars.col("run_id").is_in(ids))
        return found, f"{len(found)} chosen runs"
    return frame, "Runs of an experiment, of a sweep, or those that a filter leaves"


def _narrowed(frame: polars.DataFrame) -> polars.DataFrame:
    sweeps = {sweep.id: sweep for sweep in reading.all_sweeps()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        experiments = frame["experiment"].unique(maintain_order=True).to_list()
        counts = dict(frame["experiment"].value_counts().iter_rows())
        several = [name for name in experiments if counts[name] > 1] or experiments
        default = experiments if st.query_params.get("runs") else several[:1]
        picked = choose.several("Experiments", experiments, "compare_experiments", default=default)
        sweep = choose.one("Sweep", ["any", *sweeps], "compare_sweep")
        where = choose.condition("compare_where")
    if st.query_params.get("runs") and st.button("Forget the chosen runs", icon=":material/close:"):
        del st.query_params["runs"]
        st.rerun()
    if picked and sweep in (None, "any"):
        frame = frame.filter(polars.col("experiment").is_in(picked))
    if sweep and sweep != "any":
        frame = choose.runs(None, dense=True) if reading.is_dense(sweeps[sweep]) else frame
        members = reading.sweep_frame(sweeps[sweep])["run"].drop_nulls().str.split("/").list.last()
        frame = frame.filter(polars.col("run_id").is_in(members.implode()))
    if where:
        frame = frame.filter(polars.col("run_id").is_in(choose.runs(where)["run_id"].implode()))
    return frame


def _named(frame: polars.DataFrame, keys: list[str]) -> tuple[dict[str, str], bool]:
    """What each run is called in legends, by its id, and whether runs of one name are averaged."""
    counts = {key: frame[key].n_unique() for key in keys if not reading.is_seed(key)}
    others = sorted(
        (key for key, count in counts.items() if count <= charts.MOST_MEANS),
        key=lambda key: (key.split(".")[0] in BESIDE_THE_POINT, -counts[key]),
    )
    seeds = any(reading.is_seed(key) for key in keys)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = [EACH, "all together", "experiment", *keys]
        first = others[0] if others else ("all together" if seeds and len(frame) > 1 else EACH)
        by = choose.several(
            "Colour by", offered, "compare_by", default=[first], help="Runs with the same values share a colour"
        )
        averaged = st.toggle(
            "Mean and 95 % band", value=seeds or len(frame) > charts.MOST_LINES, key="compare_mean",
            help="Over the runs that share a colour, such as seeds",
        )  # fmt: skip
    by = [key for key in by if key in frame.columns] if EACH not in by else ["run_id"]
    if not by:
        return dict.fromkeys(frame["run_id"], "all runs"), averaged
    if by == ["run_id"]:
        return {run: run for run in frame["run_id"]}, False
    short = {key: key.removesuffix(".name").split(".")[-1] for key in by}
    names = {
        run: ", ".join(_said(short[key], value) for key, value in zip(by, values, strict=True))
        for run, *values in frame.select("run_id", *by).iter_rows()
    }
    ordered = dict(sorted(names.items(), key=lambda item: _natural(item[1])))
    return ordered, averaged


def _curves(frame: polars.DataFrame, metrics: list[str], names: dict[str, str], averaged: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = choose.several("Metrics", metrics, "compare_metrics", default=metrics[:2])
        smoothing = st.slider("Smoothing", 0.0, 0.99, 0.0, 0.01, key="compare_smoothing", width=180)
        log_x = st.toggle("Log step", value=True, key="compare_log_x")
        log_y = st.toggle("Log value", key="compare_log_y")
    if not shown:
        st.info("Choose a metric.")
        return
    # Some of every colour, if not all can be read.
    ordered = frame.with_columns(polars.col("run_id").replace_strict(names, return_dtype=polars.String).alias("_name"))
    rank = polars.int_range(polars.len()).over("_name")
    some = ordered.sort(rank, maintain_order=True).head(MOST_HISTORIES).drop("_name")
    history = reading.histories(some, shown)
    logged = [metric for metric in shown if metric in history.columns]
    if history.is_empty():
        st.info("These runs have kept no curves, only their last values: see Results.", icon=":material/show_chart:")
        return
    if len(some) < len(frame):
        st.caption(f"Curves of {len(some)} of {len(frame):,} runs, some of every colour.")
    for start in range(0, len(logged), 2):
        pair = logged[start : start + 2]
        for place, metric in zip(st.columns(len(pair)), pair, strict=True):
            figure = charts.curves(
                history, metric, names, look.palette(),
                averaged=averaged, log_x=log_x, log_y=log_y, smoothing=smoothing,
            )  # fmt: skip
            place.plotly_chart(figure, config=charts.CONFIG, key=f"curve_{metric}")


def _results(frame: polars.DataFrame, metrics: list[str], names: dict[str, str]) -> None:
    metric = choose.one("Metric", metrics, "compare_result")
    if metric is None:
        return
    named = frame.with_columns(polars.col("run_id").replace_strict(names, return_dtype=polars.String).alias("name"))
    order = [name for name in dict.fromkeys(names.values()) if name in set(named["name"])]
    named = named.sort(polars.col("name").replace_strict({name: place for place, name in enumerate(order)}))
    count = named["name"].n_unique()
    best = named.group_by("name").agg(polars.col(metric).filter(polars.col(metric).is_finite()).mean())
    top = best.sort(metric, descending=not choose.low_is_good(metric), nulls_last=True).head(30)["name"]
    if count > 30:
        st.caption(f"The best 30 of {count:,}.")
    figure = charts.summary_bars(
        named.filter(polars.col("name").is_in(top.implode())), metric, look.palette(), choose.low_is_good(metric)
    )
    st.plotly_chart(figure, config=charts.CONFIG, key="summary_bars")
    value = polars.col(metric).filter(polars.col(metric).is_finite())
    table = named.group_by("name", maintain_order=True).agg(
        polars.len().alias("runs"),
        value.mean().alias("mean"),
        value.std().alias("deviation"),
        value.min().alias("lowest"),
        value.median().alias("median"),
        value.max().alias("highest"),
    )
    choose.table(table.head(200))


def _differences(frame: polars.DataFrame, keys: list[str]) -> None:
    if not keys:
        st.info("The configurations of these runs do not differ.", icon=":material/drag_handle:")
        return
    few = frame.head(8)
    if len(frame) <= 8:
        table = polars.DataFrame(
            {
                "key": keys,
                **{run: [_value(few[key][row]) for key in keys] for row, run in enumerate(few["run_id"])},
            }
        )
    else:
        table = polars.DataFrame(
            {
                "key": keys,
                "values": [frame[key].n_unique() for key in keys],
                "which": [_listed(frame[key]) for key in keys],
            }
        )
    st.caption(
        f"{len(keys)} keys differ, {len(reading.settings(frame)) - len(keys)} are the same in all {len(frame):,} runs."
    )
    choose.table(table, height=700)


def _listed(values: polars.Series) -> str:
    known = values.unique(maintain_order=True).sort()
    if known.dtype.is_numeric() and len(known) > 8:
        return f"{_value(known.min())} to {_value(known.max())}"
    return ", ".join(_value(value) for value in known[:12]) + (", ..." if len(known) > 12 else "")


def _said(key: str, value: object) -> str:
    return f"{key} {_value(value)}"


def _value(value: object) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else escape.clean(value)


def _natural(text: str) -> tuple[object, ...]:
    """Numbers in a text by their size."""
    parts: list[object] = []
    for word in text.replace(",", "").split():
        try:
            parts.append((0, float(word), ""))
        except ValueError:
            parts.append((1, 0.0, word))
    return tuple(parts)
