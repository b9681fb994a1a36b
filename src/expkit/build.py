"""From configuration to objects, only from trusted modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from expkit import library, source
from expkit.errors import ConfigError, UserError
from expkit.identity import targets
from expkit.trust import check_object


def build(node: Mapping[str, Any], where: str, **provided: Any) -> Any:
    """The object that a `_target_` node describes; nested nodes are built first.

    Args:
        node: `_target_` and the arguments by name.
        where: the node's key, for messages.
        provided: arguments that the configuration does not give, such as an optimizer's parameters.

    Raises:
        ConfigError: the target is not trusted, does not exist, or refuses its arguments.
    """
    for name in targets(node):
        source.resolve(name)  # all of them, before the first is imported
    target = node["_target_"]
    constructor = locate(target)
    arguments = {key: _value(value, f"{where}.{key}") for key, value in node.items() if key != "_target_"}
    try:
        return constructor(**arguments, **provided)
    except UserError:
        raise
    except (ValueError, TypeError, AssertionError) as error:
        raise ConfigError(f"{where} ({target}): {error}") from error


def factory(node: Mapping[str, Any], where: str, argument: str) -> Callable[[Any], Any]:
    """`build` with one argument left open, such as `params` of an optimizer."""
    locate(node["_target_"])  # a wrong target is reported now, not when training starts
    return lambda value: build(node, where, **{argument: value})


def locate(target: str) -> Any:
    """The class or function of a dotted name, checked by what it is rather than by how it is spelled."""
    source.resolve(target)  # before anything is imported, which would run code
    _extend_path()
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and not f"{name}.".startswith(f"{error.name}."):
                raise UserError(f"{target} needs the package '{error.name}', which is not installed.") from error
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise ConfigError(f"{name} has no '{part}' (asked for by _target_: {target}).")
            found = getattr(found, part)
        check_object(found, target)
        return found
    raise ConfigError(f"There is no module '{'.'.join(parts[:-1])}' (asked for by _target_: {target}).")


def _value(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build(value, where)
        return {key: _value(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, f"{where}[{number}]") for number, item in enumerate(value)]
    return value


def _extend_path() -> None:
    """Makes a project's packages and `experiments` importable, after whatever is installed."""
    for folder in map(str, library.code_folders()):
        if folder not in sys.path:
            sys.path.append(folder)
