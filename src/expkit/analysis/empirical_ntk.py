"""The neural tangent kernel of a network as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.utils._pytree import tree_leaves, tree_map

from expkit.data.base import Split
from expkit.transforms.scaled_layers import ScaledLinear

if TYPE_CHECKING:
    from expkit.tasks.base import Task

Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
Outputs = Literal["full", "trace"]


def empirical_ntk(
    model: nn.Module,
    inputs: Inputs,
    others: Inputs | None = None,
    outputs: Outputs = "full",
    dtype: torch.dtype = torch.float64,
    memory: int = 2**26,
) -> Tensor:
    r"""Theta(x, x')_{ab} = \sum_p df_a(x)/dtheta_p df_b(x')/dtheta_p over all trainable parameters (arXiv 1806.07572).

    Exact, whatever the architecture. The model is taken in the mode that it is in: put it into evaluation mode, where
    the output of an example depends on no other.

    The weight of a linear layer that is called once, on one vector per example, has the gradient delta a^T, delta being
    the gradient at its output and a its input. Its share of the kernel is <delta, delta'> <a, a'>, for which this
    gradient is never formed: that of a width of thousands costs no more than forward and backward passes. (Such a
    weight must not enter the output in another way as well, read from the module by hand.)

    Cost: k backward passes per example for k outputs, and n k P numbers of memory, where P counts the parameters of
    other than such layers. Where that is more than `memory`, pairs of parts of the examples are done after one another,
    and the gradients of a part are computed once for each other part.

    Args:
        model: (n, ...) -> (n, ...); each example's output is flattened to k numbers.
        inputs: n examples: a tensor, several that the model takes in this order, or whatever mapping of tensors it
            takes.
        others: m examples for the second argument; by default the same.
        outputs: 'full' for all pairs of outputs, or 'trace' for the sum over equal ones, \sum_a Theta(x, x')_{aa}.
        dtype: that parameters and inputs are converted to.
        memory: about how many numbers gradients may take at once.

    Returns:
        (n k, m k) with row i k + a for output a of example i; for 'trace' (n, m).
    """
    first = _as_arguments(inputs)
    jacobian = _Jacobian(model, first, dtype, outputs)
    n, part = _count(first), jacobian.examples_that_fit(memory)
    if others is not None:
        second = _as_arguments(others)
        rows, columns = _parts(first, n, part), _parts(second, _count(second), part)
        return torch.cat(
            [torch.cat([own.kernel(jacobian.of(column)) for column in columns], 1) for own in map(jacobian.of, rows)]
        )
    parts = _parts(first, n, part)
    blocks: dict[tuple[int, int], Tensor] = {}
    for i, row in enumerate(parts):
        own = jacobian.of(row)
        blocks[i, i] = own.kernel(own)
        for j in range(i + 1, len(parts)):
            blocks[i, j] = own.kernel(jacobian.of(parts[j]))
            blocks[j, i] = blocks[i, j].T
    return torch.cat([torch.cat([blocks[i, j] for j in range(len(parts))], 1) for i in range(len(parts))])


def task_ntk(
    task: Task,
    split: Split,
    others: Split | None = None,
    outputs: Outputs = "full",
    dtype: torch.dtype = torch.float64,
    memory: int = 2**26,
) -> Tensor:
    """`empirical_ntk` of what a task's model makes of examples, `task.output`; of any task, with any columns.

    Args:
        task: whose model's parameters count.
        split: n examples, a column each of what is known of them.
        others, outputs, dtype, memory: as there.
    """
    chosen = _columns(task, split), None if others is None else _columns(task, others)
    return empirical_ntk(_Output(task), *chosen, outputs=outputs, dtype=dtype, memory=memory)


class _Output(nn.Module):
    """A task whose call is its model's output."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Split) -> Tensor:
        return self.task.output(batch)


def _columns(task: Task, split: Split) -> Split:
    return {name: split[name] for name in task.columns}


@dataclass
class _Gradients:
    """Of the outputs of some examples; rows are those of the kernel.

    Attributes:
        whole: (rows, parameters) for each tensor of parameters that has no structure.
        outer: for each linear layer, the gradients at its output, (rows, out), its inputs, (rows, in), and what its
            bias adds to the product of two inputs.
    """

    whole: list[Tensor]
    outer: list[tuple[Tensor, Tensor, float]]

    def kernel(self, other: _Gradients) -> Tensor:
        shares = [mine @ theirs.T for mine, theirs in zip(self.whole, other.whole, strict=True)]
        shares += [
            (delta @ delta_.T) * (a @ a_.T + bias)
            for (delta, a, bias), (delta_, a_, _) in zip(self.outer, other.outer, strict=True)
        ]
        return torch.stack(shares).sum(0)


class _Jacobian:
    """The gradients of a model's outputs, as `_Gradients`."""

    def __init__(self, model: nn.Module, arguments: tuple[Any, ...], dtype: torch.dtype, outputs: Outputs) -> None:
        self.model, self.outputs, self.dtype = model, outputs, dtype
        trained = {name: p.detach().to(dtype) for name, p in model.named_parameters() if p.requires_grad}
        frozen = {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
        frozen |= {name: buffer.detach() for name, buffer in model.named_buffers()}
        self.constants = {name: _to(value, dtype) for name, value in frozen.items()}
        example = tree_map(lambda values: _to(values[:1], dtype), arguments)
        self.layers, self.k = self._plain_linear_layers({**trained, **self.constants}, example)
        factored = {f"{layer}.{kind}" for layer in self.layers for kind in ("weight", "bias")}
        self.constants |= {name: value for name, value in trained.items() if name in factored}
        self.whole = {name: value for name, value in trained.items() if name not in factored}
        if not self.whole and not self.layers:
            raise ValueError("a tangent kernel needs trainable parameters, and the model has none")

    def examples_that_fit(self, memory: int) -> int:
        linear = [self.model.get_submodule(layer) for layer in self.layers]
        outer = sum(layer.in_features + layer.out_features for layer in linear if isinstance(layer, nn.Linear))
        return max(1, memory // (self.k * (sum(map(torch.numel, self.whole.values())) + outer)))

    def of(self, arguments: tuple[Any, ...]) -> _Gradients:
        arguments = tree_map(lambda values: _to(values, self.dtype), arguments)
        weights = {layer: self.constants[f"{layer}.weight"] for layer in self.layers}
        zeros = {layer: weight.new_zeros(len(weight)) for layer, weight in weights.items()}
        with self._hooked() as (inputs, nudges):

            def output(
                whole: dict[str, Tensor], nudge: dict[str, Tensor], example: tuple[Any, ...]
            ) -> tuple[Tensor, dict[str, Tensor]]:
                nudges.update(nudge)
                one = tree_map(lambda values: values.unsqueeze(0), example)
                value = functional_call(self.model, {**self.constants, **whole}, one)
                return value.reshape(-1), {layer: inputs[layer].reshape(-1) for layer in self.layers}

            jacobian = vmap(jacrev(output, argnums=(0, 1), has_aux=True), in_dims=(None, None, 0))
            (whole, outer), a = jacobian(self.whole, zeros, arguments)
        return _Gradients(
            [self._rows(own) for own in whole.values()],
            [self._outer(layer, self._rows(outer[layer]), self._inputs(a[layer])) for layer in self.layers],
        )

    def _rows(self, jacobian: Tensor) -> Tensor:
        """(n, k, ...) to a row for each output of each example, or for each example with all its outputs."""
        if self.outputs == "trace":
            return jacobian.flatten(1)
        return jacobian.flatten(2).flatten(0, 1) if jacobian.ndim > 2 else jacobian.flatten().unsqueeze(1)

    def _inputs(self, a: Tensor) -> Tensor:
        return a if self.outputs == "trace" else a.repeat_interleave(self.k, 0)

    def _outer(self, name: str, delta: Tensor, a: Tensor) -> tuple[Tensor, Tensor, float]:
        layer = self.model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        weight, bias = (
            (layer.weight_multiplier, layer.bias_multiplier) if isinstance(layer, ScaledLinear) else (1.0, 1.0)
        )
        trained = layer.bias is not None and layer.bias.requires_grad
        return delta, weight * a, bias**2 if trained else 0.0

    @contextmanager
    def _hooked(self) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Linear layers note their input and add to their output what is asked for."""
        inputs: dict[str, Tensor] = {}
        nudges: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for name in self.layers:

                def note(_: nn.Module, arguments: tuple[Tensor], name: str = name) -> None:
                    inputs[name] = arguments[0]

                def nudge(_: nn.Module, arguments: Any, output: Tensor, name: str = name) -> Tensor:
                    return output + nudges[name]

                layer = self.model.get_submodule(name)
                hooks.callback(layer.register_forward_pre_hook(note).remove)
                # Before other hooks, which may scale what the layer puts out.
                hooks.callback(layer.register_forward_hook(nudge, prepend=True).remove)
            yield inputs, nudges

    def _plain_linear_layers(self, tensors: dict[str, Tensor], example: tuple[Any, ...]) -> tuple[list[str], int]:
        """Linear layers that are called once, on a vector, with a trained weight that is theirs alone; and k."""
        users = Counter(id(p) for _, p in self.model.named_parameters(remove_duplicate=False))
        calls: dict[str, list[tuple[int, ...]]] = {}
        with ExitStack() as hooks, torch.no_grad():
            for name, layer in self.model.named_modules():
                if name and type(layer) in (nn.Linear, ScaledLinear) and layer.weight.requires_grad:

                    def note(_: nn.Module, arguments: tuple[Tensor], name: str = name) -> None:
                        calls.setdefault(name, []).append(tuple(arguments[0].shape))

                    if all(users[id(p)] == 1 for p in layer.parameters()):
                        hooks.callback(layer.register_forward_pre_hook(note).remove)
            k = functional_call(self.model, tensors, example).numel()
        return [name for name, shapes in calls.items() if len(shapes) == 1 and _is_one_vector(shapes[0])], k


def _is_one_vector(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] == 1


def _as_arguments(inputs: Inputs) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)


def _count(arguments: tuple[Any, ...]) -> int:
    return len(tree_leaves(arguments)[0])


def _parts(arguments: tuple[Any, ...], n: int, size: int) -> list[tuple[Any, ...]]:
    return [
        tree_map(lambda values, start=start: values[start : start + size], arguments) for start in range(0, n, size)
    ]


def _to(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype) if values.is_floating_point() else values
