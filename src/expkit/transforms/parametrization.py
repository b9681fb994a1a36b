"""How weights, their initialization and their learning rates change with width: standard, NTK, maximal update."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from expkit.transforms.scaled_layers import scalable, scale_layer

Kind = Literal["standard", "ntk", "mup"]
Role = Literal["input", "hidden", "output", "fixed"]


@torch.no_grad()
def parametrization(
    model: nn.Module,
    width: int,
    base_width: int,
    kind: Kind = "mup",
    optimizer: Literal["sgd", "adam"] = "sgd",
    lr_exponent: float = 0.0,
) -> nn.Module:
    r"""The abc-parametrization `kind` (arXiv 2011.14522, section 3), of any model of linear and convolutional layers.

    With r = width / base_width, a weight of the network is W = m w, where w is what is trained, with one learning rate
    eta for all layers, and starts at s times the model's own initialization:

    ========  ==================  ===================  ===================  ========================================
    kind      input: m, s         hidden: m, s         output: m, s         in the limit of infinite width
    ========  ==================  ===================  ===================  ========================================
    standard  1, 1                1, 1                 1, 1                 diverges unless eta falls as 1/r
    ntk       1, 1                r^-1/2, r^1/2        r^-1/2, r^1/2        kernel gradient descent, fixed features
    mup       r^1/2, r^-1/2       1, 1                 r^-1/2, 1            features move by an amount of order one
    ========  ==================  ===================  ===================  ========================================

    At base width (r = 1) nothing is changed, so all kinds agree there, and a learning rate that suits the model at its
    base width can be kept at others (ntk, mup). This is the paper's table 1 (a the exponent of 1/m, b that of the
    initialization, c = 0), with constants chosen so; it presupposes the standard initialization, with a variance of
    weights that falls as 1 / fan-in (torch's own, 'he', 'lecun').

    A layer's role is told by which of its dimensions grow with the width, those that are multiples of it: input if its
    output alone does, output if its input alone does, hidden if both do, and fixed, where nothing changes, if neither.
    What the first layer takes and what the last puts out never counts. Biases, gains of norms and embeddings are input
    weights (of a constant input) if as many as units; they have m, s as in the column 'input'.

    `lr_exponent` c multiplies all learning rates by r^-c, which by the symmetry of table 1 is m -> m r^(-c/2),
    s -> s r^(c/2): 'standard' with c = 1 has a limit, in the kernel regime.

    Adam moves w by eta whatever the size of the gradient, so for it other m and s give the same limit: with
    optimizer='adam', 'mup' has 1, 1 | r^-1, r | r^-1, r^1/2 (arXiv 2203.03466, table 8, with learning rates moved into
    m), and lr_exponent is m -> m r^-c, s -> s r^c. This holds for optimizers that are invariant to a rescaled gradient
    (Adam, AdamW, Lion, sign descent), as far as Adam's epsilon is negligible against gradients. 'ntk' is not offered
    for them: their limit is another kernel's (arXiv 2308.01814). Weight decay as torch has it (an L2 penalty of w in
    SGD, decoupled in AdamW) shrinks W by the same share per step at all widths.

    Not changed: factors that are no parameters, such as attention's 1 / sqrt(head size), which muP wants to be
    1 / head size if it is the heads' size that grows.

    Args:
        model: at initialization; changed in place.
        width: that the model has, `${model.width}`.
        base_width: at which it is left as it is.
        kind: see above.
        optimizer: 'sgd' for those that move w in proportion to the gradient, with or without momentum; or 'adam'.
        lr_exponent: see above.

    Raises:
        ValueError: the model has parameters in other than linear and convolutional layers, embeddings and norms, or
            shares a parameter between layers; a width is below 1; or 'ntk' with Adam.
    """
    if width < 1 or base_width < 1:
        raise ValueError(f"width and base_width are at least 1, got {width} and {base_width}")
    if kind == "ntk" and optimizer == "adam":
        raise ValueError("kind=ntk is for optimizer=sgd: under Adam its limit is another (arXiv 2308.01814)")
    r = width / base_width
    shift = lr_exponent if optimizer == "adam" else lr_exponent / 2
    table = ADAM if optimizer == "adam" else SGD
    for layer, (weight_role, bias_role) in roles(model, width).items():
        m, s = (r**exponent for exponent in table[kind][weight_role])
        m_bias, s_bias = (r**exponent for exponent in table[kind][bias_role])
        scale_layer(layer, weight=m * r**-shift, bias=m_bias * r**-shift)
        layer.weight.mul_(s * r**shift)  # type: ignore[operator]
        if getattr(layer, "bias", None) is not None:
            layer.bias.mul_(s_bias * r**shift)  # type: ignore[operator]
    return model


Exponents = tuple[float, float]
"""Of r, in m and s."""
UNCHANGED: dict[Role, Exponents] = {"input": (0, 0), "hidden": (0, 0), "output": (0, 0), "fixed": (0, 0)}
SGD: dict[Kind, dict[Role, Exponents]] = {
    "standard": UNCHANGED,
    "ntk": {**UNCHANGED, "hidden": (-0.5, 0.5), "output": (-0.5, 0.5)},
    "mup": {**UNCHANGED, "input": (0.5, -0.5), "output": (-0.5, 0)},
}
ADAM: dict[Kind, dict[Role, Exponents]] = {
    "standard": UNCHANGED,
    "mup": {**UNCHANGED, "hidden": (-1, 1), "output": (-1, 0.5)},
}


def roles(model: nn.Module, width: int) -> dict[nn.Module, tuple[Role, Role]]:
    """The role of each layer's weight and of its bias, by the rule of `parametrization`."""
    layers = layers_of(model)
    maps = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding)]
    found: dict[nn.Module, tuple[Role, Role]] = {}
    for layer in layers:
        n_inputs, n_outputs = _dimensions(layer)
        wide_in = n_inputs % width == 0 and layer is not maps[0]
        wide_out = n_outputs % width == 0 and layer is not maps[-1]
        weight: Role = ("hidden" if wide_in else "input") if wide_out else "output" if wide_in else "fixed"
        found[layer] = weight, "input" if wide_out else "fixed"
    return found


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers that hold the model's parameters, in its order.

    Raises:
        ValueError: a parameter is held by something that is no `scalable` layer, or by several layers.
    """
    layers: list[nn.Module] = []
    owners: dict[int, str] = {}
    for name, layer in model.named_modules():
        own = [parameter for parameter in layer._parameters.values() if parameter is not None]
        if not own:
            continue
        if not scalable(layer):
            raise ValueError(
                f"{type(model).__name__} has parameters in '{name or 'itself'}', a {type(layer).__name__}: a "
                "parametrization knows linear and convolutional layers, embeddings and norms"
            )
        for parameter in own:
            if id(parameter) in owners:
                raise ValueError(f"'{owners[id(parameter)]}' and '{name}' share a parameter, which has one role only")
            owners[id(parameter)] = name
        layers.append(layer)
    return layers


def _dimensions(layer: nn.Module) -> tuple[int, int]:
    """How many inputs an output depends on, but for the size of a kernel, and how many outputs there are."""
    assert isinstance(layer.weight, torch.Tensor)
    if isinstance(layer, nn.Embedding):
        return 1, layer.embedding_dim
    if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
        return layer.weight.shape[1], layer.weight.shape[0]
    return 1, layer.weight.numel()
