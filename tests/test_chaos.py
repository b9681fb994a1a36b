"""What scripts/chaos/ does to expkit, in short: docs/trust.md has what the full campaigns found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from expkit.library import root

sys.path.append(str(root() / "scripts" / "chaos"))

import run

CAMPAIGNS = run.campaigns()


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_promise_is_broken(name: str, tmp_path: Path) -> None:
    rows = list(CAMPAIGNS[name].campaign(tmp_path, True))
    assert rows
    assert all(row.tried for row in rows)
    assert [broken for row in rows for broken in row.broken] == []


def test_the_document_has_a_place_for_each() -> None:
    text = run.DOCS.read_text()
    assert [name for name in CAMPAIGNS if f"<!-- campaign {name} -->" not in text] == []
