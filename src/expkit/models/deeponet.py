"""Deep operator network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.initialization import initialize


class DeepONet(nn.Module):
    r"""G(u)(y) = \sum_k b_k(u) t_k(y) + b_0 (unstacked, with bias; arXiv 1910.03193, section 2.1).

    b, the branch, is an MLP of the function's values at sensors, whose last layer is affine. t, the trunk, is an MLP
    of the location, whose last layer has the activation too. Each output has b_k and a b_0 of its own.

    Args:
        input_shape: [sensors + coordinates]: the values at sensors, then the location.
        n_outputs: numbers that G(u)(y) consists of.
        coordinates: of a location.
        width: of hidden layers, and how many products are summed.
        branch_depth, trunk_depth: layers of the two networks, the last one included; at least 1.
        activation: a name that `expkit.models.activation` knows.
        init: how weights are drawn, see `expkit.models.initialization`.

    Shapes: (batch, sensors + coordinates) -> (batch, n_outputs).

    Raises:
        ValueError: there are no sensors beside the coordinates, or a network without layers.
    """

    accepts = ("vector",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        coordinates: int = 1,
        width: int = 40,
        branch_depth: int = 2,
        trunk_depth: int = 3,
        activation: str = "relu",
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "xavier",
    ) -> None:
        super().__init__()
        self.sensors = input_shape[0] - coordinates
        if self.sensors < 1 or branch_depth < 1 or trunk_depth < 1:
            layers = f"networks of {branch_depth} and {trunk_depth} layers"
            raise ValueError(f"got {self.sensors} sensors, and {layers}; each is at least 1")
        branch = [self.sensors, *[width] * (branch_depth - 1), width * n_outputs]
        self.branch = _network(branch, activation)[:-1]
        self.trunk = _network([coordinates, *[width] * trunk_depth], activation)
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        self.n_outputs = n_outputs
        initialize(self, init)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x[:, : self.sensors]).unflatten(1, (self.n_outputs, -1))
        trunk = self.trunk(x[:, self.sensors :])
        return torch.einsum("nok,nk->no", branch, trunk) + self.bias


def _network(sizes: Sequence[int], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation_named(activation)]
    return nn.Sequential(*layers)
