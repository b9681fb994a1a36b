"""Spectra of weights on residues: sums of waves whose shares are known, and the energy at its known maximum."""

import math

import pytest
import torch

from expkit.analysis.fourier_spectrum import fourier_spectrum, frequencies_covered, live_units, unit_spectra
from expkit.data.modular_addition import ModularAddition
from expkit.errors import UserError
from expkit.models.mlp import MLP
from expkit.probes.fourier_spectrum import FourierSpectrum
from expkit.tasks.one_hot_regression import OneHotRegression


def wave(p, frequency, phase=0.0, size=1.0):
    x = torch.arange(p, dtype=torch.float64)
    return size * torch.cos(2 * math.pi * frequency * x / p + phase)


@pytest.mark.parametrize("p", [11, 12])
def test_shares_are_those_of_the_waves_that_were_added(p):
    mixed = wave(p, 2, 0.3, 2.0) + wave(p, 4, 1.0, 1.0) + 1.0
    found = fourier_spectrum(mixed)
    # A wave of amplitude a has the mean square a^2 / 2, a constant c has c^2.
    wanted = torch.zeros(p // 2 + 1, dtype=torch.float64)
    wanted[2], wanted[4], wanted[0] = 2.0, 0.5, 1.0
    torch.testing.assert_close(found, wanted / 3.5)


def test_the_highest_frequency_of_an_even_period_counts_once():
    torch.testing.assert_close(fourier_spectrum(wave(8, 4) + wave(8, 1))[[1, 4]], torch.tensor([1, 2]).double() / 3)


def test_shares_agree_with_a_projection_on_sines_and_cosines():
    torch.manual_seed(0)
    p, weights = 13, torch.randn(5, 13, dtype=torch.float64)
    for k in range(1, 7):
        basis = torch.stack([wave(p, k), wave(p, k, math.pi / 2)])
        basis = basis / basis.norm(dim=1, keepdim=True)
        share = (weights @ basis.T).square().sum(1) / weights.square().sum(1)
        torch.testing.assert_close(fourier_spectrum(weights)[:, k], share)


def test_operands_of_a_unit_count_by_their_power():
    weights = torch.cat([wave(9, 1, size=3.0), wave(9, 2, size=1.0)])[None]
    torch.testing.assert_close(unit_spectra(weights, 9)[0, 1:3], torch.tensor([0.9, 0.1]).double())
    assert not unit_spectra(torch.zeros(1, 18), 9).any()
    with pytest.raises(ValueError, match="whole number"):
        unit_spectra(torch.zeros(1, 17), 9)


def test_coverage_counts_frequencies_with_a_clear_live_unit():
    rows = [wave(11, 1), wave(11, 1), wave(11, 3), wave(11, 4) + wave(11, 5), 1e-3 * wave(11, 2)]
    weights = torch.stack([torch.cat([row, row]) for row in rows])
    live = live_units(weights)
    assert live.tolist() == [True, True, True, True, False]
    assert frequencies_covered(unit_spectra(weights, 11), live, 0.6) == 2


@pytest.fixture
def trained():
    torch.manual_seed(0)
    data = ModularAddition(7, 0.5, {"shape": [14], "classes": 7}, encoding="onehot")
    data.setup()
    return OneHotRegression(MLP([14], 7, width=6, depth=1, bias=False, activation="square"), 7, centred=True), data


def test_the_probe_reads_the_weights_that_it_is_told(trained):
    task, data = trained
    with torch.no_grad():
        for unit, row in enumerate(task.model.hidden[0].weight):
            row.copy_(torch.cat([wave(7, unit % 3 + 1), wave(7, unit % 3 + 1, 0.5)]))
    probe = FourierSpectrum("hidden.0.weight", period=7)
    metrics = probe.measure(task, data)
    assert metrics["fourier/share"] == pytest.approx(1)
    assert metrics["fourier/single"] == 1
    assert metrics["fourier/frequencies"] == 3
    assert metrics["fourier/live"] == 6
    arrays = probe.conclude(task, data)
    torch.testing.assert_close(arrays["fourier/power"][4, 2], torch.tensor(1.0).double())
    with pytest.raises(UserError, match=r"hidden\.1"):
        FourierSpectrum("hidden.1.weight", period=7).measure(task, data)
