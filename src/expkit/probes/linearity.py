"""How linear a network without biases is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Linearity(Probe):
    r"""Compares f with its odd part, f_odd(x) = (f(x) - f(-x)) / 2, over a split's inputs.

    For a two-layer ReLU network without biases the odd part is exactly linear, f_odd(x) = <w, x> with
    w = 1/2 sum_j a_j w_j, since relu(z) = z/2 + |z|/2; what remains is even. For other networks it is an upper bound.

    Metrics:
        `linearity/share`: mean f_odd^2 / (mean f_odd^2 + mean f_even^2), from 0 to 1; 1 is linear.
        `linearity/agreement`: share of inputs on which f and f_odd have the same sign (label).
    """

    def __init__(self, split: str = "test") -> None:
        super().__init__()
        self.split = split

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        inputs = data.splits[self.split]["input"]
        output = task.model(inputs)
        odd = (output - task.model(-inputs)) / 2
        even = output - odd
        odd_energy, even_energy = odd.square().mean(), even.square().mean()
        return {
            "linearity/share": (odd_energy / (odd_energy + even_energy)).item(),
            "linearity/agreement": ((output > 0) == (odd > 0)).float().mean().item(),
        }
