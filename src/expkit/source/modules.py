"""Where modules are, as Python would find them, without importing them or their parents."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from expkit import library, trust
from expkit.errors import ConfigError


def find_module(name: str) -> Path | None:
    """The file of a dotted module.

    Packages give their `__init__.py`, packages without one their (first) folder, compiled modules their library;
    None is a module that does not exist or has no file.
    """
    place = find(name)
    return None if place is None else place.file or place.folders[0]


@dataclass(frozen=True)
class Place:
    """A module's file, and the folders of its submodules (none for a plain module)."""

    file: Path | None
    folders: tuple[Path, ...] = ()

    @property
    def source(self) -> Path | None:
        """The file, if it is Python source."""
        return self.file if self.file is not None and self.file.suffix == ".py" else None

    def child(self, name: str) -> Place | None:
        portions = []
        for folder in self.folders:
            inner = folder / name
            if (inner / "__init__.py").is_file():
                return Place(inner / "__init__.py", (inner,))
            if (file := folder / f"{name}.py").is_file():
                return Place(file)
            if inner.is_dir():
                portions.append(inner)
            elif compiled := next(folder.glob(f"{name}.*.so"), None) or next(folder.glob(f"{name}.*.pyd"), None):
                return Place(compiled)
        return Place(None, tuple(portions)) if portions else None

    def submodules(self) -> Iterator[str]:
        """Names of the public modules in the folders."""
        for folder in self.folders:
            for path in folder.iterdir():
                if path.name[0] not in "_." and (path.suffix == ".py" or path.is_dir()):
                    yield path.stem


def find(name: str) -> Place | None:
    """Where a dotted module is, or None."""
    root, *parts = name.split(".")
    place = find_top_level(root)
    for part in parts:
        place = place.child(part) if place else None
    return place


def find_top_level(name: str) -> Place | None:
    """Where a top-level module is; first-party ones may also be in the project's and the library's folders."""
    own = tuple(library.code_folders()) if trust.may_hold_first_party(name) else ()
    key = (name, tuple(sys.path), own)
    if key not in _found:
        spec = _spec(name, own)
        if spec is None:
            return None
        folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
        file = Path(spec.origin) if spec.has_location and spec.origin else None
        if file is None and not folders:
            return None
        _found[key] = Place(file, folders)
    return _found[key]


_found: dict[tuple[str, tuple[str, ...], tuple[Path, ...]], Place] = {}


def _spec(name: str, own: tuple[Path, ...]) -> ModuleSpec | None:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module in memory that was not imported from anywhere
        return None
    # Objects are built with the project's folders at the end of sys.path, so an installed package wins, and the
    # folders of a package without __init__.py add up.
    if own and (spec is None or spec.origin is None):
        return PathFinder.find_spec(name, [*sys.path, *map(str, own)]) or spec
    return spec


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file, read again only when the file has changed.

    Raises:
        ConfigError: the file is not valid Python.
    """
    return _parse(path, *stamp(path))


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: time of modification in ns, and size."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=512)
def _parse(path: Path, mtime_ns: int, size: int) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{path} is not valid Python: {error}.") from error
