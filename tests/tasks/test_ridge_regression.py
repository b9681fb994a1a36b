"""Closed forms against scikit-learn, numpy, and gradient descent that is carried out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from expkit.data.base import TensorData
from expkit.errors import ConfigError
from expkit.models.random_features import RandomFeatures
from expkit.tasks.ridge_regression import RidgeRegression, filter_of

N, D = 30, 6


class Noise(TensorData):
    def draw(self):
        splits = {}
        for name, n in {"train": N, "test": 50}.items():
            draw = self.generator(name)
            x = torch.randn(n, D, generator=draw)
            splits[name] = {"input": x, "target": x[:, :2] + torch.randn(n, 2, generator=draw)}
        return splits


@pytest.fixture
def data() -> TensorData:
    data = Noise(spec={"shape": [D], "targets": 2})
    data.setup()
    return data


def model(width: int, spread: float = 0.0) -> RandomFeatures:
    torch.manual_seed(0)
    return RandomFeatures([D], 2, width=width, feature_spread=spread)


def features(net: RandomFeatures, data: TensorData) -> tuple[np.ndarray, ...]:
    return tuple(
        array.double().numpy()
        for split in ("train", "test")
        for array in (net.features(data.splits[split]["input"]), data.splits[split]["target"])
    )


@torch.no_grad()
def rows(task: RidgeRegression, data: TensorData) -> list:
    return list(task.compute(data))


@pytest.mark.parametrize("width", [10, 30, 80])
def test_ridge_regression_is_that_of_scikit_learn(data, width) -> None:
    net = model(width)
    (row,) = rows(RidgeRegression(net, 2, ridge=0.01), data)
    x, y, x_test, y_test = features(net, data)
    fitted = Ridge(alpha=0.01 * N, fit_intercept=False, solver="svd").fit(x, y)
    assert row["train/loss"] == pytest.approx(((fitted.predict(x) - y) ** 2).mean(), rel=1e-6)
    assert row["test/loss"] == pytest.approx(((fitted.predict(x_test) - y_test) ** 2).mean(), rel=1e-6)
    assert row["weights/norm"] == pytest.approx(np.linalg.norm(fitted.coef_), rel=1e-6)


@pytest.mark.parametrize("width", [10, 80])
def test_without_a_ridge_it_is_the_pseudo_inverse(data, width) -> None:
    net = model(width)
    (row,) = rows(RidgeRegression(net, 2), data)
    x, y, x_test, y_test = features(net, data)
    weights = np.linalg.pinv(x) @ y
    assert row["test/loss"] == pytest.approx(((x_test @ weights - y_test) ** 2).mean(), rel=1e-6)
    assert row["features/condition"] == pytest.approx(np.linalg.cond(x), rel=1e-6)
    assert row["features/rank"] == min(width, N)
    if width > N:
        assert row["train/loss"] < 1e-20


@pytest.mark.parametrize("ridge", [0.0, 0.02])
@pytest.mark.parametrize("learning_rate", [None, 1.5])
def test_gradient_descent_is_the_one_that_is_carried_out(data, ridge, learning_rate) -> None:
    net = model(40)
    found = rows(RidgeRegression(net, 2, ridge=ridge, steps=[1, 7, 200], learning_rate=learning_rate), data)
    x, y, x_test, y_test = (torch.from_numpy(array) for array in features(net, data))
    largest = 2 * (torch.linalg.matrix_norm(x, 2) ** 2 / N + ridge)
    weights = torch.zeros(40, 2, dtype=torch.float64)
    at = {}
    for step in range(1, 201):
        gradient = 2 * (x.T @ (x @ weights - y) / N + ridge * weights)
        weights = weights - (learning_rate or 1 / largest) * gradient
        at[step] = weights
    for row, step in zip(found, (1, 7, 200), strict=False):
        assert row["steps"] == step
        assert row["train/loss"] == pytest.approx(float((x @ at[step] - y).square().mean()), rel=1e-6)
        assert row["test/loss"] == pytest.approx(float((x_test @ at[step] - y_test).square().mean()), rel=1e-6)
    assert len(found) == 4


def test_the_filter_keeps_small_rates() -> None:
    x = torch.tensor([0.0, 1e-17, 1e-9, 0.3, 1.0, 1.9], dtype=torch.float64)
    expected = [0.0, 1e-12, 1 - np.exp(-1e-4), 1.0, 1.0, 1.0]
    np.testing.assert_allclose(filter_of(x, 100_000).numpy(), expected, rtol=1e-8)
    np.testing.assert_allclose(filter_of(x, 3).numpy(), 1 - (1 - x.numpy()) ** 3, atol=1e-15)


def test_a_spread_of_scales_worsens_the_conditioning_only(data) -> None:
    plain, spread = (rows(RidgeRegression(model(12, size), 2), data)[0] for size in (0.0, 2.0))
    assert spread["features/condition"] > 3 * plain["features/condition"]
    assert spread["train/loss"] == pytest.approx(plain["train/loss"], rel=1e-4)  # the same span


def test_a_model_without_a_linear_layer_is_refused(data) -> None:
    with pytest.raises(ConfigError, match="no linear layer"):
        rows(RidgeRegression(nn.Flatten(), 2), data)
