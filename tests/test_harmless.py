"""What commands print of records that others made: text, whatever it says."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest

from dashboard.example import written
from expkit.cli import main
from expkit.harmless import CONTROLS, printing
from expkit.views.console import HarmlessConsole

ATTACK = "\x1b[2J\x1b]0;title\x07[/] [bold]x[/bold]\r\x9b1A\u202e:smile:"


def test_what_is_printed_is_harmless_and_the_streams_are_as_before() -> None:
    before = sys.stdout
    said = io.StringIO()
    with contextlib.redirect_stdout(said), printing():
        print(ATTACK, end="")
        sys.stdout.writelines(["a\x07", "b\n\t"])
        assert not sys.stdout.isatty()
    assert said.getvalue() == "[/] [bold]x[/bold]1A:smile:ab\n\t"
    assert sys.stdout is before


def test_a_console_keeps_its_own_colours_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.text import Text

    said = io.StringIO()
    said.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with contextlib.redirect_stdout(said), printing():
        HarmlessConsole(width=80).print(Text(ATTACK, style="bold"))
        HarmlessConsole(width=80).print(ATTACK)
    first, second = said.getvalue().splitlines()
    assert first.startswith("\x1b[1m")
    assert first.endswith("[/] [bold]x[/bold]1A:smile:\x1b[0m")
    assert second.endswith("[/] [bold]x[/bold]1A:smile:")
    assert not CONTROLS.search(first.removeprefix("\x1b[1m").removesuffix("\x1b[0m") + second)


@pytest.mark.parametrize(
    "command", [["runs"], ["compare"], ["sweeps"], ["sweeps", "bad"], ["resume", "bad"], ["show", "x"]]
)
def test_hostile_records_are_shown_as_text(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    for number in range(2):
        config = {"seed": 0, "data": {"note": f"{ATTACK}{number}"}}
        written(
            runs,
            ATTACK.replace("/", "|"),
            f"{number:012x}",
            config,
            [{"step": 1, f"test/{ATTACK}": 0.5}],
            overrides=[ATTACK],
        )
    sweep = runs / ".sweeps" / "bad"
    sweep.mkdir(parents=True)
    (sweep / "sweep.json").write_text(json.dumps({"experiment": ATTACK, "launcher": ATTACK, "overrides": [ATTACK]}))
    monkeypatch.setenv("EXPKIT_RUNS", str(runs))
    monkeypatch.setenv("COLUMNS", "200")  # or names are cut
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(command)
    assert not CONTROLS.search(said.getvalue())
    assert (
        "[bold]x[/bold]" in said.getvalue() or "[bold]x[|bold]" in said.getvalue() or command[0] in ("show", "resume")
    )
