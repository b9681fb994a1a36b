"""Any model, expanded in its parameters around its initialization: linearized, or to second order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.func import functional_call, jvp

from expkit.errors import ConfigError

Tensors = dict[str, Tensor]


class TaylorExpansion(nn.Module):
    r"""f(x; theta_0) + J d [+ 1/2 d^T H d] with d = theta - theta_0, instead of f(x; theta).

    J and H are the first two derivatives of f by its parameters at their initial values theta_0, at every input. The
    trained parameters are those of `model`, under their own names; theta_0 are those of `initial`, a copy that stays as
    it is. To first order training is kernel regression with the tangent kernel of theta_0 (arXiv 1902.06720); to second
    order it is the neural quadratic model of arXiv 2205.11787.

    J d is a Jacobian-vector product, d^T H d one of such a product, so that neither matrix is ever made. Where the
    model has kinks, derivatives are torch's: relu' = 0 at 0, relu'' = 0. Parameters that are not trained are constants.

    Cost: on a CPU a training step takes about 2 times that of the plain model to first order, 6 times to second (MLP of
    two layers of 512 on 256 examples; a two-layer network of width 1024, 60 of them fused: 2 and 7). The steps of small
    models are overhead, of which there is more: 3 to 7 times, and 12 to 30.

    Args:
        model: at initialization.
        order: 1 or 2; None for the model itself, which is all orders.
        centered: whether the initial output f(x; theta_0) is subtracted, so that training starts from the zero
            function. Without an order this makes f(x; theta) - f(x; theta_0) of the model.

    Shapes: those of the model.

    Raises:
        ConfigError: the model changes buffers in training (batch normalization), so that it has no fixed expansion.
    """

    def __init__(self, model: nn.Module, order: Literal[1, 2] | None = 1, centered: bool = False) -> None:
        super().__init__()
        if order not in (1, 2, None):
            raise ValueError(f"order is 1, 2 or null, got {order}")
        _require_fixed_buffers(model)
        # First, so that the last parameter, which some optimizers take for the output layer's, is one of the model.
        self.initial = copy.deepcopy(model).requires_grad_(False)
        self.model = model
        self.order: Literal[1, 2] | None = order
        self.centered = centered
        self.columns: tuple[str, ...] = getattr(model, "columns", ("input",))
        self.trained = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.order is None:
            output = self.model(*inputs)
            return output - self.initial(*inputs) if self.centered else output
        start, now = dict(self.initial.named_parameters()), dict(self.model.named_parameters())
        point: Tensors = {name: start[name] for name in self.trained}
        moved = {name: now[name] - start[name] for name in self.trained}
        # Of the copy, whose layers nothing but this calls: what watches those of `model` is not misled.
        terms = derivatives(lambda at: functional_call(self.initial, at, inputs), point, moved, self.order)
        output = terms[1] if self.centered else terms[0] + terms[1]
        return output + terms[2] / 2 if self.order == 2 else output


def derivatives(
    function: Callable[[Tensors], Tensor], point: Tensors, direction: Tensors, order: Literal[1, 2]
) -> tuple[Tensor, ...]:
    """Values at t = 0 of t -> function(point + t direction) and of its first `order` derivatives."""

    def first(parameters: Tensors) -> tuple[Tensor, Tensor]:
        both = jvp(function, (parameters,), (direction,))
        return both[0], both[1]

    if order == 1:
        return first(point)
    both = jvp(first, (point,), (direction,))
    return (*both[0], both[1][1])


def _require_fixed_buffers(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
            raise ConfigError(
                f"taylor_expansion: the model's {type(module).__name__} '{name}' changes its running statistics in "
                "training, so that the model has no fixed expansion.",
                "Choose another norm, such as model.norm=layernorm.",
            )
