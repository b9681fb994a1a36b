"""The console that tables are printed on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from expkit.harmless import clean

WIDTH_OF_A_PIPE = 160


def new_console() -> Console:
    """As wide as the terminal; into a pipe, wide enough that a line of a table stays one line."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_PIPE
    return HarmlessConsole(width)


class HarmlessConsole(Console):
    """Colours and moves are the console's own: in the texts that it is given nothing stands for any."""

    def __init__(self, width: int | None = None) -> None:
        file = sys.stdout
        while hasattr(file, "rich_proxied_file"):  # what cleans prints, or hands them to a live display
            file = file.rich_proxied_file
        super().__init__(highlight=False, markup=False, emoji=False, width=width, file=file)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)
