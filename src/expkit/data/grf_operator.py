"""Random functions and what an operator makes of them: the antiderivative, and a pendulum that they push."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from expkit.data.base import Spec, Split, TensorData

KNOTS = 101  # of the spline that stands for a random function on [0, 1]
PLACES = 201  # of the grid on [0, 1] that locations are drawn from


class GrfOperator(TensorData):
    r"""(u, y) -> G(u)(y), with u on [0, 1] from a Gaussian process of mean 0 (arXiv 1910.03193).

    The process has the covariance exp(-(x - x')^2 / (2 length_scale^2)). A draw is a cubic spline through its values at
    101 points. The operators, all of whose solutions begin at rest in 0:

        antiderivative:  s' = u(x),                      G(u)(y) = s(y)
        pendulum:        s_1' = s_2, s_2' = -k sin s_1 + u(t),   G(u)(y) = s_1(y)

    Equations are solved by scipy's `solve_ivp` (order 8, relative tolerance 1e-6). y is uniform on 201 places of
    [0, 1], one for each u.

    Columns: 'input' (n, sensors + 1), the values of u at equidistant sensors, the ends included, and then y;
    'target' (n, 1).

    Args:
        operator: 'antiderivative' or 'pendulum'.
        sensors: m, at least 2.
        length_scale: of the process, in units of the interval.
        n_train, n_test: numbers of functions.
        stiffness: k of the pendulum, gravity over length.

    Raises:
        ValueError: fewer than 2 sensors, or an unknown operator.
    """

    def __init__(
        self,
        operator: Literal["antiderivative", "pendulum"],
        sensors: int,
        length_scale: float,
        n_train: int,
        n_test: int,
        spec: Spec,
        stiffness: float = 1.0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if sensors < 2:
            raise ValueError(f"sensors stand at both ends at least, got {sensors}")
        if operator not in ("antiderivative", "pendulum"):
            raise ValueError(f"operator is antiderivative or pendulum, got '{operator}'")
        self.operator = operator
        self.sensors = sensors
        self.length_scale = length_scale
        self.n_examples = {"train": n_train, "test": n_test}
        self.stiffness = stiffness

    def draw(self) -> dict[str, Split]:
        return {name: self._split(n, self.generator(name)) for name, n in self.n_examples.items()}

    def functions(self, n: int, random: torch.Generator) -> CubicSpline:
        """Draws of the process: a spline from x to (n,)."""
        knots = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
        covariance = torch.exp(-((knots.unsqueeze(1) - knots) ** 2) / (2 * self.length_scale**2))
        values, vectors = torch.linalg.eigh(covariance)  # nearly singular, which a Cholesky factor would not survive
        root = vectors * values.clamp(min=0).sqrt()
        draws = root @ torch.randn(n, KNOTS, generator=random, dtype=torch.float64).T
        return CubicSpline(knots.numpy(), draws.numpy())

    def solve(self, functions: CubicSpline, tolerance: float = 1e-6) -> NDArray[np.float64]:
        """G(u) at the 201 places, (places, n)."""
        n = functions.c.shape[-1]
        slope, size = self._equation(functions, n)
        places = np.linspace(0, 1, PLACES)
        arguments = {"method": "DOP853", "rtol": tolerance, "atol": tolerance / 100, "max_step": 0.05}
        return solve_ivp(slope, (0, 1), np.zeros(size), t_eval=places, **arguments).y[:n].T

    def _equation(
        self, functions: CubicSpline, n: int
    ) -> tuple[Callable[[float, NDArray[np.float64]], NDArray[np.float64]], int]:
        """The right side for all functions at once, and how many numbers its state has."""
        if self.operator == "antiderivative":
            return (lambda x, state: functions(x)), n
        return (lambda t, state: np.concatenate([state[n:], functions(t) - self.stiffness * np.sin(state[:n])])), 2 * n

    def _split(self, n: int, random: torch.Generator) -> Split:
        functions = self.functions(n, random)
        place = torch.randint(PLACES, (n,), generator=random)
        solutions = torch.from_numpy(self.solve(functions))
        sensed = torch.from_numpy(functions(np.linspace(0, 1, self.sensors))).T
        location = (place / (PLACES - 1)).unsqueeze(1)
        target = solutions[place, torch.arange(n)].unsqueeze(1)
        return {"input": torch.cat([sensed, location], dim=1).float(), "target": target.float()}
