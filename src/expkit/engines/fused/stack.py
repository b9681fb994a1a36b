"""Runs that differ only in numbers, as one: their weights and data along a leading axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from expkit.data.base import Split, TensorData
from expkit.engines.fused.not_fusable import NotFusable
from expkit.tasks.base import Task

Tensors = dict[str, Tensor]

OWN_TO_A_MODULE = {"_parameters", "_buffers", "_modules", "training", "_trainer", "_fabric", "_jit_is_scripting"}
"""What modules of one structure may differ in, besides the numbers that are lifted."""


@dataclass
class Lifted:
    """A number that a module keeps and that runs differ in, such as a temperature."""

    module: str  # dotted path within the task
    attribute: str
    values: Tensor  # (R,)


@dataclass
class Stack:
    """R tasks of one structure. Every tensor has a leading axis of size R.

    Attributes:
        parameters: trained, by name.
        frozen: parameters that are not trained.
        buffers: running statistics and the like.
        lifted: plain numbers of modules that differ between runs.
        splits: the data; a column that all runs share is kept once, without the leading axis.
        shared: for each split, the columns that are shared.
    """

    parameters: Tensors
    frozen: Tensors
    buffers: Tensors
    lifted: list[Lifted]
    splits: dict[str, Split]
    shared: dict[str, frozenset[str]]

    @property
    def size(self) -> int:
        return len(next(iter(self.parameters.values())))

    def keep(self, rows: Tensor) -> None:
        """Drops all runs but those of `rows`, in their order."""
        self.parameters = {name: values[rows] for name, values in self.parameters.items()}
        self.frozen = {name: values[rows] for name, values in self.frozen.items()}
        self.buffers = {name: values[rows] for name, values in self.buffers.items()}
        for number in self.lifted:
            number.values = number.values[rows]
        for split, columns in self.splits.items():
            self.splits[split] = {
                name: values if name in self.shared[split] else values[rows] for name, values in columns.items()
            }


def stack(tasks: Sequence[Task], data: Sequence[TensorData]) -> Stack:
    """Stacks tasks and data of one structure.

    Raises:
        NotFusable: they differ in more than numbers.
    """
    lifted = differences(tasks)
    named = [dict(task.named_parameters()) for task in tasks]
    trained = [name for name, parameter in named[0].items() if parameter.requires_grad]
    splits, shared = stack_data(data)
    return Stack(
        parameters={name: torch.stack([own[name].detach() for own in named]) for name in trained},
        frozen={name: torch.stack([own[name].detach() for own in named]) for name in named[0] if name not in trained},
        buffers={
            name: torch.stack([dict(task.named_buffers())[name] for task in tasks])
            for name, _ in tasks[0].named_buffers()
        },
        lifted=lifted,
        splits=splits,
        shared=shared,
    )


def stack_data(data: Sequence[TensorData]) -> tuple[dict[str, Split], dict[str, frozenset[str]]]:
    """The splits of all runs, and which columns all runs share."""
    first = data[0].splits
    splits: dict[str, Split] = {}
    shared: dict[str, frozenset[str]] = {}
    for split, columns in first.items():
        splits[split], same = {}, set()
        for name, values in columns.items():
            column = [own.splits.get(split, {}).get(name) for own in data]
            if any(other is None or other.shape != values.shape or other.dtype != values.dtype for other in column):
                raise NotFusable("data", f"'{name}' of split '{split}' has another shape in another run")
            tensors = [other for other in column if other is not None]
            if all(other is values or torch.equal(other, values) for other in tensors):
                splits[split][name] = values
                same.add(name)
            else:
                splits[split][name] = torch.stack(tensors)
        shared[split] = frozenset(same)
    return splits, shared


def differences(tasks: Sequence[Task]) -> list[Lifted]:
    """The numbers in which tasks of one structure differ.

    Raises:
        NotFusable: they differ in something else.
    """
    first = list(tasks[0].named_modules())
    found: dict[tuple[str, str], list[float]] = {}
    for row, task in enumerate(tasks):
        for (path, module), (other_path, other) in zip(first, task.named_modules(), strict=False):
            if path != other_path or type(module) is not type(other):
                raise NotFusable("model", f"runs differ in their structure at '{path or other_path}'")
            _compare_tensors(path, module, other)
            for attribute, (mine, theirs) in _differing(module, other).items():
                if not _is_number(mine) or not _is_number(theirs):
                    raise NotFusable(
                        _key(path, attribute), f"it is {_brief(mine)} in one run and {_brief(theirs)} in another"
                    )
                found.setdefault((path, attribute), [float(mine)] * len(tasks))[row] = float(theirs)
        if sum(1 for _ in task.named_modules()) != len(first):
            raise NotFusable("model", "runs differ in their structure")
    return [Lifted(path, attribute, torch.tensor(values)) for (path, attribute), values in found.items()]


def _compare_tensors(path: str, module: nn.Module, other: nn.Module) -> None:
    for kind in ("_parameters", "_buffers"):
        mine, theirs = getattr(module, kind), getattr(other, kind)
        for name in mine.keys() | theirs.keys():
            a, b = mine.get(name), theirs.get(name)
            if (a is None) != (b is None) or (a is not None and (a.shape != b.shape or a.dtype != b.dtype)):
                raise NotFusable(_key(path, name), "it has another shape in another run")
            if a is not None and a.requires_grad != b.requires_grad:
                raise NotFusable(_key(path, name), "it is trained in some runs only")


def _differing(module: nn.Module, other: nn.Module) -> dict[str, tuple[Any, Any]]:
    if module is other:
        return {}
    mine, theirs = module.__dict__, other.__dict__
    return {
        name: (mine.get(name), theirs.get(name))
        for name in mine.keys() | theirs.keys()
        if name not in OWN_TO_A_MODULE and not _same(mine.get(name), theirs.get(name))
    }


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if callable(a) and callable(b):  # factories made anew for each task
        return getattr(a, "__qualname__", type(a)) == getattr(b, "__qualname__", type(b))
    try:
        return type(a) is type(b) and bool(a == b)
    except (RuntimeError, ValueError, TypeError):
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(path: str, attribute: str) -> str:
    return f"{path or 'task'}.{attribute}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:37]}..."
