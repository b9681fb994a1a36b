"""Evaluation with an average of the weights along the training: exponential (EMA) or uniform (SWA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import weight_averaging
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from expkit.errors import ConfigError
from expkit.optim.linear_warmup import resolve_steps


class WeightAveraging(weight_averaging.WeightAveraging):
    r"""Keeps an average of the weights; evaluation points, saved models and the end of training use it.

    With w_s the weights after step s, the average over steps s_1 < s_2 < ... is m_1 = w_{s_1} and

        m_k = decay * m_{k-1} + (1 - decay) * w_{s_k}       exponential
        m_k = (w_{s_1} + ... + w_{s_k}) / k                 uniform (arXiv 1803.05407), for decay null

    where s_1 is the first step from `start_step` on (at least 1) and each further one comes `every_n_steps` later.
    Before that, what is evaluated is the weights themselves. Floating-point buffers, such as the running statistics of
    batch normalization, are averaged along; other buffers are copied. Training goes on with the weights, not with the
    average. In a checkpoint 'state_dict' is the average, and 'current_model_state' the weights.

    Args:
        decay: from 0 to 1, or null for the uniform average.
        start_step: where averaging begins, in optimizer steps; a number below 1 is a share of the training's steps.
        every_n_steps: optimizer steps between two weights that are averaged.

    Raises:
        ValueError: an argument is out of its range.
        ConfigError: there are two averages, or the strategy keeps only a part of the weights in each process.
    """

    def __init__(self, decay: float | None = 0.999, start_step: float = 0, every_n_steps: int = 1) -> None:
        if decay is not None and not 0 <= decay <= 1:
            raise ValueError(f"decay is from 0 to 1, or null; got {decay}")
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps is at least 1, got {every_n_steps}")
        super().__init__(use_buffers=True, multi_avg_fn=_averaging(decay))
        self.decay = decay
        self.start_step = start_step
        self.every_n_steps = every_n_steps
        self._first_step = 1

    @property
    def state_key(self) -> str:
        return self._generate_state_key(decay=self.decay, start_step=self.start_step, every_n_steps=self.every_n_steps)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        if step_idx is None:
            return False
        since_first = step_idx + 1 - self._first_step
        return since_first >= 0 and since_first % self.every_n_steps == 0

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        others = [c for c in trainer.callbacks if isinstance(c, weight_averaging.WeightAveraging)]  # type: ignore[attr-defined]
        if len(others) > 1:
            raise ConfigError(
                "Two callbacks average the weights, but only one average can be evaluated.",
                "Choose one, e.g. callbacks=[ema] or callbacks=[swa].",
            )
        if isinstance(trainer.strategy, FSDPStrategy | DeepSpeedStrategy):
            raise ConfigError(
                f"{type(trainer.strategy).__name__} divides the weights among processes, and cannot average them.",
                "Choose trainer=ddp, or leave the average out.",
            )
        self._first_step = max(1, resolve_steps(self.start_step, trainer.max_steps))
        # The model is moved to its device only after this hook.
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            # torch looks at this counter at every update, for which a device would have to catch up.
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._follow(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._follow(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._follow(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def _follow(self, pl_module: lightning.LightningModule) -> None:
        """Until there is something to average, the average is the current weights; Lightning keeps the first ones."""
        if self._average_model is not None and self._average_model.n_averaged == 0:
            self._average_model.module.load_state_dict(pl_module.state_dict())


def _averaging(decay: float | None) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    update = get_swa_multi_avg_fn() if decay is None else get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def average(averages: list[Tensor], currents: list[Tensor], n_averaged: Tensor | int) -> None:
        if averages[0].is_floating_point():  # torch hands over tensors of one type at a time
            update(averages, currents, n_averaged)
        else:  # counters and masks have no average
            for kept, current in zip(averages, currents, strict=True):
                kept.copy_(current)

    return average
