"""Where things are: the library's own configs and experiments, and those of the user's project."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any


@functools.cache
def root() -> Path:
    """The folder that holds the library's `conf/` and `experiments/`: in the wheel, or the repository."""
    package = Path(__file__).resolve().parent
    packaged = package / "library"
    return packaged if packaged.is_dir() else package.parents[1]


@functools.cache
def project(start: Path | None = None) -> Path | None:
    """The user's project: the nearest folder upwards whose pyproject.toml has a `[tool.expkit]` table."""
    start = (start or Path.cwd()).resolve()
    return next((folder for folder in (start, *start.parents) if settings(folder) is not None), None)


@functools.cache
def settings(folder: Path) -> dict[str, Any] | None:
    """The `[tool.expkit]` table of a folder's pyproject.toml, or None."""
    try:
        with (folder / "pyproject.toml").open("rb") as file:
            return tomllib.load(file).get("tool", {}).get("expkit")
    except (OSError, tomllib.TOMLDecodeError):
        return None


def config_folders() -> list[Path]:
    """Folders searched for configs, first match first: the project's `conf/`, then the library's."""
    own = project()
    folders = [own / "conf"] if own and (own / "conf").is_dir() else []
    return [*folders, root() / "conf"]


def code_folders() -> list[Path]:
    """Folders to import a project's own packages and `experiments` from, first match first."""
    own = project()
    folders = [own, own / "src"] if own else []
    return [*folders, root()]
