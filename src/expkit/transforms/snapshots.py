"""Room in a model for weights that it has had, or began with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from expkit.errors import ConfigError, did_you_mean

PREFIX = "snapshot_"


def snapshots(model: nn.Module, names: Sequence[str] = ("initialization", "before")) -> nn.Module:
    """Gives a model a buffer for each name, which holds all its trainable parameters as one vector.

    At first it holds the initialization. The intervention `take_snapshot` fills it at a step, `restore_snapshot` goes
    back to it, and the probe `barrier` looks at the loss on the way from it. Being buffers, snapshots are in
    checkpoints, and fused runs have their own. Each takes as much memory as the parameters.

    Args:
        model: changed in place and returned; transforms that change parameters come before this one.
        names: of the snapshots, each an identifier.

    Raises:
        ValueError: a name that is none, or there twice.
    """
    if not all(name.isidentifier() for name in names) or len(set(names)) < len(names):
        raise ValueError(f"names are different identifiers, such as before; got {list(names)}")
    for name in names:
        model.register_buffer(PREFIX + name, weights(model).clone())
    return model


@torch.no_grad()
def weights(model: nn.Module) -> Tensor:
    """All trainable parameters, in the order of `model.named_parameters()`, (size,)."""
    return parameters_to_vector(_trainable(model))


def snapshot(model: nn.Module, name: str) -> Tensor:
    """The buffer of a name, (size,).

    Raises:
        ConfigError: the model has none, or its parameters were changed after it was made.
    """
    found = {
        path.rpartition(".")[2].removeprefix(PREFIX): buffer
        for path, buffer in model.named_buffers()
        if path.rpartition(".")[2].startswith(PREFIX)
    }
    if name not in found:
        raise ConfigError(
            f"The model has no room for a snapshot '{name}'.",
            did_you_mean(name, found)
            if found
            else f"Add transforms=[snapshots] with transforms.snapshots.names=[{name}].",
        )
    if len(found[name]) != (size := len(weights(model))):
        raise ConfigError(
            f"The snapshot '{name}' has {len(found[name]):,} numbers, but the model has {size:,} trainable parameters.",
            "Put `snapshots` last in the list of transforms.",
        )
    return found[name]


@torch.no_grad()
def take(model: nn.Module, name: str) -> None:
    """The snapshot becomes what the parameters are now."""
    snapshot(model, name).copy_(weights(model))


@torch.no_grad()
def restore(model: nn.Module, name: str) -> None:
    """The parameters become what the snapshot is."""
    vector_to_parameters(snapshot(model, name).clone(), _trainable(model))


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
