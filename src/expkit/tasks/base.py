"""The base of every task: training and evaluation, written once on top of a pure objective."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from expkit.data.base import Split
from expkit.errors import ConfigError
from expkit.optim.plateau import ReduceLROnPlateau

OptimizerFactory = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
SchedulerFactory = Callable[[torch.optim.Optimizer], Any]


class Task(lightning.LightningModule):
    """Ties a model to an objective.

    Args:
        model: maps a batch's 'input' to outputs, or the columns that it names in its attribute `columns`, in their
            order.
        n_outputs: how many numbers the objective needs per example, or per position.
        per_position: whether it needs them at every position of the input (its last dimension), as in language
            modelling and tagging, not once per example. Sequence models read it from here: `${task.per_position}`.
    """

    optimizer_factory: OptimizerFactory | None = None
    scheduler_factory: SchedulerFactory | None = None
    examples_per_step: int | None = None  # over all processes; set by an engine that has several

    def __init__(self, model: nn.Module, n_outputs: int, per_position: bool = False) -> None:
        super().__init__()
        self.model = model
        self.n_outputs = n_outputs
        self.per_position = per_position

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the name of the hook it calls dozens of times per step. For every attribute torch looks
        # whether it is a parameter, a module or a buffer first, which for this one took a tenth of a small step.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def objective(self, batch: Split) -> dict[str, Tensor]:
        """'loss' and per-batch metrics, each a scalar mean over examples. Pure: logs nothing, keeps nothing."""

    def output(self, batch: Split) -> Tensor:
        """What the model makes of a batch."""
        return self.model(*[batch[column] for column in self.columns])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a batch that the model takes."""
        return getattr(self.model, "columns", ("input",))

    def output_shape(self, batch: Split) -> tuple[int, ...]:
        """What `output(batch)` must have as shape."""
        n, *_, length = batch["input"].shape
        return (n, length, self.n_outputs) if self.per_position else (n, self.n_outputs)

    def training_step(self, batch: Split, batch_idx: int) -> Tensor:
        loss = self.objective(batch)["loss"]
        if self.examples_per_step is None or self.trainer.world_size == 1:
            return loss
        # Processes average their gradients as equals; one with a larger share of the batch has to count for more.
        return loss * (len(batch["input"]) * self.trainer.world_size / self.examples_per_step)

    @torch.no_grad()
    def evaluate(self, split: Split, chunk: int = 4096) -> dict[str, float]:
        """The objective's metrics over a whole split: means over its examples, computed `chunk` examples at a time."""
        n = len(split["input"])
        totals: dict[str, Tensor] = {}
        for start in range(0, n, chunk):
            part = split if n <= chunk else {k: v[start : start + chunk] for k, v in split.items()}
            weight = len(part["input"]) / n
            for name, value in self.objective(part).items():
                totals[name] = totals.get(name, 0.0) + value.detach().double() * weight
        return {name: float(value) for name, value in totals.items()}

    def check(self, split: Split) -> None:
        """Passes two examples through the model and compares the output's shape with what the objective needs.

        Raises:
            ConfigError: model and data, or model and task, do not fit.
        """
        batch = {k: v[:2] for k, v in split.items()}
        if missing := [column for column in self.columns if column not in batch]:
            raise ConfigError(
                f"{type(self.model).__name__} needs the columns {', '.join(missing)}, which the data do not have.",
                f"They have: {', '.join(batch)}.",
            )
        shape = tuple(batch["input"].shape[1:])
        mode = self.model.training
        self.model.eval()  # two examples must not enter the running statistics of a batch normalization
        try:
            with torch.no_grad():
                output = self.output(batch)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ConfigError(
                f"{type(self.model).__name__} does not accept the data: an input has shape {list(shape)} "
                f"and type {str(batch['input'].dtype).removeprefix('torch.')}.",
                f"The model says: {error}",
            ) from error
        finally:
            self.model.train(mode)
        wanted = self.output_shape(batch)
        if tuple(output.shape) != wanted:
            raise ConfigError(
                f"{type(self.model).__name__} puts out shape {list(output.shape)} for {len(batch['input'])} examples, "
                f"but {type(self).__name__} needs {list(wanted)}.",
                "Choose a model with an output per position, such as gpt or lstm, or another task."
                if self.per_position and output.dim() != len(wanted)
                else "Set the model's `n_outputs` to ${task.n_outputs}, or choose another task.",
            )

    def transfer_batch_to_device(self, batch: Split, device: torch.device, dataloader_idx: int) -> Split:
        """Batches are taken from tensors that are on the device already."""
        if batch["input"].device == device:
            return batch
        return {k: v.to(device, non_blocking=True) for k, v in batch.items()}

    def configure_optimizers(self) -> Any:
        assert self.optimizer_factory is not None, "set task.optimizer_factory before training"
        optimizer = self.optimizer_factory(self.model.named_parameters())
        if self.scheduler_factory is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._schedule(self.scheduler_factory(optimizer))}

    @staticmethod
    def _schedule(scheduler: Any) -> dict[str, Any]:
        if not isinstance(scheduler, ReduceLROnPlateau):
            return {"scheduler": scheduler, "interval": "step"}
        # The engine steps it at evaluation points, where its metric is known; Lightning never does, since the single
        # epoch of a training ends before the second.
        return {
            "scheduler": scheduler,
            "interval": "epoch",
            "frequency": 2,
            "reduce_on_plateau": True,
            "monitor": scheduler.monitor,
        }
