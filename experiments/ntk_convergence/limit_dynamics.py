"""How far a network and its training are from the limit of infinite width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expkit.analysis.empirical_ntk import task_ntk
from expkit.analysis.infinite_width_kernel import infinite_width_kernel
from expkit.analysis.kernel import drift, spectrum
from expkit.analysis.linearized_dynamics import linearized_dynamics
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class LimitDynamics(Probe):
    r"""Compares a fully connected network in the NTK parametrization with kernel gradient descent of infinite width.

    The limit starts from the network's own outputs f_0 and descends, with the same learning rate and loss (mse), by the
    kernel Theta of infinite width: f_{t+1} = f_t - 2 lr / n Theta (f_t - y).

    Metrics, at evaluation points:
        `limit/gap`: RMS over test points of f_t - f_t of the limit, in units of the RMS of the targets.
        `limit/gap_train`: the same over training points.
    And once, at the end, kernels being Gram matrices on the training points, norms Frobenius's:
        `limit/kernel_deviation`: |K_0 - Theta| / |Theta|, K_0 that of the network at initialization.
        `limit/drift`: |K_T - K_0| / |K_0|, K_T that after training.
        `limit/min_eigenvalue`: the smallest eigenvalue of Theta; `limit/min_eigenvalue_polynomial`: that of the limit
            for the identity as activation, a polynomial one; `limit/min_eigenvalue_network`: of K_0. In units of the
            mean eigenvalue.

    Arrays: `limit/steps` (T,); `limit/components` and `limit/components_limit` (T, n), the residual f_t - y on training
    points along the eigenvectors of Theta, of the network and of the limit; `limit/eigenvalues` (n,) of 2 lr / n Theta,
    in descending order; `limit/profile_initial`, `limit/profile_end`, `limit/profile` (m,): the network's kernel before
    and after training and Theta, between the first test point and all of them.

    Args:
        depth, activation, weight_std, bias_std: of the network.
        lr: of gradient descent.
    """

    def __init__(self, depth: int, activation: str, weight_std: float, bias_std: float, lr: float) -> None:
        super().__init__()
        self.network = {"depth": depth, "weight_std": weight_std, "bias_std": bias_std}
        self.activation = activation
        self.lr = lr
        self.initial: dict[str, Tensor] = {}
        self.steps: list[int] = []
        self.outputs: list[Tensor] = []  # on training points, at each of these steps

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        outputs = {name: task.output(split)[:, 0].double() for name, split in data.splits.items()}
        if not self.initial:
            self.initial = {**outputs, "kernel": self._kernel(task, data), "profile": self._profile(task, data)}
        self.steps.append(task.trainer.global_step)
        self.outputs.append(outputs["train"])
        limit = self._limit(data, self.steps[-1])
        targets = data.splits["test"]["target"].double().square().mean().sqrt()
        gaps = {name: float((outputs[name] - own).square().mean().sqrt() / targets) for name, own in limit.items()}
        return {"limit/gap": gaps["test"], "limit/gap_train": gaps["train"]}

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        train, y = data.splits["train"], data.splits["train"]["target"][:, 0].double()
        limit, initial = self._limit_kernel(train["input"]), self.initial["kernel"]
        polynomial = infinite_width_kernel(train["input"], activation="identity", **self.network).ntk  # type: ignore[arg-type]
        eigenvalues, vectors = torch.linalg.eigh(limit)
        eigenvalues, vectors = eigenvalues.flip(0), vectors.flip(1)
        rate = 2 * self.lr / len(y)
        network = (torch.stack(self.outputs) - y) @ vectors
        descended = linearized_dynamics(limit, self.initial["train"] - y, rate, max(self.steps))
        return {
            "limit/kernel_deviation": drift(initial, limit),
            "limit/drift": drift(self._kernel(task, data), initial),
            "limit/min_eigenvalue": float(eigenvalues[-1] / eigenvalues.mean()),
            "limit/min_eigenvalue_polynomial": _smallest(polynomial),
            "limit/min_eigenvalue_network": _smallest(initial),
            "limit/steps": torch.tensor(self.steps),
            "limit/components": network,
            "limit/components_limit": descended[self.steps] @ vectors,
            "limit/eigenvalues": rate * eigenvalues,
            "limit/profile_initial": self.initial["profile"],
            "limit/profile_end": self._profile(task, data),
            "limit/profile": self._limit_kernel(data.splits["test"]["input"][:1], data.splits["test"]["input"])[0],
        }

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self.initial, "steps": self.steps, "outputs": self.outputs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.initial, self.steps, self.outputs = (state_dict[name] for name in ("initial", "steps", "outputs"))

    def _limit(self, data: TensorData, step: int) -> dict[str, Tensor]:
        """The outputs of the limit on both splits after so many steps."""
        train, test = data.splits["train"], data.splits["test"]
        residual = self.initial["train"] - train["target"][:, 0].double()
        kernel, rate = self._limit_kernel(train["input"]), 2 * self.lr / len(residual)
        cross = self._limit_kernel(test["input"], train["input"])
        return {
            "train": linearized_dynamics(kernel, residual, rate, step)[-1] + train["target"][:, 0].double(),
            "test": linearized_dynamics(kernel, residual, rate, step, cross=cross)[-1] + self.initial["test"],
        }

    def _limit_kernel(self, inputs: Tensor, others: Tensor | None = None) -> Tensor:
        return infinite_width_kernel(inputs, others, activation=self.activation, **self.network).ntk  # type: ignore[arg-type]

    def _kernel(self, task: Task, data: TensorData) -> Tensor:
        return task_ntk(task, data.splits["train"], dtype=torch.float32).double()

    def _profile(self, task: Task, data: TensorData) -> Tensor:
        test = data.splits["test"]
        first = {name: values[:1] for name, values in test.items()}
        return task_ntk(task, first, test, dtype=torch.float32)[0].double()


def _smallest(kernel: Tensor) -> float:
    eigenvalues = spectrum(kernel)
    return float(eigenvalues[-1] / eigenvalues.mean())
