"""Runs that differ only in numbers, as one: their weights and data along a leading axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from expkit.data.base import Split, TensorData
from expkit.engines.fused.not_fusable import NotFusable
from expkit.tasks.base import Task

Tensors = dict[str, Tensor]
T = TypeVar("T")

OWN_TO_A_MODULE = {"_parameters", "_buffers", "_modules", "training", "_trainer", "_fabric", "_jit_is_scripting"} | {
    "_flat_weights",  # the parameters of a recurrent layer once more
    "_flat_weight_refs",
}
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
        self._change(lambda values: values[rows], lambda values: values)

    def to(self, device: torch.device | str) -> Stack:
        """Moves everything to the device."""
        self._change(lambda values: values.to(device), lambda values: values.to(device))
        return self

    def _change(self, own: Callable[[Tensor], Tensor], common: Callable[[Tensor], Tensor]) -> None:
        """Applies `own` to what each run has for itself, `common` to what all runs share."""
        self.parameters = {name: own(values) for name, values in self.parameters.items()}
        self.frozen = {name: own(values) for name, values in self.frozen.items()}
        self.buffers = {name: own(values) for name, values in self.buffers.items()}
        for number in self.lifted:
            number.values = own(number.values)
        for split, columns in self.splits.items():
            self.splits[split] = {
                name: common(values) if name in self.shared[split] else own(values) for name, values in columns.items()
            }


def stack(tasks: Sequence[Task], data: Sequence[TensorData]) -> Stack:
    """Stacks tasks and data of one structure.

    Args:
        tasks: of each run; runs that start alike may have the same object, which is then looked at once.
        data: of each run; runs on the same data may have the same object.

    Raises:
        NotFusable: they differ in more than numbers.
    """
    distinct, index = distinct_objects(tasks)
    lifted = [Lifted(one.module, one.attribute, one.values[index]) for one in differences(distinct)]
    parameters = [dict(task.named_parameters()) for task in distinct]
    buffers = [dict(task.named_buffers()) for task in distinct]
    stacked = {name: torch.stack([own[name].detach() for own in parameters])[index] for name in parameters[0]}
    trained = {name for name, parameter in parameters[0].items() if parameter.requires_grad}
    splits, shared = stack_data(data)
    return Stack(
        parameters={name: values for name, values in stacked.items() if name in trained},
        frozen={name: values for name, values in stacked.items() if name not in trained},
        buffers={name: torch.stack([own[name] for own in buffers])[index] for name in buffers[0]},
        lifted=lifted,
        splits=splits,
        shared=shared,
    )


def stack_data(data: Sequence[TensorData]) -> tuple[dict[str, Split], dict[str, frozenset[str]]]:
    """The splits of all runs, and which columns all runs share."""
    distinct, index = distinct_objects(data)
    splits: dict[str, Split] = {}
    shared: dict[str, frozenset[str]] = {}
    for split, columns in distinct[0].splits.items():
        splits[split], same = {}, set()
        for name, values in columns.items():
            column = [own.splits.get(split, {}).get(name) for own in distinct]
            if any(other is None or other.shape != values.shape or other.dtype != values.dtype for other in column):
                raise NotFusable("data", f"'{name}' of split '{split}' has another shape in another run")
            tensors = [other for other in column if other is not None]
            if all(other is values or torch.equal(other, values) for other in tensors):
                splits[split][name] = values
                same.add(name)
            else:
                splits[split][name] = torch.stack(tensors)[index]
        shared[split] = frozenset(same)
    return splits, shared


def distinct_objects(objects: Sequence[T]) -> tuple[list[T], Tensor]:
    """Each object once, and for each place in `objects` where among them its object is."""
    places: dict[int, int] = {}
    index = [places.setdefault(id(one), len(places)) for one in objects]
    return list({id(one): one for one in objects}.values()), torch.tensor(index)


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
    precision = next(tasks[0].parameters()).dtype
    return [
        Lifted(path, attribute, torch.tensor(values, dtype=precision)) for (path, attribute), values in found.items()
    ]


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
