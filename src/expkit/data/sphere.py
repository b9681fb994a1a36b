"""Points on the unit circle or sphere with a target function known by name."""

from __future__ import annotations

import math
from typing import Literal

import torch
from scipy.special import eval_gegenbauer
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData


class Sphere(TensorData):
    r"""|x| = `radius` in R^dim, y = f(x / radius), to which noise is added in training.

    ==========  ========================================================================================
    function    f(u) of a unit vector
    ==========  ========================================================================================
    `product`   u_1 u_2, on the circle sin(2 g) / 2 at the angle g (arXiv 1806.07572, section 6.1)
    `harmonic`  the zonal harmonic of some degree around the first axis, 1 at the pole: on the circle
                cos(degree g), else C_k(u_1) / C_k(1) with Gegenbauer's C_k of index dim/2 - 1
    `sign`      the sign of u_1
    ==========  ========================================================================================

    Columns: 'input' (n, dim), 'target' (n, 1), and for training 'clean' (the target without noise).

    Args:
        dim: 2 for the circle, 3 for the sphere, ...
        n_train, n_test: numbers of points.
        function: a row of the table.
        degree: of the harmonic, at least 0.
        spacing: of training points: 'random', uniform and independent; or 'even', at the angles 2 pi i / n.
        test_spacing: of test points.
        radius: of the sphere.
        noise: standard deviation of the Gaussian noise on training targets; test targets are clean.

    Raises:
        ValueError: dim is below 2, even spacing where dim is not 2, or a number is negative.
    """

    def __init__(
        self,
        dim: int,
        n_train: int,
        n_test: int,
        function: Literal["product", "harmonic", "sign"],
        spec: Spec,
        degree: int = 1,
        spacing: Literal["random", "even"] = "random",
        test_spacing: Literal["random", "even"] = "random",
        radius: float = 1.0,
        noise: float = 0.0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if dim < 2:
            raise ValueError(f"dim is at least 2, got {dim}")
        if dim != 2 and "even" in (spacing, test_spacing):
            raise ValueError(f"points are spaced evenly on the circle only, and dim is {dim}")
        if degree < 0 or noise < 0 or radius <= 0:
            raise ValueError(f"degree {degree} and noise {noise} are not negative, and radius {radius} is positive")
        self.dim = dim
        self.points = {"train": (n_train, spacing), "test": (n_test, test_spacing)}
        self.function = function
        self.degree = degree
        self.radius = radius
        self.noise = noise

    def draw(self) -> dict[str, Split]:
        train, test = self._clean("train"), self._clean("test")
        clean = train["target"]
        noisy = clean + self.noise * torch.randn(clean.shape, generator=self.generator("noise"))
        return {"train": {**train, "target": noisy, "clean": clean}, "test": test}

    def _clean(self, name: str) -> Split:
        n, spacing = self.points[name]
        if spacing == "even":
            angles = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
            unit = torch.stack([angles.cos(), angles.sin()], 1)
        else:
            unit = torch.randn(n, self.dim, generator=self.generator(name), dtype=torch.float64)
            unit /= unit.norm(dim=1, keepdim=True)
        return {"input": (self.radius * unit).float(), "target": self._target(unit).float().unsqueeze(1)}

    def _target(self, unit: Tensor) -> Tensor:
        if self.function == "product":
            return unit[:, 0] * unit[:, 1]
        if self.function == "sign":
            return unit[:, 0].sign()
        if self.dim == 2:
            return (self.degree * unit[:, 0].clamp(-1, 1).acos()).cos()
        index = self.dim / 2 - 1
        values = eval_gegenbauer(self.degree, index, unit[:, 0].numpy()) / eval_gegenbauer(self.degree, index, 1.0)
        return torch.as_tensor(values, dtype=torch.float64)
