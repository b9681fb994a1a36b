"""The parametrization in which the neural tangent kernel has a limit of infinite width, with its own constants."""

from __future__ import annotations

import torch
from torch import nn

from expkit.transforms.parametrization import layers_of
from expkit.transforms.scaled_layers import scale_layer


@torch.no_grad()
def ntk_parametrization(model: nn.Module, weight_std: float = 1.0, bias_std: float = 0.0) -> nn.Module:
    r"""Every affine map computes sigma_w / sqrt(n) w x + sigma_b b, with n inputs per output, and w, b ~ N(0, 1).

    All of w and b are drawn anew from torch's global generator and trained with one learning rate (arXiv 1806.07572,
    section 3, where sigma_w = 1 and sigma_b = beta; arXiv 1902.06720, eq. 1). The kernel of a fully connected network
    then approaches `expkit.analysis.infinite_width_kernel` with the same two numbers as the width grows. Of a
    convolution n counts the kernel's places, too.

    Embeddings and norms are left as they are. `expkit.transforms.parametrization` with kind=ntk is the same up to
    constants, in terms of a base width and the model's own initialization.

    Args:
        model: of linear and convolutional layers; changed in place.
        weight_std: sigma_w, above 0; sqrt(2) keeps the scale of activations through relu layers.
        bias_std: sigma_b; with 0 biases are removed.

    Raises:
        ValueError: a number is out of range, or the model has parameters in other layers (see `layers_of`).
    """
    if weight_std <= 0 or bias_std < 0:
        raise ValueError(f"weight_std is above 0 and bias_std not below it, got {weight_std} and {bias_std}")
    for layer in layers_of(model):
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        layer.weight.normal_()
        if layer.bias is not None and bias_std == 0:
            layer.register_parameter("bias", None)
        elif layer.bias is not None:
            layer.bias.normal_()
        fan_in = layer.weight[0].numel()
        scale_layer(layer, weight=weight_std / fan_in**0.5, bias=bias_std or 1.0)
    return model
