"""How far activations move, where it can be written down."""

import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.probes.coordinate_check import CoordinateCheck
from expkit.tasks.supervised import Regression

N, D = 10, 4


class Vectors(TensorData):
    def draw(self):
        train = {"input": torch.randn(N, D, generator=self.generator("train")), "target": torch.zeros(N, 1)}
        return {"train": train, "test": train}


@pytest.fixture
def data():
    data = Vectors(spec={"shape": [D], "targets": 1})
    data.setup()
    return data


@pytest.fixture
def task():
    torch.manual_seed(0)
    return Regression(nn.Sequential(nn.Linear(D, 8, bias=False), nn.ReLU(), nn.Linear(8, 1)), n_outputs=1)


@torch.no_grad()
def test_a_rank_one_update_moves_units_by_its_own_size(task, data):
    """W + u v^T moves unit i by u_i <v, x>: the RMS is |u| / sqrt(8) times the RMS of <v, x>."""
    probe, x = CoordinateCheck(n_examples=7), data.splits["train"]["input"][:7]
    u, v = torch.randn(8), torch.randn(D)
    before = probe.measure(task, data)
    size = (x @ task.model[0].weight.T).square().mean().sqrt()
    assert before["coordinate_check/0"] == before["coordinate_check/2"] == 0
    assert before["coordinate_check/0_size"] == pytest.approx(float(size), rel=1e-5)
    task.model[0].weight += torch.outer(u, v)
    again = CoordinateCheck(n_examples=7)
    again.load_state_dict(probe.state_dict())  # as after an interruption
    moved = float(u.norm() / 8**0.5 * (x @ v).square().mean().sqrt())
    assert again.measure(task, data)["coordinate_check/0"] == pytest.approx(moved, rel=1e-5)


@torch.no_grad()
def test_layers_can_be_named(task, data):
    assert set(CoordinateCheck(["1"]).measure(task, data)) == {"coordinate_check/1", "coordinate_check/1_size"}
    with pytest.raises(ValueError, match="7"):
        CoordinateCheck(["7"]).measure(task, data)
