"""Text that comes from runs, made harmless where a page would read it as markup."""

from __future__ import annotations

import re
from typing import Any

SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$:~^&=\"'@/])")


def clean(text: Any) -> str:
    """Without the escape sequences of terminals, control characters, and marks that turn the reading direction."""
    return CONTROLS.sub("", SEQUENCES.sub("", str(text)))


def markdown(text: Any) -> str:
    """For Streamlit's labels, headings and `st.markdown`, on one line: every character that could mean something."""
    return MARKDOWN.sub(r"\\\1", " ".join(clean(text).split()))


def figure(text: Any) -> str:
    """For Plotly's texts, which read a subset of HTML."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
