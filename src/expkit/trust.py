"""Which code a configuration may name: judged by where an object is defined, not by how its name is spelled."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from expkit import library
from expkit.errors import ConfigError

LIBRARY = frozenset({"expkit", "experiments"})
THIRD_PARTY = frozenset({"torch", "lightning", "torchmetrics"})

PIECES = frozenset(
    f"expkit.{name}"
    for name in (
        *("analysis", "callbacks", "compression", "data", "environments", "losses", "metrics", "models", "optim"),
        *("population", "probes", "tasks", "transforms"),
        *("engines.compute", "engines.lightning", "loggers.csv", "loggers.tensorboard", "loggers.wandb"),
    )
)
"""What of expkit a configuration may name. The rest carries out commands, writes files and starts processes, and would
do so for whoever wrote the configuration."""

BASES = frozenset(
    {
        "torch.nn.modules.module.Module",
        "torch.optim.optimizer.Optimizer",
        "torch.optim.lr_scheduler.LRScheduler",
        "torch.optim.lr_scheduler.ReduceLROnPlateau",
        "torch.utils.data.dataset.Dataset",
        "lightning.pytorch.callbacks.callback.Callback",
        "lightning.pytorch.core.module.LightningModule",
        "lightning.pytorch.core.datamodule.LightningDataModule",
        "lightning.pytorch.plugins.layer_sync.LayerSync",
        "lightning.pytorch.profilers.profiler.Profiler",
        "lightning.pytorch.strategies.strategy.Strategy",
        "lightning.fabric.loggers.logger.Logger",
        "lightning.fabric.plugins.environments.cluster_environment.ClusterEnvironment",
        "lightning.fabric.plugins.io.checkpoint_io.CheckpointIO",
        "lightning.fabric.plugins.precision.precision.Precision",
        "lightning.fabric.strategies.strategy.Strategy",
        "torchmetrics.metric.Metric",
    }
)
"""What a class of torch, lightning or torchmetrics has to derive from, so that loaders, downloaders and the like of
these packages cannot be called from a configuration."""


def trusted_roots() -> frozenset[str]:
    """The packages that `_target_` may lead to: expkit's, those it is built on, and those the user's project lists."""
    return LIBRARY | THIRD_PARTY | _listed()


def first_party_roots() -> frozenset[str]:
    """The trusted packages whose every class and function may be named: expkit's and the project's own."""
    return trusted_roots() - THIRD_PARTY


def is_trusted(module: str) -> bool:
    """Whether a module lies in a trusted package."""
    return _within(module, trusted_roots())


def is_first_party(module: str) -> bool:
    """Whether a module lies in a first-party package."""
    return _within(module, first_party_roots())


def is_piece(module: str) -> bool:
    """Whether a module does not lie in the part of expkit that is no piece of experiments."""
    return not _within(module, frozenset({"expkit"})) or _within(module, PIECES)


def may_hold_first_party(package: str) -> bool:
    """Whether a top-level package is first-party, or contains such (as `company`, if `company.lab` is listed)."""
    return any(root == package or root.startswith(f"{package}.") for root in first_party_roots())


def check_object(obj: Any, target: str) -> None:
    """Refuses what a `_target_` led to, unless it is a class or function that is defined in trusted code.

    Args:
        obj: the object that the name resolves to.
        target: the name, for the message.

    Raises:
        ConfigError: it is something else, is defined elsewhere, or is a third-party thing that is no building block.
    """
    if not is_trusted(target):
        raise refusal(target, target)
    if not isinstance(obj, type | FunctionType):
        raise ConfigError(
            f"{target} is an object of type {type(obj).__name__}, not a class or a function.",
            "Name a class or a function in the module that defines it.",
        )
    defined = f"{obj.__module__}.{obj.__qualname__}"
    if not isinstance(obj.__module__, str) or not is_trusted(obj.__module__):
        raise refusal(target, defined)
    if not is_piece(obj.__module__):
        raise no_piece(target, defined)
    if not is_first_party(obj.__module__):
        ancestors = obj.__mro__ if isinstance(obj, type) else ()
        if BASES.isdisjoint(f"{c.__module__}.{c.__qualname__}" for c in ancestors):
            raise no_building_block(target, defined)


def refusal(target: str, defined: str) -> ConfigError:
    """The error for a target that leads to code which is not trusted.

    Args:
        target: as the configuration has it.
        defined: the dotted name that it leads to.
    """
    root = defined.partition(".")[0]
    alias = "" if defined == target else f" is an alias of {defined}, which"
    if root in sys.stdlib_module_names:
        hint = "Functions and classes of Python itself cannot be named in a configuration; wrap them in your own code."
    else:
        hint = f'If {root} is code of yours, add to your pyproject.toml:  [tool.expkit]  trusted = ["{root}"]'
    trusted = ", ".join(sorted(trusted_roots()))
    return ConfigError(f"{target}{alias} is outside the trusted packages ({trusted}).", hint)


def no_building_block(target: str, defined: str) -> ConfigError:
    """The error for a third-party target that is not of a kind that experiments are built from."""
    alias = "" if defined == target else f" (defined as {defined})"
    return ConfigError(
        f"{target}{alias} is not something that experiments are built from.",
        f"From {', '.join(sorted(THIRD_PARTY))} a configuration can name modules, optimizers, schedulers, callbacks, "
        "loggers, metrics, data sets, data modules, strategies, profilers and plugins; wrap others in your own code.",
    )


def no_piece(target: str, defined: str) -> ConfigError:
    """The error for a target in the part of expkit that no experiment is built from."""
    alias = "" if defined == target else f" (defined as {defined})"
    return ConfigError(
        f"{target}{alias} is not something that experiments are built from.",
        f"Of expkit, a configuration can name what is in {', '.join(sorted(PIECES))}.",
    )


def _listed() -> frozenset[str]:
    project = library.project()
    listed = ((library.settings(project) if project else None) or {}).get("trusted", [])
    if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
        raise ConfigError(
            f"{project}/pyproject.toml: [tool.expkit] trusted is {listed!r}, not a list of package names.",
            'Write, for example:  trusted = ["my_package"]',
        )
    return frozenset(listed)


def _within(module: str, roots: frozenset[str]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)
