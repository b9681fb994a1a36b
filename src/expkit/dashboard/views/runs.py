"""All runs, as a table to filter, sort and group."""

from __future__ import annotations

from typing import Any

import polars
import streamlit as st

from expkit.dashboard import choose, escape, live, look, navigation, reading
from expkit.dashboard.look import STATES

ROWS = 500
"""That the browser is sent; filters and sorting act on all runs."""
COLUMNS = {
    "run_id": st.column_config.TextColumn("run", width=118, pinned=True),
    "started": st.column_config.DatetimeColumn("started", format="YYYY-MM-DD HH:mm"),
    "seconds": st.column_config.NumberColumn("seconds", format="%.1f"),
    "step": st.column_config.NumberColumn("step", format="localized"),
}
METRICS = 4
KEYS = 5


def show() -> None:
    live.follow(reading.state)
    everything = choose.runs(None)
    dense = sum(map(reading.is_dense, reading.all_sweeps()))
    also = f", and {dense} dense sweep{'s' * (dense > 1)} with a table of its own" if dense else ""
    look.head("Runs", f"{len(everything):,} recorded in {reading.root()}{also}")
    if everything.is_empty() and not dense:
        choose.nothing("No runs are recorded here yet.", "expkit train +experiment=grokking_xor")
        return
    for complaint in reading.complaints():
        st.warning(escape.markdown(complaint), icon=":material/healing:")
    look.counted(dict(everything["state"].value_counts().iter_rows()))
    frame = _filtered(everything, dense > 0)
    keys, metrics = reading.differing(frame), reading.metrics(frame)
    group, columns, order = _arrangement(frame, keys, metrics)
    if frame.is_empty():
        st.info("No run matches.", icon=":material/filter_alt_off:")
    elif group:
        _show_groups(frame, group, [name for name in columns if "/" in name], order)
    else:
        _show_runs(frame, columns, order)


def _filtered(everything: polars.DataFrame, is_dense: bool) -> polars.DataFrame:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        where = choose.condition("runs_where")
        experiments = choose.several(
            "Experiments", everything["experiment"].unique().sort().to_list(), "runs_experiments"
        )
        states = choose.several("States", [s for s in STATES if s in set(everything["state"])], "runs_states")
        dense = is_dense and st.toggle("Runs of dense sweeps", key="runs_dense")
    frame = choose.runs(where, dense) if where or dense else everything
    if experiments:
        frame = frame.filter(polars.col("experiment").is_in(experiments))
    return frame.filter(polars.col("state").is_in(states)) if states else frame


def _arrangement(frame: polars.DataFrame, keys: list[str], metrics: list[str]) -> tuple[list[str], list[str], Any]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = choose.several(
            "Group by",
            ["experiment", *reading.settings(frame)],
            "runs_group",
            help="Means and intervals over each group",
        )
        order = choose.one("Sort by", ["started", "seconds", "experiment", "state", *metrics, *keys], "runs_order")
        down = st.toggle("Largest first", value=True, key="runs_down")
        with st.popover("Columns", icon=":material/view_column:"):
            columns = choose.several(
                "Columns",
                [*keys, *metrics, *(name for name in reading.settings(frame) if name not in keys)],
                "runs_columns",
                default=[*keys[:KEYS], *metrics[:METRICS]],
            )
    return group, columns, (order, down)


def _show_runs(frame: polars.DataFrame, columns: list[str], order: tuple[str, bool]) -> None:
    by, down = order
    names = ["run_id", "experiment", "state", "started", "seconds", "step", *columns]
    names = [name for name in dict.fromkeys(names) if name in frame.columns]
    shown = frame.sort(by, descending=down, nulls_last=True, maintain_order=True).head(ROWS)
    picked = choose.table(
        _dated(shown.select(names)),
        column_config=COLUMNS,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"runs_table_{by}_{down}",
    )
    more = f"The first {ROWS} of {len(frame):,} runs; filter to see others. " if len(frame) > ROWS else ""
    st.caption(f"{more}Mark runs at the left edge to open or compare them.")
    rows = [row for row in picked.selection.rows if row < len(shown)]
    chosen = shown[rows]["run_id"].to_list()
    with st.container(horizontal=True):
        if st.button("Open run", icon=":material/open_in_new:", disabled=len(chosen) != 1):
            navigation.go("run", id=chosen[0])
        if st.button(
            f"Compare {len(chosen) or ''}".strip(), icon=":material/stacked_line_chart:", disabled=len(chosen) < 2
        ):
            navigation.go("compare", runs=",".join(chosen))
        if st.button(f"Compare all {len(frame):,}", icon=":material/select_all:", disabled=len(frame) < 2):
            st.session_state["compare_where"] = st.session_state.get("runs_where", "")
            st.session_state["compare_experiments"] = st.session_state.get("runs_experiments", [])
            navigation.go("compare")


def _show_groups(frame: polars.DataFrame, group: list[str], metrics: list[str], order: tuple[str, bool]) -> None:
    from expkit.dashboard.points import mean_and_band

    table = frame.group_by(group).agg(polars.len().alias("runs"))
    for metric in metrics:
        band = mean_and_band(frame, metric, group)
        half = ((band["high"] - band["low"]) / 2).alias(f"± {metric}")
        table = table.join(
            band.select(*group, polars.col("mean").alias(metric)).with_columns(half),
            on=group,
            how="left",
            nulls_equal=True,
        )
    by, down = order
    table = table.sort(by if by in table.columns else "runs", descending=down, nulls_last=True)
    choose.table(table.head(ROWS))
    st.caption(
        f"{len(table):,} groups of {len(frame):,} runs; means, and ± half of their 95 % interval over the group."
    )


def _dated(frame: polars.DataFrame) -> polars.DataFrame:
    if frame.schema.get("started") == polars.String:
        frame = frame.with_columns(polars.col("started").str.to_datetime(time_zone="UTC", strict=False))
    return frame
