"""Delays become sharp as the schedule says, and a network without them is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expkit.callbacks.sigma_annealing import SigmaAnnealing
from expkit.errors import UserError
from expkit.models.snn import SNN
from expkit.tasks.supervised import Classification


def test_every_step_of_the_schedule_divides_by_the_same() -> None:
    model = SNN((4, 15), 3, width=6, delays="learned", max_delay=5)
    task = Classification(model, 3)
    annealing = SigmaAnnealing(start=8, end=0.5, until=40, every=10)
    steps = list(annealing.steps(100))
    logged = [annealing.act(task, SimpleNamespace(), step)["sigma"] for step in steps]
    assert steps == [0, 10, 20, 30, 40]
    assert logged == pytest.approx([8, 4, 2, 1, 0.5])
    assert [layer.sigma.item() for layer in model.synapses] == [0.5, 0.5, 0.5]


def test_a_network_without_delays_is_refused() -> None:
    task = Classification(SNN((4, 15), 3, width=6), 3)
    with pytest.raises(UserError, match="has no learned delays"):
        SigmaAnnealing(start=8, end=0.5, until=40, every=10).act(task, SimpleNamespace(), 0)
