"""Random features against what is known of them in the limit of many."""

import pytest
import torch

from expkit.models.random_features import RandomFeatures


def test_the_readout_alone_is_trained_and_starts_at_zero():
    model = RandomFeatures([2, 3], 4, width=50)
    assert [name for name, _ in model.named_parameters()] == ["readout.weight"]
    assert not model(torch.randn(5, 2, 3)).any()


def test_products_of_many_relu_features_are_the_arc_cosine_kernel():
    # E[relu(u) relu(v)] = |x||y| (sin t + (pi - t) cos t) / (2 pi) for Gaussian w, t the angle (Cho and Saul, 2009).
    torch.manual_seed(0)
    x = torch.randn(6, 10)
    features = RandomFeatures([10], 1, width=200_000).features(x)
    norm = x.norm(dim=1) / 10**0.5
    angle = torch.arccos((x @ x.T / 10 / (norm[:, None] * norm)).clamp(-1, 1))
    kernel = norm[:, None] * norm * (angle.sin() + (torch.pi - angle) * angle.cos()) / (2 * torch.pi)
    torch.testing.assert_close(features @ features.T, kernel, atol=0.01, rtol=0)


def test_logarithms_of_scales_have_the_spread():
    torch.manual_seed(0)
    scales = RandomFeatures([3], 1, width=20_000, feature_spread=0.7).scales
    assert float((scales * 20_000**0.5).log().std()) == pytest.approx(0.7, rel=0.03)
