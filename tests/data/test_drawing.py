"""What holds for every data set: it depends on its seed alone, and the test split not on the training split's size."""

import pytest
import torch

SMALL = {
    "mnist1d": {"n_train": 64, "n_test": 50},
    "gaussian_mixture": {},
    "gaussian_mixture random": {"means": "random", "classes": 4, "weights": [1, 2, 3, 4]},
    "teacher_student": {"teacher": "mlp"},
    "two_moons": {},
    "spirals": {},
    "markov_text": {"n_train": 64, "n_test": 50},
    "xor_clusters": {"dim": 20},
    "iris": {"n_train": 60},
    "wine": {"n_train": 60},
    "breast_cancer": {"n_train": 60},
    "diabetes": {"n_train": 60},
    "digits": {"n_train": 64},
    "modular_addition": {"p": 7},
    "modular_addition_onehot": {"p": 7},
}
TABLES = ("iris", "wine", "breast_cancer", "diabetes", "digits")


def same(a, b):
    return all(torch.equal(a[column], b[column]) for column in a.keys() | b.keys())


@pytest.mark.parametrize("case", SMALL)
def test_the_seed_decides_and_nothing_else(build, case):
    name, keys = case.split()[0], SMALL[case]
    torch.manual_seed(1)
    first = build(name, seed=5, **keys).splits
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = build(name, seed=5, **keys).splits
    assert torch.equal(torch.get_rng_state(), before)
    other = build(name, seed=6, **keys).splits
    for split in ("train", "test"):
        assert same(first[split], again[split])
        assert not torch.equal(first[split]["input"], other[split]["input"])
    n = min(len(first[split]["input"]) for split in first)
    assert not torch.equal(first["train"]["input"][:n], first["test"]["input"][:n])


@pytest.mark.parametrize("case", [case for case in SMALL if not case.startswith("modular")])
def test_the_test_split_does_not_depend_on_the_size_of_the_training_split(build, case):
    name, keys = case.split()[0], SMALL[case]
    some, more = build(name, **keys), build(name, **keys | {"n_train": 100})
    assert len(more.splits["train"]["input"]) == 100
    if name in TABLES:  # their inputs are standardized by the training rows, so it is the rows that are compared
        assert torch.equal(some.splits["test"]["row"], more.splits["test"]["row"])
        assert torch.equal(some.splits["train"]["row"], more.splits["train"]["row"][: some.n_train])
    else:
        assert same(some.splits["test"], more.splits["test"])
