"""One run of a stack, as callbacks know it from Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer.states import TrainerFn

from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.training import Training

AT_EVALUATION = frozenset(
    {
        "setup",
        "on_validation_start",
        "on_validation_epoch_start",
        "on_validation_epoch_end",
        "on_validation_end",
        "on_train_end",
        "on_train_epoch_end",  # early stopping has it, and leaves it at evaluation points
        "state_dict",
        "load_state_dict",
    }
)
"""What a callback may act on in a fused training: nothing that happens inside a step."""


class RunView:
    """Stands for the Trainer of one run at evaluation points."""

    def __init__(self, training: Training, learning_rate: float) -> None:
        self.training = training
        self.callbacks = list(training.callbacks)
        self.lightning_module = training.task
        self.default_root_dir = str(training.folder)
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.global_step = 0
        self.current_epoch = 0
        self.world_size = 1
        self.is_global_zero = True
        self.should_stop = False
        self.sanity_checking = False
        self.fast_dev_run = False
        self.val_check_interval: float = 1.0
        self.check_val_every_n_epoch = 1
        self.state = SimpleNamespace(fn=TrainerFn.FITTING)
        self.strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all=True: decision)
        self.optimizers = [SimpleNamespace(param_groups=[{"lr": learning_rate}])]
        self.fire("setup", stage="fit")

    @property
    def loggers(self) -> list[Logger]:
        return list(self.training.loggers)  # a training is given them after it is prepared

    def attach(self) -> None:
        """Makes this the trainer that the task knows; runs that start alike share a task."""
        self.training.task._trainer = self  # type: ignore[assignment]

    def fire(self, *hooks: str, **arguments: Any) -> None:
        self.attach()
        for hook in hooks:
            for callback in self.callbacks:
                getattr(callback, hook)(self, self.training.task, **arguments)

    def state_dict(self) -> dict[str, Any]:
        """What the run's callbacks keep, each under its own key, as in Lightning's checkpoints."""
        return {callback.state_key: callback.state_dict() for callback in self.callbacks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for callback in self.callbacks:
            callback.load_state_dict(state[callback.state_key])


def require_fusable(callbacks: Sequence[lightning.Callback]) -> None:
    """Raises NotFusable for a callback that acts inside steps."""
    hooks = [name for name in dir(lightning.Callback) if not name.startswith("_")]
    for callback in callbacks:
        for hook in hooks:
            base = getattr(lightning.Callback, hook)
            if hook not in AT_EVALUATION and getattr(type(callback), hook) is not base and callable(base):
                name = type(callback).__name__
                raise NotFusable("callbacks", f"{name} acts inside each step ({hook})")
