"""Points on spheres and functions on them, against integrals and Legendre's polynomials."""

import math

import pytest
import torch

from expkit.data.sphere import Sphere


def sphere(**arguments):
    arguments = {"dim": 2, "n_train": 30, "n_test": 50, "function": "product"} | arguments
    data = Sphere(spec={"shape": [arguments["dim"]], "targets": 1}, **arguments)
    data.setup()
    return data.splits


@pytest.mark.parametrize("dim", [2, 3, 7])
def test_points_are_uniform_on_a_sphere(dim):
    x = sphere(dim=dim, n_train=100_000, radius=2.0)["train"]["input"].double()
    torch.testing.assert_close(x.norm(dim=1), torch.full((len(x),), 2.0, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.T @ x / len(x), torch.eye(dim, dtype=torch.float64) * 4 / dim, atol=0.05, rtol=0)


def test_the_product_on_the_circle_is_half_the_sine_of_twice_the_angle():
    test = sphere(test_spacing="even", n_test=8)["test"]
    angles = torch.arange(8) * math.pi / 4
    torch.testing.assert_close(test["input"], torch.stack([angles.cos(), angles.sin()], 1))
    torch.testing.assert_close(test["target"][:, 0], (2 * angles).sin() / 2)


def test_harmonics_are_chebyshevs_and_legendres_polynomials():
    for dim, polynomial in ((2, lambda u: 4 * u**3 - 3 * u), (3, lambda u: (5 * u**3 - 3 * u) / 2)):
        train = sphere(dim=dim, function="harmonic", degree=3, radius=3.0)["train"]
        torch.testing.assert_close(train["target"], polynomial(train["input"][:, :1] / 3), atol=1e-5, rtol=1e-4)


def test_harmonics_of_two_degrees_are_orthogonal_on_a_sphere():
    first = sphere(dim=5, function="harmonic", degree=2, n_train=100_000)["train"]["target"]
    second = sphere(dim=5, function="harmonic", degree=4, n_train=100_000)["train"]["target"]
    assert abs(float((first * second).mean())) < 0.01 * float((first * first).mean())


def test_noise_is_on_training_targets_only():
    splits = sphere(noise=0.5, n_train=20_000, function="sign")
    assert float((splits["train"]["target"] - splits["train"]["clean"]).std()) == pytest.approx(0.5, rel=0.03)
    torch.testing.assert_close(splits["test"]["target"], splits["test"]["input"][:, :1].sign())


@pytest.mark.parametrize("wrong", [{"dim": 1}, {"dim": 3, "spacing": "even"}, {"noise": -1.0}, {"radius": 0.0}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"dim|noise"):
        sphere(**wrong)
