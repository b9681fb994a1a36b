"""What a study is written with: `@claim` and `@figure`, and how they are found in its file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from expkit import library
from expkit.errors import UserError
from expkit.source.modules import stamp
from expkit.studies.estimate import Check
from expkit.studies.result import Result

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """A checkable statement.

    Args:
        text: what is claimed, as a sentence.
        paper: what the paper says, with its numbers.
        reason: why it cannot be tested here, if it cannot.
        function: of the study's `Runs`; returns a `Result`, or one `Check`.
    """

    text: str
    paper: str | None
    reason: str | None
    function: Callable[..., Any]

    def evaluate(self, runs: Any) -> Result:
        """The verdict.

        Raises:
            UserError: the function gives something else.
        """
        if self.reason is not None:
            return Result("not testable here", reason=self.reason)
        result = self.function(runs)
        if isinstance(result, Check):
            from expkit.studies.checks import holds

            return holds(result)
        if not isinstance(result, Result):
            raise UserError(
                f"The claim '{self.function.__name__}' gave {result!r}, which is no verdict.",
                "Return holds(...), or not_testable(reason).",
            )
        return result


@dataclass(frozen=True)
class Panel:
    """A part of a study's figure.

    Args:
        panels: how many axes it draws on.
        function: of the study's `Runs` and of axes, or of a list of them if it has several.
    """

    panels: int
    function: Callable[..., Any]


def claim(text: str, paper: str | None = None, reason: str | None = None) -> Callable[[Function], Function]:
    """Marks a function of a study as the check of a claim.

    Args:
        text: what is claimed, as a sentence.
        paper: what the paper says, with its numbers.
        reason: why the claim cannot be tested here; the function is then not called.
    """

    def mark(function: Function) -> Function:
        function.__claim__ = Claim(text, paper, reason, function)  # type: ignore[attr-defined]
        return function

    return mark


def figure(function: Function | None = None, *, panels: int = 1) -> Any:
    """Marks a function of a study that draws a part of its figure: `@figure`, or `@figure(panels=2)`."""

    def mark(function: Function) -> Function:
        function.__panel__ = Panel(panels, function)  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def study_file(slug: str) -> Path | None:
    """`experiments/<slug>/study.py`: the project's own, else the library's; None if there is none."""
    files = (folder / "experiments" / slug / "study.py" for folder in library.code_folders())
    return next((file for file in files if file.is_file()), None)


def study_code(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when code beside a study is written, by file: evidence has to be of the code that was loaded."""
    return {path.name: stamp(path) for path in sorted(folder.glob("*.py"))}


def load(slug: str, file: Path) -> tuple[list[Claim], list[Panel]]:
    """The claims and the parts of the figure that a study's file defines, in its order.

    Raises:
        UserError: the file cannot be imported, or has no claim.
    """
    try:
        module = _imported(f"experiments.{slug}.study", file)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    claims = [value.__claim__ for value in own if hasattr(value, "__claim__")]
    if not claims:
        raise UserError(f"{file} has no claim.", "Mark a function of the study's runs with @claim(...).")
    return claims, [value.__panel__ for value in own if hasattr(value, "__panel__")]


def _imported(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _importable(library.code_folders()):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(folders: list[Path]) -> Iterator[None]:
    """A study may import what is beside it, as `experiments.<slug>.<module>`."""
    added = [str(folder) for folder in folders if str(folder) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)
