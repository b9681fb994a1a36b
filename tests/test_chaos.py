"""What scripts/chaos/ does to expkit, in short: docs/trust.md has what the full campaigns found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from expkit.library import root

FOLDER = root() / "scripts" / "chaos"
CAMPAIGNS = sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef campaign(" in path.read_text())


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_promise_is_broken(name: str) -> None:
    command = [sys.executable, FOLDER / "run.py", "--short", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("no promise broken")
    assert " tried, 0 broken" in done.stdout


def test_the_document_has_a_place_for_each() -> None:
    text = (root() / "docs" / "trust.md").read_text()
    assert CAMPAIGNS
    assert [name for name in CAMPAIGNS if f"<!-- campaign {name} -->" not in text] == []
