from math import pi

import pytest
import torch


@pytest.mark.parametrize(("classes", "turns"), [(2, 1.5), (5, 0.75)])
def test_unwinding_each_arm_gives_a_ray_of_its_own(build, classes, turns):
    train = build("spirals", classes=classes, turns=turns, noise=0.0).splits["train"]
    points = torch.view_as_complex(train["input"].double())
    unwound = points * torch.polar(torch.ones(1000).double(), -2 * pi * turns * points.abs())
    expected = torch.polar(points.abs(), 2 * pi * train["target"].double() / classes)
    assert torch.allclose(unwound, expected, atol=1e-5)


def test_examples_are_spread_evenly_over_the_disk(build):
    radius = build("spirals", noise=0.0, n_train=20_000).splits["train"]["input"].norm(dim=1)
    assert float(radius.max()) <= 1 + 1e-6
    for within in (0.3, 0.6, 0.9):
        assert float((radius < within).double().mean()) == pytest.approx(within**2, abs=0.015)


def test_arms_are_balanced(build):
    assert build("spirals", classes=3, n_train=302).splits["train"]["target"].bincount().tolist() == [101, 101, 100]


def test_noise_has_the_given_size(build):
    clean, noisy = (build("spirals", noise=noise, n_train=20_000).splits["train"]["input"] for noise in (0.0, 0.05))
    assert float((noisy - clean).std()) == pytest.approx(0.05, rel=0.02)


def test_one_arm_is_refused(build):
    with pytest.raises(ValueError, match="classes"):
        build("spirals", classes=1)
