"""Text that comes from runs, made harmless where a page would read it as markup."""

from __future__ import annotations

import re
from typing import Any

from expkit.harmless import clean

MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$:~^&=\"'@/])")
LINKS = re.compile(r"https?:(?=//)|www(?=\.)|(?<=\S)@(?=\S)", re.IGNORECASE)
JOINER = "\u2060"
"""Is not seen, and parts what addresses are recognized by, which are made links however they are escaped."""


def markdown(text: Any) -> str:
    """For Streamlit's labels, headings and `st.markdown`, on one line: every character that could mean something."""
    plain = LINKS.sub(rf"\g<0>{JOINER}", " ".join(clean(text).split()))
    return MARKDOWN.sub(r"\\\1", plain)


def figure(text: Any) -> str:
    """For Plotly's texts, which read a subset of HTML."""
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
