"""Squares of per-example gradients, summed: the diagonal of the Fisher information, and of Gauss-Newton matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from expkit.analysis.linear_layers import each_once_on_vectors, linear_layers_of, watched


def squared_gradients(
    model: nn.Module, inputs: Sequence[Tensor], numbers: Callable[[Tensor], Tensor], chunk: int = 32
) -> dict[str, Tensor]:
    """sum_n sum_k (d numbers_nk / d theta)^2 for each parameter theta, by its name.

    In a linear layer the gradient of one example is an outer product, and the sum of their squares a product of
    matrices, so that no gradient of a single example is made: k backward passes over all examples (BackPACK, arXiv
    1912.10985). A model with parameters elsewhere costs n times k gradients, and memory for `chunk` times k of them.

    Args:
        model: in which examples do not see each other: in evaluation mode, where it has batch norm.
        inputs: of the model, each [n, ...].
        numbers: of its output [n, ...]: [n, k], each row made from the same row of the output.
        chunk: examples at a time.
    """
    found = _of_linear_layers(model, inputs, numbers)
    return _one_by_one(model, inputs, numbers, chunk) if found is None else found


@torch.enable_grad()
def _of_linear_layers(
    model: nn.Module, inputs: Sequence[Tensor], numbers: Callable[[Tensor], Tensor]
) -> dict[str, Tensor] | None:
    """None where not every parameter belongs to one linear layer that is used once, on vectors."""
    layers = linear_layers_of(model, model.parameters())
    if layers is None:
        return None
    with watched(layers) as uses:
        values = numbers(model(*inputs))
    if not each_once_on_vectors(uses, layers):
        return None
    squares: dict[Tensor, Tensor] = {parameter: torch.zeros_like(parameter) for parameter in model.parameters()}
    layers, shifts = [use.layer for use in uses], [use.shift for use in uses]
    squared_inputs = [use.inputs.detach().square() for use in uses]
    for column in values.unbind(-1):
        slopes = torch.autograd.grad(column.sum(), shifts, retain_graph=True, materialize_grads=True)
        for layer, inputs_squared, slope in zip(layers, squared_inputs, slopes, strict=True):
            slope_squared = slope.square()
            squares[layer.weight] += slope_squared.T @ inputs_squared
            if layer.bias is not None:
                squares[layer.bias] += slope_squared.sum(0)
    return {name: squares[parameter] for name, parameter in model.named_parameters()}


def _one_by_one(
    model: nn.Module, inputs: Sequence[Tensor], numbers: Callable[[Tensor], Tensor], chunk: int
) -> dict[str, Tensor]:
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def of_one(parameters: dict[str, Tensor], example: tuple[Tensor, ...]) -> Tensor:
        output = functional_call(model, (parameters, buffers), tuple(one.unsqueeze(0) for one in example))
        return numbers(output)[0]

    gradients = vmap(jacrev(of_one), in_dims=(None, 0))
    squares = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for start in range(0, len(inputs[0]), chunk):
        part = tuple(one[start : start + chunk] for one in inputs)
        for name, own in gradients(parameters, part).items():
            squares[name] += (own * own).sum((0, 1))
    return squares
