"""Regression with the tangent kernel against the regression of a linear model, whose kernel it is."""

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from expkit.data.base import TensorData
from expkit.probes.ntk_regression import NTKRegression
from expkit.tasks.supervised import Classification, Regression

D = 5


class Vectors(TensorData):
    def __init__(self, classes):
        super().__init__(spec={"shape": [D]})
        self.classes = classes

    def draw(self):
        splits = {}
        for name in ("train", "test"):
            x = torch.randn(40, D, generator=self.generator(name), dtype=torch.float64)
            y = (x @ torch.eye(D, self.classes or 2, dtype=torch.float64)) ** 3
            splits[name] = {"input": x, "target": y.argmax(1) if self.classes else y}
        return splits


def measure(task, probe, classes=0):
    data = Vectors(classes)
    data.setup()
    with torch.no_grad():
        return data.splits, probe.measure(task, data)


def test_of_a_linear_model_is_ridge_regression():
    probe = NTKRegression(ridges=[0.2], precision="float64")
    splits, found = measure(Regression(nn.Linear(D, 2, bias=False).double(), 2), probe)
    x, y = (splits["train"][name].numpy() for name in ("input", "target"))
    reference = Ridge(alpha=0.2 * (x**2).sum() / len(x), fit_intercept=False).fit(x, y)
    error = ((reference.predict(splits["test"]["input"].numpy()) - splits["test"]["target"].numpy()) ** 2).mean()
    assert found["ntk_regression/test_mse"] == pytest.approx(error)


def test_reports_the_best_ridge_once():
    task = Classification(nn.Linear(D, 3).double(), 3)
    probe = NTKRegression(ridges=[0.0, 0.01, 100.0])
    _, found = measure(task, probe, classes=3)
    alone = [measure(task, NTKRegression(ridges=[ridge]), classes=3)[1] for ridge in (0.0, 0.01, 100.0)]
    assert found["ntk_regression/test_mse"] == min(one["ntk_regression/test_mse"] for one in alone)
    assert found["ntk_regression/test_acc"] == max(one["ntk_regression/test_acc"] for one in alone) > 0.7
    assert measure(task, probe, classes=3)[1] == {}
