"""The experiments that there are, with what `expkit reproduce` has written down about each."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import streamlit as st

from expkit import compose, library, yaml_files
from expkit.dashboard import escape
from expkit.errors import ConfigError
from expkit.records.files import read_json


@dataclass(frozen=True)
class Experiment:
    """One experiment: its YAML as it is written, and the folder of its evidence."""

    name: str
    config: dict[str, Any]
    folder: Path

    @property
    def paper(self) -> dict[str, Any]:
        return self.config.get("paper") or {}

    @property
    def family(self) -> str:
        return str(self.paper.get("family") or "other")

    @property
    def title(self) -> str:
        return str(self.paper.get("title") or self.name)

    @property
    def arxiv(self) -> str | None:
        """The paper's number, if it looks like one."""
        number = str(self.paper.get("arxiv") or "")
        return number if re.fullmatch(r"\d{4}\.\d{4,5}(v\d+)?|[a-z-]+(\.[A-Z]{2})?/\d{7}", number) else None

    @cached_property
    def results(self) -> dict[str, Any]:
        return read_json(self.folder / "results.json") or {}

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        claims = self.results.get("claims")
        return [claim for claim in claims if isinstance(claim, dict)] if isinstance(claims, list) else []

    @cached_property
    def verdicts(self) -> dict[str, int]:
        """How many claims have which verdict."""
        return dict(Counter(str(claim.get("verdict")) for claim in self.claims))

    @cached_property
    def is_stale(self) -> bool:
        """Whether its claims or what it runs have changed since."""
        from expkit.studies.evidence import is_stale

        return bool(self.claims and is_stale(self.name))

    @property
    def figure(self) -> Path | None:
        path = self.folder / "figure.png"
        return path if path.is_file() else None

    @property
    def readme(self) -> str | None:
        """Its page without pictures, which Markdown would fetch from wherever they lie, and without its heading."""
        try:
            text = (self.folder / "README.md").read_text(errors="replace")
        except OSError:
            return None
        text = re.sub(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])", "", escape_controls(text))
        return re.sub(r"\A\s*# [^\n]*\n", "", text)


def escape_controls(text: str) -> str:
    return "\n".join(escape.clean(line) for line in text.splitlines())


def experiments() -> dict[str, Experiment]:
    """All of them by name, those of the user's own project first."""
    return {
        name: Experiment(name, _config(str(path), path.stat().st_mtime_ns), _folder(name, path))
        for name, path in compose.experiments().items()
    }


def _folder(name: str, path: Path) -> Path:
    """`experiments/<name>` beside the `conf/` that the experiment is from, else the library's."""
    own = path.parents[2] / "experiments" / name
    return own if own.is_dir() else library.root() / "experiments" / name


@st.cache_data(max_entries=5000, show_spinner=False)
def _config(path: str, changed: int) -> dict[str, Any]:
    try:
        config = yaml_files.read(Path(path))
    except ConfigError:
        return {}
    return config if isinstance(config, dict) else {}
