"""What `${...}` in a configuration may do: it ends, within bounds, and reads no environment that nobody offered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

from omegaconf import Container, Node, OmegaConf
from omegaconf.resolvers import oc

from expkit import library
from expkit.errors import ConfigError

MOST_VALUES = 100_000
"""Values that are looked at to resolve a configuration; a usual one has a few hundred."""
MOST_INTERPOLATIONS = 2_000
"""Times that a `${...}` is resolved, which takes OmegaConf a millisecond; a usual configuration has ten."""


def register_resolvers() -> None:
    """The resolvers that expkit has besides OmegaConf's: `product` and `sum` of numbers; and its own `oc.env`."""
    OmegaConf.register_new_resolver("product", lambda numbers: prod(_numbers(numbers)), replace=True)
    OmegaConf.register_new_resolver("sum", lambda numbers: sum(_numbers(numbers)), replace=True)
    OmegaConf.register_new_resolver("oc.env", environment_variable, replace=True)
    # The two places that OmegaConf passes for every value, and for every `${...}` on the way to it.
    Node._dereference_node_impl = _counted(DEREFERENCE, "values")  # type: ignore[method-assign]
    Container._resolve_interpolation_from_parse_tree = _counted(RESOLVE, "interpolations")  # type: ignore[method-assign]


DEREFERENCE = Node._dereference_node_impl
RESOLVE = Container._resolve_interpolation_from_parse_tree


def environment_variable(name: str, default: Any = oc._DEFAULT_MARKER_) -> str | None:
    """The value of a variable, if it is one that may be read: configurations are recorded, and sent to loggers.

    Raises:
        ConfigError: it is not, and is set.
    """
    if name in os.environ and not _may_be_read(str(name)):
        raise ConfigError(
            f"${{oc.env:{name}}} reads a variable of the environment, which would be written into the record.",
            f'If that is meant, add to your pyproject.toml:  [tool.expkit]  environment = ["{name}"]',
        )
    return oc.env(name, default)


@contextmanager
def bounded() -> Iterator[None]:
    """Ends the resolution of interpolations that stand for each other again and again.

    Raises:
        ConfigError: there is no end in sight.
    """
    token = _left.set({"values": MOST_VALUES, "interpolations": MOST_INTERPOLATIONS})
    try:
        yield
    finally:
        _left.reset(token)


_left: ContextVar[dict[str, int] | None] = ContextVar("how many of each may still be looked at", default=None)


def _counted(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        left = _left.get()
        if left is not None:
            left[what] -= 1
            if left[what] < 0:
                raise ConfigError(
                    f"What its interpolations stand for is more than {MOST_INTERPOLATIONS:,} interpolations or "
                    f"{MOST_VALUES:,} values.",
                    "Write ${...} of what is needed only.",
                )
        return function(*arguments, **options)

    return counted


def _may_be_read(name: str) -> bool:
    project = library.project()
    offered = ((library.settings(project) if project else None) or {}).get("environment", [])
    return name.startswith("EXPKIT_") or (isinstance(offered, list) and name in offered)


def _numbers(values: Any) -> list[int | float]:
    if not all(isinstance(value, int | float) for value in values):
        raise TypeError("takes a list of numbers")
    return list(values)
