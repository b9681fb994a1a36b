"""From one page to another. The pages themselves are put together in app.py."""

from __future__ import annotations

from typing import Any

import streamlit as st

pages: dict[str, Any] = {}
"""By the name in their address."""


def go(page: str, **query: str) -> None:
    """Leaves for another page; `query` says what it shows."""
    st.switch_page(pages[page], query_params=query)


def link(page: str, label: str, icon: str | None = None, **query: str) -> None:
    """A link to another page; `label` is Markdown."""
    st.page_link(pages[page], label=label, icon=icon, query_params=query or None)
