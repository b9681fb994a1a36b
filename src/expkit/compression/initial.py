"""A model's own memory of the weights that it started from."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from expkit.compression.mask import Mask
from expkit.errors import ConfigError

SUFFIX = "_initial"


def keep_initial(model: nn.Module) -> None:
    """Puts a copy beside every parameter and buffer x of a model, as the buffer `x_initial`; masks have none."""
    for module in list(model.modules()):
        if isinstance(module, Mask):
            continue
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in own:
            module.register_buffer(f"{name}{SUFFIX}", tensor.detach().clone())


@torch.no_grad()
def remember(model: nn.Module) -> None:
    """Makes the weights of this moment those that are gone back to."""
    for tensor, initial in kept(model):
        initial.copy_(tensor)


@torch.no_grad()
def recall(model: nn.Module) -> None:
    """Every parameter and buffer is what is remembered of it; masks stay."""
    for tensor, initial in kept(model):
        tensor.copy_(initial)


def kept(model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Every tensor of a model with what is remembered of it.

    Raises:
        ConfigError: the model remembers nothing.
    """
    found = False
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        for name, tensor in own.items():
            if f"{name}{SUFFIX}" in own:
                found = True
                yield tensor, own[f"{name}{SUFFIX}"]
    if not found:
        raise ConfigError(
            f"{type(model).__name__} does not remember the weights that it started from.",
            "Add the transform `prunable` with rewindable: true.",
        )
