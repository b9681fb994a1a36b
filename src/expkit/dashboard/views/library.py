"""The experiments: which papers, what they claim, and what came out here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars
import streamlit as st

from expkit.dashboard import choose, escape, evidence, look, navigation, reading
from expkit.dashboard.evidence import Experiment

CARDS = 12
"""On a page."""


def show() -> None:
    known = evidence.experiments()
    name = st.query_params.get("experiment")
    if name in known:
        _one(known[name])
    else:
        _all(known)


def _all(known: dict[str, Experiment]) -> None:
    tested = [experiment for experiment in known.values() if experiment.claims]
    look.head("Library", f"{len(known):,} experiments, {len(tested):,} with evidence")
    found = _filtered(list(known.values()))
    found.sort(key=lambda experiment: (not experiment.claims, experiment.family, experiment.name))
    if not found:
        st.info("No experiment matches.", icon=":material/filter_alt_off:")
        return
    pages = math.ceil(len(found) / CARDS)
    page = 1
    if st.session_state.get("library_as", "Cards") == "Table":
        _table(found)
        return
    if pages > 1:
        page = st.number_input(f"Page, of {pages}", 1, pages, key="library_page", width=140)
    shown = found[(page - 1) * CARDS : page * CARDS]
    for start in range(0, len(shown), 3):
        for place, experiment in zip(st.columns(3, gap="medium"), shown[start : start + 3], strict=False):
            with place.container(border=True, height="stretch"):
                _card(experiment)


def _filtered(found: list[Experiment]) -> list[Experiment]:
    families = sorted({experiment.family for experiment in found})
    verdicts = [v for v in look.VERDICTS if any(v in experiment.verdicts for experiment in found)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input("Search", key="library_words", placeholder="name, paper, finding").lower().split()
        chosen = choose.several("Families", families, "library_families")
        wanted = choose.several("Verdicts", verdicts, "library_verdicts")
        st.segmented_control("Show as", ["Cards", "Table"], default="Cards", key="library_as", required=True)
    return [
        experiment
        for experiment in found
        if not chosen or experiment.family in chosen
        if not wanted or any(verdict in experiment.verdicts for verdict in wanted)
        if all(word in f"{experiment.name} {experiment.family} {experiment.paper}".lower() for word in words)
    ]


def _card(experiment: Experiment) -> None:
    with st.container(horizontal=True):
        st.badge(escape.markdown(experiment.family), color="gray")
        for verdict, count in experiment.verdicts.items():
            look.verdict_badge(verdict, count)
        if experiment.is_stale:
            st.badge("stale", color="orange")
    navigation.link("library", f"**{escape.markdown(experiment.name)}**", experiment=experiment.name)
    st.markdown(escape.markdown(experiment.title))
    if experiment.figure:
        st.image(experiment.figure.read_bytes(), width="stretch")
    finding = experiment.paper.get("finding")
    if finding:
        st.caption(escape.markdown(finding))
    if not experiment.claims:
        st.caption("No evidence yet.")


def _table(found: list[Experiment]) -> None:
    table = polars.DataFrame(
        {
            "experiment": [experiment.name for experiment in found],
            "family": [experiment.family for experiment in found],
            "verdicts": [
                ", ".join(f"{count} {verdict}" for verdict, count in experiment.verdicts.items()) or "-"
                for experiment in found
            ],
            "paper": [experiment.title for experiment in found],
            "arXiv": [experiment.arxiv or "" for experiment in found],
        }
    )
    picked = choose.table(
        table,
        on_select="rerun",
        selection_mode="single-row",
        key="library_table",
    )
    rows = [row for row in picked.selection.rows if row < len(found)]
    if rows:
        navigation.go("library", experiment=found[rows[0]].name)


def _one(experiment: Experiment) -> None:
    navigation.link("library", "All experiments", icon=":material/arrow_back:")
    look.head(experiment.name, experiment.title)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(escape.markdown(experiment.family), color="gray")
        for verdict, count in experiment.verdicts.items():
            look.verdict_badge(verdict, count)
        if experiment.is_stale:
            st.badge("stale: its runs or claims are others now", color="orange")
        if experiment.arxiv:
            st.markdown(f"[arXiv {experiment.arxiv}](https://arxiv.org/abs/{experiment.arxiv})")
    if experiment.paper.get("finding"):
        st.markdown(escape.markdown(experiment.paper["finding"]))
    if experiment.claims:
        for place, claim in enumerate(experiment.claims):
            _claim(claim, place)
    else:
        st.info("No evidence has been written down yet.", icon=":material/pending:")
        st.code(f"expkit reproduce {escape.clean(experiment.name)} --write", language="bash")
    if experiment.figure:
        with st.container(width=900):
            st.image(experiment.figure.read_bytes(), width="stretch")
    _rests_on(experiment)
    _runs(experiment)
    if experiment.readme:
        with st.expander("Its page", icon=":material/article:"):
            st.markdown(experiment.readme)
    with st.expander("Its configuration", icon=":material/settings:"):
        import yaml

        st.code(escape_lines(yaml.safe_dump(experiment.config, sort_keys=False, allow_unicode=True)), language="yaml")


def _claim(claim: dict[str, Any], place: int) -> None:
    with st.container(border=True, key=f"claim_{place}"):
        with st.container(horizontal=True, vertical_alignment="top"):
            look.verdict_badge(str(claim.get("verdict", "not testable here")))
            st.markdown(f"**{escape.markdown(claim.get('claim', ''))}**", width="stretch")
        checks = [check for check in claim.get("checks") or [] if isinstance(check, dict)]
        facts = {
            "the paper": claim.get("paper"),
            "measured here": None if checks else claim.get("measured"),
            "95 % interval": None if checks else _interval(claim.get("interval")),
            "seeds": claim.get("seeds"),
            "why": claim.get("reason"),
        }
        told = {label: value for label, value in facts.items() if value not in (None, "", [])}
        widths = [1 if label == "seeds" else 3 for label in told]
        for column, (label, value) in zip(st.columns(widths or 1), told.items(), strict=False):
            column.caption(label)
            column.markdown(escape.markdown(_number(value)))
        if checks:
            choose.table(
                polars.DataFrame(
                    {
                        "measured here": [str(check.get("quantity", "")) for check in checks],
                        "value": [_number(check.get("value")) for check in checks],
                        "95 % interval": [_interval(check.get("interval")) or "" for check in checks],
                        "held if": [str(check.get("asked", "")) for check in checks],
                        "outcome": [str(check.get("state", "")) for check in checks],
                    }
                )
            )


def _rests_on(experiment: Experiment) -> None:
    """What else the evidence says of itself."""
    facts = {
        key: _short(value)
        for key, value in _flat(experiment.results)
        if key not in ("claims", "experiment") and value not in (None, [], {})
    }
    if facts:
        with st.expander("What the evidence rests on", icon=":material/fact_check:"):
            table = polars.DataFrame({"what": list(facts), "value": list(facts.values())})
            choose.table(table)


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if key != "claims" and isinstance(value, dict):
            yield from ((f"{key}, {inner}", item) for inner, item in value.items())
        else:
            yield key, value


def _runs(experiment: Experiment) -> None:
    frame = reading.all_runs()
    count = frame.filter(polars.col("experiment") == experiment.name).height if len(frame) else 0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{count:,} runs recorded here")
        if count > 1 and st.button("Compare them", icon=":material/stacked_line_chart:"):
            st.session_state["compare_experiments"] = [experiment.name]
            navigation.go("compare")
    st.code(f"expkit train +experiment={escape.clean(experiment.name)}", language="bash")


def escape_lines(text: str) -> str:
    return evidence.escape_controls(text)


def _interval(value: Any) -> str | None:
    if isinstance(value, list | tuple) and len(value) == 2:
        return f"[{_number(value[0])}, {_number(value[1])}]"
    return None if value is None else _short(value)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_number(item)}" for key, item in value.items())[:500]
    if isinstance(value, list | tuple):
        items = ", ".join(_number(item) for item in value[:8])
        return items + (f", ... ({len(value)})" if len(value) > 8 else "")
    return str(value)
