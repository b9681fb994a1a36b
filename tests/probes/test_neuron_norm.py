"""Spread and condition of updates that are made by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from expkit.errors import ConfigError
from expkit.probes.neuron_norm import NeuronNorm
from expkit.transforms.snapshots import snapshots, take


def network():
    torch.manual_seed(0)
    model = nn.ModuleDict({"hidden": nn.Linear(3, 2), "kernel": nn.Conv1d(2, 2, 2), "readout": nn.Linear(2, 2)})
    return snapshots(model, ["before"])


def concluded(model):
    return NeuronNorm().conclude(SimpleNamespace(model=model), None)


def test_of_updates_by_hand():
    model = network()
    with torch.no_grad():
        model["hidden"].weight += torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.6, 0.8]])  # norms 3 and 1: 1 / 2
        model["kernel"].weight += torch.tensor([[[1.0, 0], [0, 0]], [[0, 0], [0, 1.0]]])  # equal norms, orthogonal
        model["readout"].weight += torch.randn(2, 2)
        model["hidden"].bias += 1
    found = concluded(model)
    assert found["neuron_norm/cv_of_matrices"].tolist() == pytest.approx([0.5, 0.0], abs=1e-6)
    assert found["neuron_norm/cv"] == pytest.approx(0.25, abs=1e-6)
    assert found["neuron_norm/condition"] == pytest.approx(math.sqrt(3.0), rel=1e-5)


def test_is_about_what_came_after_the_snapshot():
    model = network()
    with torch.no_grad():
        model["hidden"].weight += torch.randn(2, 3)
        take(model, "before")
        model["hidden"].weight += torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        model["kernel"].weight += torch.ones(2, 2, 2) * torch.tensor([1.0, 3.0]).view(2, 1, 1)
    assert concluded(model)["neuron_norm/cv_of_matrices"].tolist() == pytest.approx([0.0, 0.5], abs=1e-5)


def test_without_a_snapshot_it_says_what_is_missing():
    with pytest.raises(ConfigError, match="snapshot"):
        concluded(nn.ModuleDict({"hidden": nn.Linear(3, 2)}))
