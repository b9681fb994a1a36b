import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons


def test_moons_lie_where_scikit_learn_puts_them(build):
    train = build("two_moons", noise=0.0, n_train=2000).splits["train"]
    points, labels = make_moons(4000, noise=None)
    for label in (0, 1):
        ours = train["input"][train["target"] == label].double()
        theirs = torch.from_numpy(points[labels == label])
        assert float(torch.cdist(ours, theirs).min(1).values.max()) < 1e-3  # on the arc
        assert float(torch.cdist(theirs, ours).min(1).values.max()) < 0.03  # all along it


def test_angles_are_uniform(build):
    train = build("two_moons", noise=0.0, n_train=4000).splits["train"]
    x, y = train["input"][train["target"] == 0].double().T
    counts = np.histogram(torch.atan2(y, x).numpy(), bins=10, range=(0, np.pi))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-squared with 9 degrees of freedom, p = 0.001


def test_classes_are_balanced(build):
    assert build("two_moons", n_train=501).splits["train"]["target"].bincount().tolist() == [251, 250]


def test_noise_is_gaussian_of_the_given_size(build):
    clean, noisy = (build("two_moons", noise=noise, n_train=20_000).splits["train"]["input"] for noise in (0.0, 0.2))
    noise = noisy - clean
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)
    assert float((noise.abs() < 0.2).double().mean()) == pytest.approx(0.6827, abs=0.01)
