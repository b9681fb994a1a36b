"""`expkit init`: a project of one's own, with an example that runs."""

from __future__ import annotations

import argparse
import json
import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from expkit.errors import ConfigError

EPILOG = """\
  expkit init lab              a folder `lab` with a package `lab`
  expkit init .                the current folder becomes one
  expkit init thesis --package waves
It has configuration, a package with one model and one data set, an experiment with its study, tests, a Makefile and a
page. In it, `expkit` finds the project's pieces beside those of the library.
"""
OWN = frozenset({"conf", "experiments", "tests", "runs", "expkit", "torch", "lightning", "torchmetrics"})
"""Folders that a project has besides its package, and packages that configurations name."""


def add_init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("folder", metavar="LAB", type=Path)
    parser.add_argument("--package", metavar="NAME", help="of its Python package (default: after the folder)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also where there are files already; those of the same name stay as they are",
    )


def init(options: argparse.Namespace) -> None:
    from expkit.scaffold.writing import write

    folder = options.folder.absolute()
    if folder.name in ("", ".."):
        folder = folder.resolve()
    package = options.package or package_name(folder.name)
    check_package(package, folder, given=options.package is not None)
    check_folder(folder, options.force)
    try:
        done = write(
            "project", folder, {"name": folder.name, "package": package, "distribution": package.replace("_", "-")}
        )
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror or error}.") from error
    if options.json:
        files = {key: [str(path.relative_to(folder)) for path in getattr(done, key)] for key in ("written", "kept")}
        print(json.dumps({"folder": str(folder), "package": package, **files}, indent=2))
        return
    for path in done.written:
        print(f"  {path.relative_to(folder)}")
    for path in done.kept:
        print(f"  {path.relative_to(folder)}  (was there, and is left as it was)")
    if any(path.name == "pyproject.toml" for path in done.kept):
        print(f'\nAdd to pyproject.toml, if it is not there:  [tool.expkit]  trusted = ["{package}"]')
    here = folder == Path.cwd()
    print(f"\n{folder.name} is a project. Next:\n")
    for command in ([] if here else [f"cd {options.folder}"]) + [
        "expkit train +experiment=two_rings",
        "expkit reproduce two_rings",
        "python -m pytest",
        "expkit new experiment NAME",
    ]:
        print(f"  {command}")


def package_name(folder: str) -> str:
    """A folder's name as that of a package: lower case, with _ for what no name may have."""
    return re.sub(r"\W+", "_", folder.lower()).strip("_")


def check_package(name: str, folder: Path, given: bool) -> None:
    """Refuses names that no package can have, or that another one has."""
    hint = "Another name, please." if given else "Choose one: --package NAME."
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(f"'{name}' cannot be the name of a package: small letters, digits and _ only.", hint)
    if name in OWN or name in sys.stdlib_module_names:
        raise ConfigError(f"The package cannot be named '{name}', which is something else already.", hint)
    found = PathFinder.find_spec(name)  # a folder without __init__.py has no origin, and is nobody's package
    if found is not None and found.origin is not None and not Path(found.origin).is_relative_to(folder):
        raise ConfigError(f"There is an installed package '{name}' already.", hint)


def check_folder(folder: Path, force: bool) -> None:
    """Refuses to write among files that are there."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file.", "Name a folder that does not exist, or is empty.")
    if folder.is_dir() and not force and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty.", "--force adds what is missing; files that are there stay as they are."
        )
