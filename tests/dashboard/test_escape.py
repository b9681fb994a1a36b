"""Text from runs, as Markdown and as Plotly's HTML."""

from __future__ import annotations

import html
import re

import pytest

from dashboard.example import ERROR, ESCAPES, HOSTILE
from expkit.dashboard import escape

ADDRESS = "see http://evil.example/x, WWW.evil.example and someone@evil.example"
TEXTS = [
    HOSTILE,
    ERROR,
    ADDRESS,
    "[a](javascript:alert(1))",
    "# *b* `c` $x$ :red[d] ~~e~~",
    "a_b.c/d=1e-3",
    "\u202egpj.exe",
]


def test_terminal_sequences_are_gone() -> None:
    assert escape.clean(ESCAPES) == "red "
    assert escape.clean("a\x1b[2Jb\x07c\x9bd\u202e") == "abcd"
    assert escape.clean("two\nlines\t") == "two\nlines\t"


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_the_text_itself(text: str) -> None:
    """CommonMark: a backslash before ASCII punctuation makes it literal; so all of it that means something has one."""
    escaped = escape.markdown(text)
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped).replace(escape.JOINER, "")
    assert shown == " ".join(escape.clean(text).split())
    assert not re.search(r"(?<!\\)[`*_{}\[\]()<>#$:~|]", re.sub(r"\\\\", "", escaped))


@pytest.mark.parametrize("text", TEXTS)
def test_plotly_shows_the_text_itself(text: str) -> None:
    escaped = escape.figure(text)
    assert "<" not in escaped
    assert html.unescape(escaped) == escape.clean(text)


def test_addresses_are_no_links() -> None:
    """What GitHub's Markdown makes links of, after it has read the escapes."""
    read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escape.markdown(ADDRESS))
    assert not re.search(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(\.[-\w]+)+", read, re.IGNORECASE)
