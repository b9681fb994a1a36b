"""`expkit new`: the beginnings of an experiment, which run at once."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from expkit import library
from expkit.errors import ConfigError, UserError

EPILOG = """\
  expkit new experiment double_descent --arxiv 1912.02292
writes conf/experiment/double_descent.yaml and experiments/double_descent/{study.py,README.md}, whose comments say what
to fill in. It runs as it is:  expkit train +experiment=double_descent scale=smoke
"""
ARXIV = r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}"


def add_new_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("kind", choices=("experiment",), help="what is begun")
    parser.add_argument("name", metavar="NAME", help="small letters, digits and _")
    parser.add_argument("--arxiv", metavar="ID", help="of its paper, such as 2310.02541")


def new(options: argparse.Namespace) -> None:
    from expkit.scaffold.writing import write

    folder = project_folder()
    check_name(options.name, folder)
    arxiv = (options.arxiv or "").removeprefix("arXiv:").removeprefix("https://arxiv.org/abs/")
    if options.arxiv and not re.fullmatch(ARXIV, arxiv):
        raise ConfigError(f"'{options.arxiv}' is not an arXiv id.", "It looks like 2310.02541, or math/0211159.")
    about = f"Say here what is run, and in which paper (arXiv {arxiv})" if arxiv else "Say here what is run"
    page = (
        f"Authors: *Title*, year, [arXiv {arxiv}](https://arxiv.org/abs/{arxiv})."
        if arxiv
        else "Authors: *Title*, year."
    )
    words = {"name": options.name, "arxiv": f'"{arxiv}"' if arxiv else "null", "about": about, "reference": page}
    try:
        done = write("experiment", folder, words)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}.") from error
    if options.json:
        print(json.dumps({"experiment": options.name, "written": list(map(str, done.written))}, indent=2))
        return
    for path in done.written:
        print(f"  {path.relative_to(folder)}")
    print("\nFill in what their comments ask for. It runs as it is:")
    print(f"  expkit train +experiment={options.name} scale=smoke")


def project_folder() -> Path:
    """The project, or expkit's own repository, that the current folder is in.

    Raises:
        ConfigError: it is in neither.
    """
    own = library.project()
    if own is not None:
        return own
    root = library.root()
    if (root / "src" / "expkit").is_dir() and Path.cwd().resolve().is_relative_to(root):
        return root
    raise ConfigError("This folder is in no project.", "Make one, and go there: expkit init lab")


def check_name(name: str, folder: Path) -> None:
    """Refuses names that cannot be, and experiments that there are."""
    from expkit.compose import experiments

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"'{name}' cannot be the name of an experiment: small letters, digits and _ only.")
    there = experiments().get(name)
    if there is not None:
        raise ConfigError(f"There is an experiment '{name}' already: {there}.", "Choose another name.")
    if (folder / "experiments" / name).exists():
        raise ConfigError(f"There is a folder {folder / 'experiments' / name} already.", "Choose another name.")
