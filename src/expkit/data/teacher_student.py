"""Gaussian inputs labelled by a random teacher: a linear function or a two-layer network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec, Split, TensorData

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": lambda z: torch.erf(z / 2**0.5),
    "square": torch.square,
}


class TeacherStudent(TensorData):
    r"""x ~ N(0, I_dim), y = f(x_1 .. x_relevant), to which noise is added in training.

    linear: f(x) = <w, x> / sqrt(relevant);  mlp: f(x) = \sum_j a_j phi(<w_j, x> / sqrt(relevant)) / sqrt(width);
    all entries of w and a ~ N(0, 1), independently for each of the `targets` outputs (which share the w_j).
    Test targets are clean, so that the test error is the distance from the teacher. With phi = erf this is the
    soft committee machine of Saad and Solla (1995).

    Columns: 'input' (n, dim), 'target' (n, targets), and for training 'clean' (the target without noise).

    Args:
        teacher: 'linear' or 'mlp'.
        dim: number of input dimensions.
        targets: number of outputs.
        n_train, n_test: numbers of examples.
        noise: standard deviation of the Gaussian noise on training targets.
        relevant: how many inputs, the first ones, the teacher looks at; None for all.
        width: hidden units of the mlp.
        activation: phi of the mlp; erf is erf(z / sqrt(2)).
    """

    def __init__(
        self,
        teacher: Literal["linear", "mlp"],
        dim: int,
        targets: int,
        n_train: int,
        n_test: int,
        noise: float,
        spec: Spec,
        relevant: int | None = None,
        width: int = 4,
        activation: Literal["relu", "tanh", "erf", "square"] = "relu",
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.relevant = dim if relevant is None else relevant
        if not 1 <= self.relevant <= dim:
            raise ValueError(f"relevant is from 1 to dim={dim}, got {relevant}")
        if noise < 0:
            raise ValueError(f"noise is a standard deviation, got {noise}")
        self.kind = teacher
        self.dim = dim
        self.targets = targets
        self.n_examples = {"train": n_train, "test": n_test}
        self.noise = noise
        self.width = width
        self.activation = activation

    @property
    def readout(self) -> Tensor:
        """The teacher's last layer with its scale: (targets, relevant) if linear, else (targets, width)."""
        inputs = self.relevant if self.kind == "linear" else self.width
        return torch.randn(self.targets, inputs, generator=self.generator("readout")) / inputs**0.5

    @property
    def hidden(self) -> Tensor:
        """The mlp's first layer with its scale: (width, relevant)."""
        return torch.randn(self.width, self.relevant, generator=self.generator("hidden")) / self.relevant**0.5

    def teacher(self, inputs: Tensor) -> Tensor:
        """f, (n, dim) -> (n, targets)."""
        features = inputs[:, : self.relevant]
        if self.kind == "mlp":
            features = ACTIVATIONS[self.activation](F.linear(features, self.hidden.to(inputs)))
        return F.linear(features, self.readout.to(inputs))

    def draw(self) -> dict[str, Split]:
        train, test = self._clean("train"), self._clean("test")
        clean = train["target"]
        noisy = clean + self.noise * torch.randn(clean.shape, generator=self.generator("noise"))
        return {"train": {**train, "target": noisy, "clean": clean}, "test": test}

    def _clean(self, name: str) -> Split:
        inputs = torch.randn(self.n_examples[name], self.dim, generator=self.generator(name))
        return {"input": inputs, "target": self.teacher(inputs)}
