"""Two-layer network without biases, with the scalings, activations and readouts that theory papers choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named


class TwoLayer(nn.Module):
    r"""f_k(x) = alpha / s \sum_j a_kj phi(<w_j, x> / c), with phi(h) = activation(h) + curvature h^2 / 2.

    =============  ======================================  ===================================
    `scaling`      s, c (m hidden units, d inputs)         where a_kj and w_j have entries O(1)
    =============  ======================================  ===================================
    `none`         1, 1
    `ntk`          sqrt(m), sqrt(d)                        arXiv 1806.07572, 2205.11787
    `mean_field`   m, sqrt(d)                              arXiv 1804.06561, 2310.06110
    =============  ======================================  ===================================

    The larger the output scale alpha, the less weights have to move to fit given targets: training becomes lazy
    (arXiv 1812.07956). Gradients of a mean squared error grow with alpha^2, so learning rates go with 1 / alpha^2.

    `w_j ~ N(0, init_scale^2 I)`. With `activation=identity` and `curvature=epsilon`, phi is h + epsilon h^2 / 2, the
    activation of arXiv 2310.06110, whose initial kernel sees linear functions the better, the smaller epsilon is.

    Args:
        input_shape: of one example; flattened.
        n_outputs: rows of a.
        width: number of hidden units (m).
        activation: a name that `expkit.models.activation` knows.
        curvature: of the quadratic term of phi; None for none.
        scaling: see above.
        output_scale: alpha.
        init_scale: standard deviation of each entry of the first layer at initialization.
        readout: a at initialization: all 1, a random sign each, or N(0, 1).
        train_readout: whether a is trained as well.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: an unknown activation, scaling or readout.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int = 1,
        width: int = 200,
        activation: str = "relu",
        curvature: float | None = None,
        scaling: Literal["none", "ntk", "mean_field"] = "ntk",
        output_scale: float = 1.0,
        init_scale: float = 1.0,
        readout: Literal["ones", "signs", "normal"] = "signs",
        train_readout: bool = True,
    ) -> None:
        super().__init__()
        n_inputs = torch.Size(input_shape).numel()
        self.hidden = nn.Parameter(init_scale * torch.randn(width, n_inputs))
        self.readout = nn.Parameter(_readout(readout, n_outputs, width), requires_grad=train_readout)
        self.activation = activation_named(activation)
        self.curvature = curvature
        self.output_scale = output_scale
        self.input_divisor, self.output_divisor = _divisors(scaling, n_inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        preactivation = (x.flatten(1) / self.input_divisor) @ self.hidden.T  # there are fewer inputs than features
        features = self.activation(preactivation)
        if self.curvature is not None:
            features = features + (0.5 * self.curvature) * preactivation.square()
        return features @ self.readout.T * (self.output_scale / self.output_divisor)


def _readout(kind: str, n_outputs: int, width: int) -> Tensor:
    match kind:
        case "ones":
            return torch.ones(n_outputs, width)
        case "signs":
            return 2.0 * torch.randint(2, (n_outputs, width)) - 1.0
        case "normal":
            return torch.randn(n_outputs, width)
    raise ValueError(f"readout is one of ones, signs, normal; got '{kind}'")


def _divisors(scaling: str, n_inputs: int, width: int) -> tuple[float, float]:
    match scaling:
        case "none":
            return 1.0, 1.0
        case "ntk":
            return n_inputs**0.5, width**0.5
        case "mean_field":
            return n_inputs**0.5, float(width)
    raise ValueError(f"scaling is one of none, ntk, mean_field; got '{scaling}'")
