"""Which jobs of a sweep may train together as one vectorized program: those that differ in numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from expkit import schema
from expkit.identity import NOT_HASHED

NUMBERS = frozenset({"seed", "trainer.gradient_clip_val", "population.member"})
"""Keys that may hold any number, as may keys of the name 'seed' in the groups below."""

NUMBERS_BELOW = frozenset({"optimizer", "scheduler"})
"""Groups whose numbers may all differ: updates are elementwise, and schedules are tabulated for each run."""

FRACTIONS_BELOW = frozenset({"data", "model", "transforms", "task"})
"""Groups whose whole numbers are sizes: only numbers that need not be whole may differ."""


@dataclass(frozen=True)
class Group:
    """Jobs that differ in numbers alone.

    Args:
        indices: their places in the sweep, ascending.
        varying: the keys that differ, such as 'optimizer.lr' or 'optimizer.betas[0]', each with a value per job.
    """

    indices: list[int]
    varying: dict[str, list[Any]]


def group(configs: Sequence[Mapping[str, Any]]) -> list[Group]:
    """The jobs by everything that may not differ within one program: structure, shapes, and control flow.

    Numbers may differ if they are seeds, in the optimizer, in the schedule, the gradient's largest norm, or, in data,
    model and task, if they need not be whole: written with a fraction, or given to an argument that takes fractions.
    Whether what is built from such numbers can be fused is for its builder to find out. Keys that do not count for
    the run id do not count here either.

    Args:
        configs: resolved; parts that several of them share (as objects) are looked at once.

    Returns:
        Groups in the order of their first jobs. Every job is in one of them.
    """
    branch = _branches()
    groups: dict[tuple[int, ...], list[list[_Branch]]] = {}
    indices: dict[tuple[int, ...], list[int]] = {}
    for index, config in enumerate(configs):
        branches = [branch(key, config[key]) for key in _counting(config)]
        structure = tuple([each.structure for each in branches])
        groups.setdefault(structure, []).append(branches)
        indices.setdefault(structure, []).append(index)
    return [Group(indices[structure], _varying(jobs)) for structure, jobs in groups.items()]


def why_not(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The keys because of which two jobs are in different groups; none if they are in the same.

    Of an object of another class only its `_target_` is named, and of what one of them lacks only the topmost key.
    """
    takes = cache(_takes_fractions)
    one, other = (
        {node.path: node.structure for key in _counting(config) for node in _nodes(key, config[key], takes)}
        for config in (a, b)
    )
    found: list[str] = []
    explained: list[str] = []
    for path in {**one, **other}:
        if one.get(path) != other.get(path) and not path.startswith(tuple(explained)):
            found.append(path)
            explained += [path.removesuffix("_target_")] if path.endswith("._target_") else [f"{path}.", f"{path}["]
    return found


@dataclass(frozen=True, eq=False)
class _Branch:
    """What is below a top-level key: a number that stands for all that may not differ, and the numbers that may."""

    structure: int
    free: dict[str, Any]


@dataclass(frozen=True)
class _Node:
    """A value in a configuration, and what of it may not differ."""

    path: str
    structure: tuple[Any, ...]
    value: Any


FREE = ("number",)

TakesFractions = Callable[[str, str], bool]


def _counting(config: Mapping[str, Any]) -> list[str]:
    return sorted(config.keys() - NOT_HASHED)


def _branches() -> Callable[[str, Any], _Branch]:
    """A function that gives the branch of a top-level key, and looks at each object once."""
    takes = cache(_takes_fractions)
    structures: dict[tuple[Any, ...], int] = {}
    known: dict[tuple[str, int], _Branch] = {}

    def read(key: str, value: Any) -> _Branch:
        nodes = list(_nodes(key, value, takes))
        structure = tuple((node.path, node.structure) for node in nodes)
        free = {node.path: node.value for node in nodes if node.structure is FREE}
        return _Branch(structures.setdefault(structure, len(structures)), free)

    def branch(key: str, value: Any) -> _Branch:
        if not isinstance(value, dict | list):
            return read(key, value)
        if (key, id(value)) not in known:
            known[key, id(value)] = read(key, value)
        return known[key, id(value)]

    return branch


def _varying(jobs: list[list[_Branch]]) -> dict[str, list[Any]]:
    """The numbers that differ between the jobs of a group, a value per job."""
    varying: dict[str, list[Any]] = {}
    for branches in zip(*jobs, strict=True):
        for path, first in branches[0].free.items() if len(set(map(id, branches))) > 1 else ():
            values = [branch.free[path] for branch in branches]
            if any(value != first for value in values):
                varying[path] = values
    return varying


def _nodes(path: str, value: Any, takes: TakesFractions, target: str = "", name: str = "") -> Iterator[_Node]:
    """A value and all within it, outer ones and `_target_` first.

    Args:
        path: of the value.
        value: what is there.
        takes: whether an argument of a `_target_` takes fractions.
        target: the `_target_` that it is an argument of; none within lists, and for mappings without one.
        name: of the argument or key; none within lists.
    """
    if isinstance(value, Mapping):
        yield _Node(path, ("mapping",), value)
        own = value.get("_target_")
        for key in sorted(value, key=lambda key: (key != "_target_", str(key))):
            yield from _nodes(f"{path}.{key}", value[key], takes, own if isinstance(own, str) else "", str(key))
    elif isinstance(value, list):
        yield _Node(path, ("list", len(value)), value)
        for index, item in enumerate(value):
            yield from _nodes(f"{path}[{index}]", item, takes)
    elif _may_differ(path, value, takes, target, name):
        yield _Node(path, FREE, value)
    else:  # with its type, for 1, 1.0 and true are equal in Python
        yield _Node(path, (type(value).__name__, str(value)), value)


def _may_differ(path: str, value: Any, takes: TakesFractions, target: str, name: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    top = path.partition(".")[0]
    if path in NUMBERS or top in NUMBERS_BELOW:
        return True
    if top not in FRACTIONS_BELOW or not name:
        return False
    return name == "seed" or isinstance(value, float) or (bool(target) and takes(target, name))


def _takes_fractions(target: str, name: str) -> bool:
    """Whether an argument is a number that need not be whole, so that 0 for it is one as well."""
    wanted = schema.argument_type(target, name)
    if wanted is None:
        return False
    kinds = {item.kind for item in (wanted.items if wanted.kind == "union" else (wanted,))}
    return "float" in kinds and "int" not in kinds
