"""Every experiment runs at its smallest scale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expkit.compose import experiment_config, experiments
from expkit.library import root
from support import train


@pytest.mark.parametrize("name", sorted(experiments()))
def test_it_trains_at_smoke_scale(runs: Path, name: str) -> None:
    run = train(f"+experiment={name}", "scale=smoke", "logger=none")
    assert run["status"] == "complete"
    assert any("/" in metric for metric in run["summary"])


def test_the_readme_lists_all() -> None:
    subprocess.run([sys.executable, root() / "scripts" / "library_table", "--check"], check=True)


@pytest.mark.parametrize("name", sorted(experiments()))
def test_it_says_which_paper_it_is_of_and_has_a_page(name: str) -> None:
    paper = experiment_config(name)["paper"]
    assert {"title", "arxiv", "family", "finding"} <= set(paper)
    assert paper["arxiv"] in (root() / "experiments" / name / "README.md").read_text()
