"""A project of a user's own with a study of six quick runs, worked on in this process."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from expkit import compose, library
from expkit.cli import main
from expkit.source import modules

PROJECT = {
    "pyproject.toml": '[tool.expkit]\ntrusted = ["tiny_lab"]\n',
    "tiny_lab/__init__.py": "",
    "tiny_lab/net.py": '''
from collections.abc import Sequence

from torch import Tensor, nn


class Net(nn.Module):
    """A linear classifier that refuses one seed."""

    accepts = ("vector",)

    def __init__(self, input_shape: Sequence[int], n_outputs: int, seed: int, refused: int | None = None) -> None:
        super().__init__()
        if seed == refused:
            raise RuntimeError(f"seed {seed} is refused")
        self.layer = nn.Linear(input_shape[0], n_outputs)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)
''',
    "conf/model/net.yaml": """
_target_: tiny_lab.net.Net
input_shape: ${data.spec.shape}
n_outputs: ${task.n_outputs}
seed: ${seed}
refused: null
""",
    "conf/experiment/tiny.yaml": """
# @package _global_
# Training moves a classifier, and no training does not.
defaults:
  - override /data: two_moons
  - override /model: net
  - override /optimizer: sgd
  - override /callbacks: none
paper: {title: A paper, arxiv: "0000.00000", family: made_up, finding: It learns.}
optimizer: {lr: 0.5}
trainer: {max_steps: 20, eval_at: [0, 10, 20]}
study:
  sweep: {seed: 'range(0,3)'}
  arms: {trained: {}, untrained: {optimizer.lr: 0}}
scales: {smoke: {trainer.max_steps: 2, trainer.eval_at: [0, 2]}}
""",
    "experiments/tiny/README.md": "# tiny\n\n**Paper.** None.\n\n## What was measured\n\n## Differences\n\nAll.\n",
    "experiments/tiny/study.py": """
from expkit.studies import band, claim, figure, holds


@claim("The trained classifier has the lower loss", paper="training helps")
def learns(runs):
    return runs.arm("trained").last()["test/loss"] < runs.arm("untrained").last()["test/loss"]


@claim("The untrained one changes")
def changes(runs):
    first, end = (runs.arm("untrained").at(step=step)["test/loss"] for step in (0, 20))
    return holds(end < first)


@claim("It scales", reason="there is nothing to scale")
def scales(runs):
    raise AssertionError("a claim that cannot be tested is not called")


@figure
def losses(runs, axes):
    for arm in runs.arms:
        band(axes, runs.arm(arm).curve("test/loss"), arm)
    axes.legend()
""",
}


class Project:
    """The project's folder, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def expkit(self, *arguments: str) -> tuple[Any, int, str]:
        """What a command printed (as JSON, if it was asked for that), its exit status, and what it said of errors."""
        # Without starting processes, unless a test is about them.
        own = ["hydra/launcher=fused"] if arguments[0] == "reproduce" and "--jobs" not in arguments else []
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([*arguments, *own])
        return (
            (json.loads(out.getvalue()) if "--json" in arguments and not status else out.getvalue()),
            status,
            (err.getvalue()),
        )

    def edit(self, name: str, old: str, new: str) -> Callable[[], None]:
        """Replaces text in a file; returns what undoes it."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return lambda: path.write_text(text) and None


def forget() -> None:
    """What a process remembers of the folder that it was started in."""
    for remembered in (library.project, library.settings, compose.loader):
        remembered.cache_clear()
    modules._found.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tiny_lab"]:
        del sys.modules[name]


def made(folder: Path) -> Path:
    for name, text in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip("\n"))
    return folder


@contextlib.contextmanager
def tiny_project(folder: Path) -> Iterator[Project]:
    """The project, made in a folder that is the current one while it is used."""
    made(folder)
    with contextlib.chdir(folder):
        forget()
        yield Project(folder)
    forget()
