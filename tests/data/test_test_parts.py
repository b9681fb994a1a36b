"""Test sets cut in parts: nothing is lost, and each part is balanced where the whole is."""

import pytest
import torch

from expkit.data.digits import Digits
from expkit.data.mnist1d import Mnist1d
from expkit.data.test_parts import TestParts

MNIST1D = {
    "length": 40,
    "padding": [36, 60],
    "scale": 0.4,
    "max_translation": 48,
    "correlated_noise": 0.25,
    "noise": 0.02,
    "shear": 0.75,
    "shuffle_positions": False,
}


@pytest.mark.parametrize("parts", [2, 3])
def test_the_parts_are_the_whole(parts):
    spec = {"shape": [1, 8, 8], "classes": 10}
    whole = Digits(test_fraction=0.3, spec=spec, seed=5)
    data = TestParts(Digits(test_fraction=0.3, spec=spec, seed=5), spec=spec, parts=parts, seed=5)
    whole.setup(), data.setup()
    names = ["test", *(f"test{number}" for number in range(2, parts + 1))]
    assert list(data.splits) == ["train", *names]
    rows = torch.cat([data.splits[name]["row"] for name in names])
    assert sorted(rows.tolist()) == sorted(whole.splits["test"]["row"].tolist())
    assert torch.equal(data.splits["train"]["input"], whole.splits["train"]["input"])
    for name in names:
        counts = torch.bincount(data.splits[name]["target"], minlength=10)
        share = torch.bincount(whole.splits["test"]["target"], minlength=10) / parts
        assert (counts - share).abs().max() < 1


def test_parts_of_a_balanced_test_set_are_balanced():
    spec = {"shape": [1, 40], "classes": 10}
    data = TestParts(Mnist1d(n_train=20, n_test=400, spec=spec, **MNIST1D), spec=spec)
    data.setup()
    for name in ("test", "test2"):
        assert torch.bincount(data.splits[name]["target"]).tolist() == [20] * 10


def test_one_part_is_refused():
    with pytest.raises(ValueError, match="at least 2 parts"):
        TestParts(Digits(test_fraction=0.3, spec={}), spec={}, parts=1)
