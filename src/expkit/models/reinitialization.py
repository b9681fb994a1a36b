"""Draws a network's weights anew, as its constructor did."""

from __future__ import annotations

import torch
from torch import nn

from expkit.errors import UserError
from expkit.models.initialization import initialize


@torch.no_grad()
def draw_weights_anew(model: nn.Module, scheme: str = "torch", scale: float = 1.0) -> None:
    """Draws every weight of a network again, in place, from torch's global generator.

    Every module that has parameters of its own draws them by its `reset_parameters`, as torch's layers do when they are
    made, in the order of `model.modules()`; what follows is `expkit.models.initialization.initialize`, as in the
    constructors of the library's networks. Running statistics start anew, too. Where modules are made in the order in
    which they stand, the result is that of the constructor, bit by bit.

    Args:
        model: changed in place.
        scheme, scale: the network's own, see `expkit.models.initialization`.

    Raises:
        UserError: a module with parameters of its own does not say how it draws them.
    """
    for path, module in model.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
        elif any(True for _ in module.parameters(recurse=False)):
            raise UserError(
                f"{type(module).__name__}{f' ({path})' if path else ''} cannot be drawn anew: it has parameters of its "
                "own, but no method reset_parameters.",
                "Use a network that is made of layers, such as mlp or cnn, or give its class that method.",
            )
    initialize(model, scheme, scale)
