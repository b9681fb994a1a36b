"""Pages that follow what happens: they are drawn again when the records change, and only then."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

EVERY = 2.0  # seconds between two looks


def follow(state: Callable[[], str]) -> None:
    """Draws the page again once `state` says something else."""
    drawn = state()

    @st.fragment(run_every=EVERY)
    def watch() -> None:
        if state() != drawn:
            st.rerun(scope="app")

    watch()
