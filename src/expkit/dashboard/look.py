"""What all pages share in looks: colours, words for states and verdicts, the head of a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from PIL.Image import Image, fromarray

from expkit.dashboard import escape

PALETTE = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7683", "#8c510a"),
    "dark": ("#56b4e9", "#e69f00", "#2bbf95", "#e493c0", "#f0823a", "#4f8fd0", "#98a3b0", "#f0e442"),
}
"""Okabe and Ito's colours in an order in which neighbours differ most; the dark ones are lightened to be read."""

STATES = {
    "complete": "✓ complete",
    "running": "▶ running",
    "interrupted": "◫ interrupted",
    "pruned": "✂ pruned",
    "diverged": "↗ diverged",
    "failed": "✕ failed",
    "damaged": "! damaged",
    "waiting": "· waiting",
}
"""A sign repeats what a colour would say."""
STATE_COLOURS = {"complete": "green", "running": "blue", "failed": "red", "damaged": "red", "diverged": "orange"}

VERDICTS = {
    "reproduced": ("✓ reproduced", "green"),
    "partly": ("◐ partly", "orange"),
    "not reproduced": ("✕ not reproduced", "red"),
    "not testable here": ("· not testable here", "gray"),
}

LOGO = Path(__file__).parent / "logo.svg"
STYLE = """
<style>
  .stMainBlockContainer {max-width: 1500px; padding: 4.2rem 2.2rem 3rem;}
  .stMainBlockContainer h2 {padding: 0.2rem 0 1rem;}
  .js-plotly-plot .modebar-container {opacity: 0; transition: opacity 0.2s;}
  .js-plotly-plot:hover .modebar-container {opacity: 1;}
  .stMultiSelect [data-tag] {background: color-mix(in srgb, currentColor 10%, transparent); color: inherit;}
  [data-testid="stMetric"] {padding: 0;}
  [data-testid="stMetricLabel"] p {font-size: 0.8rem; opacity: 0.75;}
  [data-testid="stCode"] div:has(> [data-testid="stElementToolbarButton"]),
  [data-testid="stCode"] div:has(> div > [data-testid="stElementToolbarButton"]) {
    opacity: 1 !important; visibility: visible !important;
  }
  [data-testid="stDataFrame"] {font-variant-numeric: tabular-nums;}
  @media (max-width: 640px) {
    .stMainBlockContainer {padding: 4.2rem 0.9rem 2rem;}
    .stElementContainer:has(> .stMultiSelect, > .stTextInput, > .stSelectbox, > .stSlider) {min-width: 12.5rem;}
    [data-testid="stMetric"] {min-width: 6.5rem;}
  }
</style>
"""
"""Nothing that comes from runs is ever put in here."""


def icon() -> Image:
    """Three rising bars, for the browser's tab. Streamlit would fetch an icon of its own from the network."""
    image = np.zeros((32, 32, 4), dtype=np.uint8)
    for place, (height, colour) in enumerate(((12, "#0072b2"), (20, "#009e73"), (28, "#d55e00"))):
        rgb = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        image[30 - height : 30, 3 + 9 * place : 10 + 9 * place] = [*rgb, 255]
    return fromarray(image)


def is_dark() -> bool:
    """Whether the reader's browser shows the dark theme."""
    return st.context.theme.type == "dark"


def palette() -> tuple[str, ...]:
    return PALETTE["dark" if is_dark() else "light"]


def head(title: str, caption: str) -> None:
    """The top of a page; both texts may come from runs."""
    with st.container(gap=None):
        st.header(escape.markdown(title), anchor=False)
        st.caption(escape.markdown(caption))


def state_badge(state: str) -> None:
    st.badge(escape.markdown(STATES.get(state, state)), color=STATE_COLOURS.get(state, "gray"))  # type: ignore[arg-type]


def verdict_badge(verdict: str, count: int | None = None) -> None:
    """A verdict, with how many claims have it where that is said."""
    label, colour = VERDICTS.get(verdict, (verdict, "gray"))
    text = label if count is None else f"{label} · {count}"
    st.badge(escape.markdown(text), color=colour)  # type: ignore[arg-type]


def counted(counts: dict[str, int]) -> None:
    """How many runs are in which state, side by side."""
    order = [*STATES, *(state for state in counts if state not in STATES)]
    with st.container(horizontal=True, gap="medium"):
        for state in order:
            if counts.get(state):
                st.metric(escape.markdown(STATES.get(state, state)), f"{counts[state]:,}", width="content")
