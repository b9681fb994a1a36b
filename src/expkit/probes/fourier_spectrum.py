"""How far hidden units have become waves of a single frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from expkit.analysis.fourier_spectrum import frequencies_covered, live_units, unit_spectra
from expkit.errors import UserError, did_you_mean
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class FourierSpectrum(Probe):
    """The Fourier spectrum of each hidden unit's incoming weights, where inputs are one-hot residues side by side.

    Metrics: `fourier/share`: the part of a unit's squared weights at its strongest frequency but the constant, mean
    over units that weight decay has left (see `live_units`); for random weights about 2 ln(p) / p with two operands.
    `fourier/single`: the share of these units that have more than `single` there. `fourier/frequencies`: how many
    frequencies have such a unit (of (p - 1) / 2 for odd p). `fourier/live`: how many units are left.

    Arrays at the end: `fourier/power` (units, p // 2 + 1), a spectrum in each row; `fourier/norm` (units,), norms.

    Cost: one FFT of the weights.

    Args:
        parameter: the name of a matrix of the model (units, operands * period), such as hidden.0.weight.
        period: p, the number of residues.
        single: a unit with more than this share at one frequency counts as a wave of it; at least one half.
        live: units below this share of the largest squared norm do not count.
    """

    def __init__(self, parameter: str, period: int, single: float = 0.8, live: float = 0.01) -> None:
        super().__init__()
        if not 0.5 <= single <= 1:
            raise ValueError(f"single is a share from one half to 1, got {single}")
        self.parameter = parameter
        self.period = period
        self.single = single
        self.live = live

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        weights = self._weights(task)
        spectra, live = unit_spectra(weights, self.period), live_units(weights, self.live)
        strongest = spectra[live, 1:].amax(-1)
        return {
            "fourier/share": float(strongest.mean()),
            "fourier/single": float((strongest > self.single).double().mean()),
            "fourier/frequencies": float(frequencies_covered(spectra, live, self.single)),
            "fourier/live": float(live.sum()),
        }

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        weights = self._weights(task)
        return {"fourier/power": unit_spectra(weights, self.period), "fourier/norm": weights.double().norm(dim=-1)}

    def _weights(self, task: Task) -> Tensor:
        parameters = dict(task.model.named_parameters())
        if self.parameter not in parameters:
            raise UserError(
                f"fourier_spectrum: the model has no parameter '{self.parameter}'.",
                did_you_mean(self.parameter, parameters, show=10),
            )
        return parameters[self.parameter].detach()
