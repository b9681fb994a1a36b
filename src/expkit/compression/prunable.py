"""The transform that lets the weights of any model be pruned, and be set back."""

from __future__ import annotations

from torch import nn

from expkit.compression.initial import keep_initial
from expkit.compression.mask import add_mask


def prunable(model: nn.Module, rewindable: bool = True, convolutions: bool = True, output: bool = True) -> nn.Module:
    """Puts a mask, with which nothing is pruned yet, on the weight matrices and kernels of a model.

    Biases, norms and embeddings have no masks. A weight `layer.weight` becomes the parameter
    `layer.parametrizations.weight.original`; reading `layer.weight` gives it masked.

    Args:
        model: is changed in place.
        rewindable: whether the model remembers its weights at initialization, which rewinding goes back to.
        convolutions: whether kernels are masked, too, and not linear layers alone.
        output: whether the last of the linear layers, in the model's order, is masked.

    Raises:
        ValueError: there is no layer to prune.
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d) if convolutions else (nn.Linear,)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    if not output:
        readout = [layer for layer in layers if isinstance(layer, nn.Linear)][-1:]
        layers = [layer for layer in layers if layer not in readout]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear or convolutional layer to prune")
    for layer in layers:
        add_mask(layer, "weight")
    if rewindable:
        keep_initial(model)
    return model
