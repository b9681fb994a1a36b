"""Neural collapse on geometries that are known, and against the definition with covariance matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from expkit.analysis.neural_collapse import neural_collapse, simplex_etf
from expkit.data.base import TensorData
from expkit.errors import ConfigError
from expkit.models.unconstrained_features import UnconstrainedFeatures
from expkit.probes.neural_collapse import NeuralCollapse
from expkit.tasks.supervised import Classification

K, D = 4, 10


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def frame() -> torch.Tensor:
    """K orthonormal vectors, (K, D)."""
    return torch.linalg.qr(torch.randn(D, K, dtype=torch.float64))[0].T


def labels(counts=(5, 5, 5, 5)) -> torch.Tensor:
    return torch.arange(K).repeat_interleave(torch.tensor(counts))


def test_an_orthogonal_frame_is_known_as_such() -> None:
    means = frame()
    found = neural_collapse(3 * means[labels()], labels(), 7 * means)
    for name in ("nc1", "nc2_frame", "nc2_frame_means", "nc3_frame", "nc2_etf_means"):
        assert found[name] < 1e-9, name  # a centred frame is a simplex ETF
    # |I/sqrt(K) - E/sqrt(K-1)|^2 = 2 - 2 tr(E) / sqrt(K (K-1)) = 2 - 2 sqrt((K-1)/K)
    assert found["nc2_etf"] == pytest.approx((2 - 2 * (3 / 4) ** 0.5) ** 0.5)


def test_a_simplex_etf_is_known_as_such() -> None:
    means = simplex_etf(K).double() @ frame()
    offset = torch.randn(D, dtype=torch.float64)
    found = neural_collapse(2 * means[labels()] + offset, labels(), 5 * means)
    for name in ("nc1", "nc2_etf", "nc2_etf_means", "nc3_etf", "nc3_duality"):
        assert found[name] < 1e-9, name
    assert found["nc2_frame_means"] > 0.1  # the offset is no part of an ETF of centred means


@pytest.mark.parametrize("counts", [(5, 5, 5, 5), (9, 4, 2, 1)])
def test_variability_is_the_trace_of_the_definition(counts) -> None:
    y = labels(counts)
    h = torch.randn(K, D)[y] + 0.3 * torch.randn(len(y), D)
    x = h.double().numpy()
    means = np.stack([x[y == k].mean(0) for k in range(K)])
    within = sum(np.outer(a - means[k], a - means[k]) for a, k in zip(x, y.tolist(), strict=True)) / len(x)
    between = sum(np.outer(m - x.mean(0), m - x.mean(0)) for m in means) / K
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / K
    assert neural_collapse(h, y, torch.randn(K, D))["nc1"].item() == pytest.approx(expected, rel=1e-6)


def test_a_class_without_examples_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[2, 0, 2, 2\]"):
        neural_collapse(torch.randn(6, D), torch.tensor([0, 0, 2, 2, 3, 3]), torch.randn(K, D))


class Numbers(TensorData):
    def draw(self):
        split = {"input": torch.arange(20).unsqueeze(1), "target": labels()}
        return {"train": split, "test": split}


@pytest.fixture
def data() -> TensorData:
    data = Numbers(spec={"shape": [1], "vocab": 20, "classes": K})
    data.setup()
    return data


@torch.no_grad()
def test_the_probe_takes_features_and_weights_of_each_linear_layer(data) -> None:
    model = UnconstrainedFeatures([1], vocab=20, n_outputs=K, width=D, depth=2)
    h0, (w1, w2), w3 = model.features, (layer.weight for layer in model.hidden), model.readout.weight
    found = NeuralCollapse(layers=3).measure(Classification(model, K), data)
    for ending, features, weights in (("", h0 @ w1.T @ w2.T, w3), ("_2", h0 @ w1.T, w3 @ w2), ("_3", h0, w3 @ w2 @ w1)):
        for name, value in neural_collapse(features, labels(), weights).items():
            assert found[f"neural_collapse/{name}{ending}"] == pytest.approx(value.item(), rel=1e-4), name + ending
    grams = NeuralCollapse(layers=3).conclude(Classification(model, K), data)
    product = (w3 @ w2 @ w1).double()
    torch.testing.assert_close(grams["neural_collapse/weights_gram"][2], product @ product.T, rtol=1e-4, atol=1e-6)


def test_a_model_without_enough_linear_layers_is_refused(data) -> None:
    task = Classification(nn.Sequential(nn.Embedding(20, K), nn.Flatten()), K)
    with pytest.raises(ConfigError, match="looks at 1 linear layers"):
        NeuralCollapse().measure(task, data)
