"""One run: how it went, what it was, what it ran in, and what to type to go on with it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars
import streamlit as st
import yaml

from expkit.dashboard import charts, choose, escape, evidence, live, look, reading
from expkit.errors import UserError
from expkit.overrides import without_runs
from expkit.records.files import read_json
from expkit.records.record import Record
from expkit.views import text

TAIL = 20_000
"""Bytes of a log."""
LARGEST_DIFF = 40_000
OFFERED = 200


def show() -> None:
    frame = choose.runs(None)
    if frame.is_empty():
        look.head("One run", "None is recorded yet")
        choose.nothing("No runs are recorded here yet.", "expkit train +experiment=grokking_xor")
        return
    row = _asked(frame)
    record = reading.record(row)
    live.follow(lambda: _state(record))
    status = record.status
    look.head(f"{row['experiment']} / {row['run_id']}", str(record.folder))
    with st.container(horizontal=True, vertical_alignment="center"):
        look.state_badge(row["state"])
        begun = str(status.get("started") or "").replace("T", " ")[:16]
        seconds = status.get("seconds")
        took = text.duration(float(seconds)) if isinstance(seconds, int | float) else None
        st.caption(escape.markdown("  ·  ".join(word for word in (begun, took, _attempts(status)) if word)))
        link = _wandb_link(record)
        if link:
            st.link_button("W&B", link, icon=":material/open_in_new:")
    _numbers(row, frame)
    _error(status)
    choose.tabs(
        {
            "Metrics": lambda: _metrics(record),
            "Configuration": lambda: _configuration(record),
            "Environment": lambda: _environment(record),
            "Figures": lambda: _figures(record),
            "Log": lambda: _log(record),
            "Commands": lambda: _commands(record),
        },
        key="run_tabs",
    )


def _asked(frame: polars.DataFrame) -> dict[str, Any]:
    """The run that the address names; else one to choose, the newest first."""
    asked = st.query_params.get("id", "")
    found = frame.filter(polars.col("run_id") == asked)
    if asked and found.is_empty():
        st.warning(f"There is no run {escape.markdown(asked)}.", icon=":material/error:")
    offered = frame.head(OFFERED)["run_id"].to_list()
    if found.height and asked not in offered:
        offered = [asked, *offered]
    labels = {run: f"{experiment} / {run}" for run, experiment in frame.select("run_id", "experiment").iter_rows()}
    index = offered.index(asked) if found.height else 0

    def choose_it() -> None:
        st.query_params["id"] = st.session_state[key]

    key = f"run_{asked}"
    chosen = st.selectbox(
        "Run", offered, index=index, key=key, on_change=choose_it, format_func=lambda run: escape.clean(labels[run])
    )
    return frame.row(by_predicate=polars.col("run_id") == chosen, named=True)


def _state(record: Record) -> str:
    return str([reading.changed(record.folder), reading.changed(record.folder / "figures")])


def _attempts(status: dict[str, Any]) -> str | None:
    attempts = status.get("attempts")
    return f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else None


def _numbers(row: dict[str, Any], frame: polars.DataFrame) -> None:
    names = [name for name in reading.metrics(frame) if row.get(name) is not None]
    with st.container(horizontal=True, gap="medium"):
        if row.get("step") is not None:
            st.metric("step", text.number(int(row["step"])), width="content")
        for name in (text.main_metrics(dict.fromkeys(names)) or names)[:6]:
            st.metric(escape.markdown(name), text.number(float(row[name])), width="content")


def _error(status: dict[str, Any]) -> None:
    error = status.get("error")
    if isinstance(error, dict):
        st.error(
            escape.markdown(f"{error.get('type')}: {str(error.get('message')).splitlines()[0]}"),
            icon=":material/error:",
        )
        with st.expander("Traceback"):
            st.code(evidence.escape_controls(str(error.get("traceback"))), language="text")


def _metrics(record: Record) -> None:
    try:
        logged = record.metrics
    except (OSError, polars.exceptions.PolarsError):
        st.info("No metrics have been logged yet.", icon=":material/hourglass_empty:")
        return
    logged = logged.with_columns(polars.lit(record.run_id).alias("run_id"))
    groups: dict[str, list[str]] = {}
    for name in logged.columns:
        if name not in ("step", "run_id") and logged[name].drop_nulls().len() > 1:
            first, _, last = name.partition("/")
            groups.setdefault(last if first in text.SPLITS else first, []).append(name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = choose.several("Panels", list(groups), "run_panels", default=list(groups)[:4])
        log_x = st.toggle("Log step", value=True, key="run_log_x")
        log_y = st.toggle("Log value", key="run_log_y")
    for start in range(0, len(shown), 2):
        for place, group in zip(st.columns(2), shown[start : start + 2], strict=False):
            figure = charts.panel(logged, groups[group], group, look.palette(), log_x=log_x, log_y=log_y)
            place.plotly_chart(figure, config=charts.CONFIG, key=f"panel_{group}")
    with st.expander("All values", icon=":material/table_rows:"):
        choose.table(logged.drop("run_id").tail(1000))


def _configuration(record: Record) -> None:
    try:
        config = record.config
    except UserError as error:
        choose.complain(error)
        return
    overrides = record.status.get("overrides") or []
    if overrides:
        st.caption("What the command set")
        st.code(evidence.escape_controls("\n".join(map(str, overrides))), language="text")
    st.caption("All of it, resolved")
    written = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    st.code(evidence.escape_controls(written), language="yaml", height=560)


def _environment(record: Record) -> None:
    facts = read_json(record.folder / "environment.json")
    if not facts:
        st.info("The environment has not been recorded.", icon=":material/help:")
        return
    git = facts.get("git") or {}
    hardware, torch = facts.get("hardware") or {}, facts.get("torch") or {}
    command = facts.get("command")
    told = {
        "expkit": facts.get("expkit"),
        "python": facts.get("python"),
        "platform": facts.get("platform"),
        "host": facts.get("host"),
        "folder": facts.get("folder"),
        "command": shlex.join(map(str, command)) if isinstance(command, list) else command,
        "commit": git.get("commit"),
        "uncommitted changes": "yes" if git.get("diff") else "no" if git else None,
        **hardware,
        **{f"torch {key}": value for key, value in torch.items()},
    }
    known = {key: str(value) for key, value in told.items() if value not in (None, [], "")}
    choose.table(polars.DataFrame({"what": list(known), "value": list(known.values())}), height=1000)
    if git.get("diff"):
        with st.expander("Uncommitted changes", icon=":material/difference:"):
            st.code(evidence.escape_controls(str(git["diff"])[:LARGEST_DIFF]), language="diff", height=420)
    packages = facts.get("packages") or {}
    if isinstance(packages, dict) and packages:
        with st.expander(f"{len(packages)} packages", icon=":material/inventory_2:"):
            table = polars.DataFrame({"package": list(packages), "version": [str(v) for v in packages.values()]})
            choose.table(table)


def _figures(record: Record) -> None:
    pictures = sorted((record.folder / "figures").glob("*.png"))
    if not pictures:
        st.info("This run has written no figures.", icon=":material/image_not_supported:")
    for picture in pictures[:20]:
        st.image(picture.read_bytes(), caption=escape.markdown(picture.stem), width="stretch")


def _log(record: Record) -> None:
    patterns = ("*.log", "logs/*", "wandb/*/files/output.log", "wandb/wandb/*/files/output.log")
    logs = sorted((path for pattern in patterns for path in record.folder.glob(pattern) if path.is_file()), key=str)
    if not logs:
        st.info("This run has no log of its own: what it printed went to its terminal.", icon=":material/notes:")
        return
    for path in logs[-3:]:
        st.caption(escape.markdown(path.relative_to(record.folder)))
        st.code(evidence.escape_controls(_tail(path)) or "(empty)", language="text", height=420)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode(errors="replace")


def _commands(record: Record) -> None:
    runs = str(reading.root())
    status = record.status
    overrides = [o for o in without_runs(status.get("overrides") or []) if not o.startswith("sweep.")]
    again = ["expkit", "train", *overrides, "--runs", runs]
    commands = {
        "Go on with it, or get its result if it is complete": again,
        "Train it again from the beginning": [*again, "--force"],
        "Run its exact configuration again in a scratch folder, and compare": [
            "expkit", "replay", record.run_id, "--runs", runs,
        ],
        "Evaluate its checkpoint": ["expkit", "eval", record.run_id, "--runs", runs],
        "Pack it into one file": ["expkit", "export", record.run_id, "--runs", runs],
        "Look at its W&B files in the terminal": ["wandb", "leet", str(record.folder / "wandb")],
    }  # fmt: skip
    if not (record.folder / "wandb").is_dir():
        del commands["Look at its W&B files in the terminal"]
    for label, command in commands.items():
        st.caption(label)
        st.code(escape.clean(shlex.join(command)), language="bash", wrap_lines=True)


def _wandb_link(record: Record) -> str | None:
    """The run's page in W&B: as recorded, else where its entity and project say it would be; None where it is not."""
    recorded = str((read_json(record.folder / "wandb.json") or {}).get("url") or "")
    if recorded.startswith(("https://", "http://")):
        return recorded
    online = any((record.folder / "wandb").glob("run-*")) or any((record.folder / "wandb" / "wandb").glob("run-*"))
    try:
        node = (record.config.get("logger") or {}).get("wandb") or {}
    except UserError:
        return None
    entity, project = node.get("entity"), node.get("project")
    if not (online and entity and project):
        return None
    base = os.environ.get("WANDB_BASE_URL", "https://wandb.ai").rstrip("/")
    return f"{base}/{quote(str(entity), safe='')}/{quote(str(project), safe='')}/runs/{quote(record.run_id, safe='')}"
