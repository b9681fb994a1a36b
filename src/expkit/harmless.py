"""Text without what a terminal would obey: names, messages and values may come from records that others made."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""What no name and no value of a run has: what a terminal obeys instead of showing it, and halves of characters."""


def clean(text: Any) -> str:
    """Without the escape sequences of terminals, control characters, and marks that turn the reading direction.

    New lines and tabs stay.
    """
    text = str(text)
    return CONTROLS.sub("", SEQUENCES.sub("", text)) if CONTROLS.search(text) else text


@contextmanager
def printing() -> Iterator[None]:
    """Cleans whatever is printed meanwhile, but for what a `HarmlessConsole` prints: it knows which are its own."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Cleaned(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Cleaned:
    """A stream that writes only harmless text; in all else the one that it writes to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.rich_proxied_file = stream  # as rich names the stream behind one that stands before it

    def write(self, text: str) -> int:
        self._stream.write(clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
