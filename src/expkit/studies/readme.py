"""The part of an experiment's README that `expkit reproduce --write` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expkit.records.files import write_text
from expkit.sweeps.sweep import runs

BEGIN = "<!-- written by `expkit reproduce --write`: what stands up to the end mark is overwritten -->"
END = "<!-- end of what `expkit reproduce --write` writes -->"
HEADING = "## What was measured"


def write_block(path: Path, facts: Mapping[str, Any], has_figure: bool) -> None:
    """Puts the block in the place of the one before; below the heading "What was measured" if there is none yet.

    Args:
        path: of the README; a file is made where there is none.
        facts: of results.json.
        has_figure: whether figure.png is beside it.
    """
    text = path.read_text() if path.exists() else f"# {facts['experiment']}\n\n{HEADING}\n"
    write_text(path, replaced(text, block(facts, has_figure)))


def replaced(text: str, new: str) -> str:
    """The text with a new block."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + new + after
    if HEADING in text:
        before, _, after = text.partition(HEADING)
        return f"{before}{HEADING}\n\n{new}\n\n{after.lstrip()}".rstrip() + "\n"
    return f"{text.rstrip()}\n\n{HEADING}\n\n{new}\n"


def block(facts: Mapping[str, Any], has_figure: bool) -> str:
    """Figure, verdicts, and what they rest on, as Markdown between two marks."""
    lines = [BEGIN, ""]
    if has_figure:
        lines += [f"![What `expkit reproduce {facts['experiment']}` measured](figure.png)", ""]
    lines += [
        "| claim | in the paper | measured here, with 95 % interval | seeds | verdict |",
        "|---|---|---|---:|---|",
    ]
    for one in facts["claims"]:
        cells = [one["claim"], one["paper"] or "", one["measured"], str(one["seeds"]), f"**{one['verdict']}**"]
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    rests = facts["rests_on"]
    machine, packages = rests["machine"], rests["packages"]
    count = sum(arm["count"] for arm in rests["runs"].values())
    lines += [
        "",
        f"`expkit reproduce {facts['experiment']}` on {facts['date']}: {runs(count)}, "
        f"torch {packages['torch'].partition('+')[0]}, Python {packages['python']}, "
        f"{machine['cores']} cores of {' '.join(machine['cpu'].split())}.",
        "Run ids, code and packages are in [results.json](results.json).",
        "",
        END,
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("; ", ";<br>")
