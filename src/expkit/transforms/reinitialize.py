"""The same model with its weights drawn from a seed of their own."""

from __future__ import annotations

from torch import nn

from expkit.models.reinitialization import draw_weights_anew
from expkit.seeding import stream


def reinitialized(model: nn.Module, seed: int, init: str = "torch", init_scale: float = 1.0) -> nn.Module:
    """The model with initial weights of another seed than the run's, by which alone its batches are then ordered.

    With the run's own `seed` it is the model as it was, where that is made of layers in the order of their making.

    Args:
        model: changed in place.
        seed: of the weights; the same seed gives the same weights in every run.
        init, init_scale: the model's own, see `expkit.models.initialization`.

    Raises:
        UserError: a module does not say how its weights are drawn (see `expkit.models.reinitialization`).
    """
    with stream(seed, "initialization"):
        draw_weights_anew(model, init, init_scale)
    return model
