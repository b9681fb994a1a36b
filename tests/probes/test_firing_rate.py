"""Firing rates of neurons whose spikes are given, and how far apart arrivals are that are given."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from experiments.snn_learned_delays_dcls.arrival_spread import ArrivalSpread, deviation

from expkit.models.snn import SNN
from expkit.probes.firing_rate import FiringRate


def test_counts() -> None:
    first, second = torch.zeros(2, 3, 10), torch.zeros(2, 2, 10)
    first[0, 0, :4], first[1, 1, 2], second[:, 0, :5] = 1, 1, 1
    model = SimpleNamespace(spikes=lambda inputs: [first, second])
    data = SimpleNamespace(splits={"test": {"input": torch.zeros(2, 1, 10)}})
    measured = FiringRate().measure(SimpleNamespace(model=model), data)
    expected = {"mean": 15 / 100, "1": 5 / 60, "2": 10 / 40, "total": 7.5, "silent": 2 / 5}
    assert measured == pytest.approx({f"firing_rate/{name}": value for name, value in expected.items()})


def test_the_deviation_of_two_arrivals_is_half_their_distance() -> None:
    density = torch.zeros(20)
    density[3], density[11] = 2, 2
    assert deviation(density).item() == pytest.approx(4)


def test_delays_that_make_up_for_latencies_leave_no_spread() -> None:
    model = SNN((2, 20), 2, width=1, depth=1, delays="random", max_delay=10, tau=1.0).eval()
    inputs = torch.zeros(2, 2, 20)
    inputs[0, 0, 3], inputs[0, 1, 9] = 1, 1  # channel 1 six steps later
    inputs[1, 0, 3], inputs[1, 1, 3] = 1, 1
    data = SimpleNamespace(splits={"test": {"input": inputs, "target": torch.tensor([0, 1])}})
    model.synapses[0].weight.data.fill_(0.7)  # two at once make the neuron spike, one does not
    for delays, spread in (([6.0, 0.0], 0.0), ([0.0, 0.0], 0.0), ([5.0, 0.0], 0.5)):
        model.synapses[0].position.data = torch.tensor([delays]) / 20.0
        if spread:
            model.synapses[0].weight.data.fill_(1.2)
        measured = ArrivalSpread().measure(SimpleNamespace(model=model), data)
        assert measured["arrival_spread/mean"] == pytest.approx(spread, abs=1e-3)
