"""Gradient descent whose output layer has a learning rate of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn


class LayerwiseSGD(torch.optim.SGD):
    """theta <- theta - e gradient, with e = `lr_output` for the output layer and e = `lr` for everything before it.

    The output layer is the module that holds the model's last parameter: that parameter and all others whose names
    agree with its name up to the last dot (`readout.weight` and `readout.bias`). A last parameter that the model holds
    itself, whose name has no dot, is the output layer alone.

    The parameter groups are named 'hidden' and 'output' (key `name`); a schedule scales both learning rates. The axes
    of the maps in arXiv 2402.06184.

    Args:
        params: pairs (name, parameter) in the model's order, such as `model.named_parameters()`.
        lr: learning rate of all layers but the last, at least 0.
        lr_output: learning rate of the output layer, at least 0.

    Raises:
        ValueError: a learning rate is negative.
        TypeError: parameters came without names.
    """

    def __init__(self, params: Iterable[tuple[str, nn.Parameter]], lr: float = 0.1, lr_output: float = 0.1) -> None:
        if lr_output < 0:
            raise ValueError(f"lr_output is at least 0, got {lr_output}")
        named = list(params)
        if not all(isinstance(pair, tuple) for pair in named):
            raise TypeError("LayerwiseSGD tells layers apart by name: give it model.named_parameters()")
        output = output_layer([name for name, _ in named])
        layers = {
            "hidden": ([pair for pair in named if pair[0] not in output], lr),
            "output": ([pair for pair in named if pair[0] in output], lr_output),
        }
        groups = [{"params": pairs, "lr": rate, "name": name} for name, (pairs, rate) in layers.items() if pairs]
        super().__init__(groups, lr=lr)


def output_layer(names: Sequence[str]) -> set[str]:
    """The names of the output layer's parameters, of those of a model in its order; by the rule of `LayerwiseSGD`."""
    module, dot, _ = names[-1].rpartition(".")
    return {name for name in names if dot and name.rpartition(".")[0] == module} | {names[-1]}
