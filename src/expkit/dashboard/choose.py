"""Choices that several pages offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars
import streamlit as st

from expkit import harmless
from expkit.dashboard import escape, look, reading
from expkit.errors import UserError
from expkit.views import text

HUGE = 1e15
"""Numbers from here on a browser's table does not write."""
EXAMPLE = "optimizer.lr>0.01 and seed<5"


def condition(key: str) -> str | None:
    """A condition on runs, as `--where` takes it."""
    written = st.text_input("Filter", key=key, placeholder=EXAMPLE, help=f"As in `--where`: {escape.markdown(EXAMPLE)}")
    return written.strip() or None


def runs(where: str | None, dense: bool = False) -> polars.DataFrame:
    """The runs that a condition holds for; a page says so and ends if it is not one."""
    try:
        return reading.all_runs(where, dense)
    except UserError as error:
        complain(error)
        st.stop()


def complain(error: UserError) -> None:
    """One message about what is the user's to mend."""
    st.warning(escape.markdown(error.message), icon=":material/error:")
    if error.hint:
        st.caption(escape.markdown(error.hint))


def nothing(text: str, command: str) -> None:
    """An empty page says how it would not be."""
    st.info(text, icon=":material/inbox:")
    st.code(command, language="bash")


def one(label: str, names: Sequence[str], key: str, index: int = 0, help: str | None = None) -> str | None:
    """One of several names, which may come from runs; None if there are none."""
    if not names:
        return None
    if st.session_state.get(key) not in names:
        st.session_state.pop(key, None)
    return st.selectbox(label, names, index=min(index, len(names) - 1), key=key, format_func=escape.clean, help=help)


def several(
    label: str, names: Sequence[str], key: str, default: Sequence[str] = (), help: str | None = None
) -> list[str]:
    """Some of several names."""
    if key in st.session_state:
        st.session_state[key] = [name for name in st.session_state[key] if name in names]
    return st.multiselect(
        label,
        names,
        default=None if key in st.session_state else [name for name in default if name in names],
        key=key,
        format_func=escape.clean,
        placeholder="",
        help=help,
    )


def tabs(parts: Mapping[str, Callable[[], None]], key: str) -> None:
    """Parts of a page by what their tabs are called, of which only the open one is drawn."""
    for tab, part in zip(st.tabs(list(parts), key=key, on_change="rerun"), parts.values(), strict=True):
        if tab.open:
            with tab:
                part()


def table(frame: polars.DataFrame, height: int = 620, **options: Any) -> Any:
    """A table that shows texts as they are and numbers with five digits; `options` are those of `st.dataframe`."""
    names = {name: escape.clean(name) for name in frame.columns}
    huge = [name for name, dtype in frame.schema.items() if dtype.is_float() and _largest(frame[name]) >= HUGE]
    frame = frame.with_columns(frame[name].map_elements(text.number, polars.String) for name in huge)
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    columns = {names[name]: st.column_config.NumberColumn(names[name], format=_format(frame[name])) for name in floats}
    return st.dataframe(
        cleaned(frame),
        hide_index=True,
        placeholder="",
        height="content" if 34 * len(frame) + 34 < height else height,
        column_config={**columns, **options.pop("column_config", {})},
        **options,
    )


def _largest(column: polars.Series) -> float:
    return column.filter(column.is_finite()).abs().max() or 0.0  # type: ignore[return-value]


def _format(column: polars.Series) -> str:
    """Exponents where numbers would be too long without."""
    sizes = column.filter(column.is_finite() & (column != 0)).abs()
    is_long = len(sizes) > 0 and (sizes.max() >= 1e7 or sizes.min() < 1e-5)  # type: ignore[operator]
    return "%.2e" if is_long else "%.5g"


def cleaned(frame: polars.DataFrame) -> polars.DataFrame:
    """The same without control characters in texts and names; states with their signs."""
    texts = [name for name, dtype in frame.schema.items() if dtype == polars.String]
    pattern = f"{harmless.SEQUENCES.pattern}|{harmless.CONTROLS.pattern}"
    frame = frame.with_columns(polars.col(name).str.replace_all(pattern, "") for name in texts)
    if "state" in frame.columns:
        frame = frame.with_columns(polars.col("state").replace(look.STATES))
    return frame.rename({name: escape.clean(name) for name in frame.columns})


def low_is_good(metric: str) -> bool:
    """Whether a metric's name says that small values are the good ones."""
    last = metric.split("/")[-1]
    return any(word in last for word in ("loss", "mse", "mae", "error", "perplexity", "seconds", "nll"))
