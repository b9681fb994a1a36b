"""A feed-forward network as the list of its matrices, for analyses that need more than its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from expkit.errors import UserError


@dataclass(frozen=True)
class AffineNetwork:
    r"""z_1 = W_1 x + b_1, h_i = sigma_i(z_i), z_{i+1} = W_{i+1} h_i + b_{i+1}; the output is z_L.

    Args:
        weights: W_1 ... W_L, each (units, inputs).
        biases: b_1 ... b_L, each (units,).
        activations: names of sigma_1 ... sigma_{L-1}: keys of `FUNCTIONS`.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    activations: Sequence[str]

    @property
    def depth(self) -> int:
        """L, the number of affine maps."""
        return len(self.weights)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs, (..., outputs), of inputs (..., inputs)."""
        for weight, bias, name in zip(self.weights, self.biases, self.activations, strict=False):
            x = FUNCTIONS[name](x @ weight.T + bias)
        return x @ self.weights[-1].T + self.biases[-1]

    @classmethod
    def of(cls, model: nn.Module, inputs: Tensor, dtype: torch.dtype = torch.float64) -> AffineNetwork:
        """The matrices of a model whose layers follow each other in the order in which they were made.

        Args:
            model: in evaluation mode; linear layers with an activation between any two, such as `model=mlp` with
                norm=none, or an nn.Sequential of them.
            inputs: a few examples, on which the result is compared with the model.
            dtype: of the result: bounds are made in double precision by default.

        Raises:
            UserError: the model has other layers, or computes something else from those that it has.
        """
        weights: list[Tensor] = []
        biases: list[Tensor] = []
        names: list[str] = []
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                if len(names) < len(weights):
                    raise _unknown(model, "two linear layers without an activation between them")
                weights.append(layer.weight.detach().to(dtype))
                zeros = torch.zeros(layer.out_features, dtype=dtype, device=layer.weight.device)
                biases.append(zeros if layer.bias is None else layer.bias.detach().to(dtype))
            elif (name := type(layer).__name__.lower()) in FUNCTIONS:
                names.append(name)
            elif not any(True for _ in layer.children()) and not isinstance(layer, PASSED):
                raise _unknown(model, f"a layer {type(layer).__name__}")
        if not weights or len(names) != len(weights) - 1:
            raise _unknown(model, f"{len(weights)} linear layers and {len(names)} activations")
        network = cls(weights, biases, names)
        with torch.no_grad():
            wanted, own = model(inputs).to(dtype), network(inputs.flatten(1).to(dtype))
        if not torch.allclose(own, wanted, rtol=1e-3, atol=1e-4):
            raise _unknown(model, "connections besides those from each layer to the next")
        return network


def _unknown(model: nn.Module, what: str) -> UserError:
    return UserError(
        f"{type(model).__name__} has {what}; bounds are made for linear layers with activations between them.",
        f"Choose model=mlp with norm=none and one of the activations {', '.join(FUNCTIONS)}.",
    )


PASSED = (nn.Identity, nn.Dropout, nn.Flatten)
"""Layers without effect in evaluation mode."""

FUNCTIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sine": torch.sin,
    "gelu": torch.nn.functional.gelu,
}
"""By the name of the module's class, in small letters."""
