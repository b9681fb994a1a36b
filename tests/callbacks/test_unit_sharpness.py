"""The learning rate in units of the inverse sharpness, against what linear regression does exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from expkit.analysis.empirical_ntk import task_ntk
from expkit.callbacks.unit_sharpness import UnitSharpness
from expkit.data.base import TensorData
from expkit.errors import UserError
from expkit.records.record import Record
from expkit.tasks.supervised import Regression
from expkit.tasks.unit_sharpness import UnitSharpnessRegression
from support import train

N, D = 40, 6


class Inputs(TensorData):
    def draw(self):
        draw = self.generator("train")
        train = {"input": 3 * torch.randn(N, D, generator=draw), "target": torch.randn(N, 1, generator=draw)}
        return {"train": train, "test": train}


@pytest.fixture
def data():
    data = Inputs(spec={"shape": [D], "targets": 1})
    data.setup()
    return data


def act(task, data):
    with torch.no_grad():
        return UnitSharpness().act(task.eval(), data, 0)["unit_sharpness/sharpness"]


def test_for_linear_regression_it_is_the_largest_eigenvalue_of_twice_the_second_moment(data):
    task = UnitSharpnessRegression(nn.Linear(D, 1, bias=False), 1)
    x = data.splits["train"]["input"].double()
    assert act(task, data) == pytest.approx(float(torch.linalg.eigvalsh(2 * x.T @ x / N)[-1]), rel=1e-5)
    assert float(task.sharpness) == pytest.approx(act(UnitSharpnessRegression(task.model, 1), data), rel=1e-5)


def test_for_a_network_it_is_that_of_its_tangent_kernel(data):
    torch.manual_seed(0)
    task = UnitSharpnessRegression(nn.Sequential(nn.Linear(D, 9), nn.ReLU(), nn.Linear(9, 1)), 1)
    kernel = task_ntk(task, data.splits["train"])
    assert act(task, data) == pytest.approx(2 / N * float(torch.linalg.eigvalsh(kernel)[-1]), rel=1e-5)


def test_the_loss_is_divided_and_the_error_is_not(data):
    task = UnitSharpnessRegression(nn.Linear(D, 1), 1)
    before = task.evaluate(data.splits["train"])
    sharpness = act(task, data)
    after = task.evaluate(data.splits["train"])
    assert after["loss"] == pytest.approx(before["loss"] / sharpness, rel=1e-5)
    assert after["mse"] == pytest.approx(before["mse"]) == pytest.approx(before["loss"])


def test_other_weights_of_the_same_task_are_measured_anew(data):
    task = UnitSharpnessRegression(nn.Sequential(nn.Linear(D, 9), nn.ReLU(), nn.Linear(9, 1, bias=False)), 1)
    first = act(task, data)
    task.sharpness.fill_(1)  # as it is in each run of a stack that shares the task
    assert act(task, data) == first
    task.sharpness.fill_(1)
    with torch.no_grad():
        task.model[2].weight *= 0
    x = torch.relu(task.model[:2](data.splits["train"]["input"])).double().detach()
    assert act(task, data) == pytest.approx(float(torch.linalg.eigvalsh(2 * x.T @ x / N)[-1]), rel=1e-5)


def test_another_task_is_refused(data):
    with pytest.raises(UserError, match="unit_sharpness_regression"):
        UnitSharpness().act(Regression(nn.Linear(D, 1), 1), data, 0)


@pytest.mark.parametrize("way", ["serial", "fused"])
def test_two_is_the_edge_of_stability_of_linear_regression_whatever_the_seed(runs: Path, way):
    """And in the engines, where a run with a rate of its own is a run by itself."""
    ran = train(
        *("-m", "data=gaussian_product", "model=linear", "task=unit_sharpness_regression", "optimizer=sgd"),
        *("callbacks=[unit_sharpness]", "optimizer.lr=1.9,2.1", "seed=0,1", "trainer.max_steps=150"),
        *("trainer.eval_at=50", "logger=none", f"hydra/launcher={way}"),
    )
    for one in ran:
        losses = Record(Path(one["path"])).metrics["train/mse"].to_list()
        rate = Record(Path(one["path"])).config["optimizer"]["lr"]
        assert (losses[-1] < losses[1]) == (rate < 2), (rate, losses)
