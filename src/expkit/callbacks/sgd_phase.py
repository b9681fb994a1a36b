"""A phase of gradient descent within a training, with a batch size and a learning rate of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from expkit.callbacks.intervention import Intervention

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData
    from expkit.tasks.base import Task


class SGDPhase(Intervention):
    r"""w <- w - lr * (v <- momentum v + gradient of the mean loss over a batch), `n_steps` times, at one step of a run.

    So the batch size can change within a run: a training at batch size 8 that begins with a phase of full batches
    continues a large-batch solution at small batches. The phase's own steps do not count as steps of the run, and are
    not evaluated; what it ends with is recorded with the metrics of the step at which it acts, whose own were
    measured before it. In a fused sweep it is made for each run by itself.

    Metrics: `<name>/<metric>`: the task's metrics over the training split after the phase.

    Args:
        n_steps: of the phase.
        lr: learning rate.
        batch_size: examples per step, or 'full'. Every epoch has an order of its own, drawn from torch's global
            generator; a rest smaller than a batch is left out.
        momentum: from 0 to below 1.
        step: of the run, after which the phase takes place; 0 for before the first.
        name: in the names of metrics.
    """

    fresh_optimizer: ClassVar[bool] = True

    def __init__(
        self,
        n_steps: int = 1000,
        lr: float = 0.1,
        batch_size: int | Literal["full"] = "full",
        momentum: float = 0.0,
        step: int = 0,
        name: str = "sgd_phase",
    ) -> None:
        if n_steps < 1 or step < 0:
            raise ValueError(f"n_steps is at least 1 and step at least 0, got {n_steps} and {step}")
        self.n_steps = n_steps
        self.lr = lr
        self.batch_size = batch_size
        self.momentum = momentum
        self.step = step
        self.name = name

    def steps(self, max_steps: int) -> Collection[int]:
        return [self.step]

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=self.lr, momentum=self.momentum)
        train = data.splits["train"]
        task.train()
        with torch.enable_grad():
            for _, batch in zip(range(self.n_steps), self._batches(train), strict=False):
                optimizer.zero_grad()
                task.objective(batch)["loss"].backward()
                optimizer.step()
        optimizer.zero_grad()
        task.eval()
        return {f"{self.name}/{name}": value for name, value in task.evaluate(train).items()}

    def _batches(self, train: Split) -> Iterator[Split]:
        """Without end."""
        n = len(train["input"])
        size = n if self.batch_size == "full" else self.batch_size
        if not 1 <= size <= n:
            raise ValueError(f"batch_size is from 1 to the {n} training examples, or full; got {size}")
        while True:
            if size == n:
                yield train
                continue
            order = torch.randperm(n).to(train["input"].device)
            for start in range(0, n - size + 1, size):
                chosen = order[start : start + size]
                yield {column: values[chosen] for column, values in train.items()}
