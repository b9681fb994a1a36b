import numpy as np
import pytest
import torch
from numpy.polynomial import hermite_e, polynomial

LARGE = {"n_train": 50_000, "n_test": 2}


def test_the_default_is_half_the_square_of_a_standard_normal_direction(build):
    data = build("gaussian_polynomial", **LARGE)
    train = data.splits["train"]
    z = train["input"] @ data.direction
    torch.testing.assert_close(train["target"].squeeze(1), z.square() / 2)
    assert float(train["target"].mean()) == pytest.approx(0.5, abs=0.02)  # chi-square with one degree of freedom
    assert float(train["target"].var()) == pytest.approx(0.5, rel=0.06)


def test_a_monomial_is_the_product_of_powers_of_the_first_inputs(build):
    keys = {"feature": "monomial", "exponents": [1, 0, 2], "coefficients": [0, 3]}
    test = build("gaussian_polynomial", dim=5, **keys).splits["test"]
    x = test["input"]
    torch.testing.assert_close(test["target"].squeeze(1), 3 * x[:, 0] * x[:, 2].square())


def test_a_product_of_two_inputs_is_uncorrelated_with_each(build):
    keys = {"feature": "monomial", "coefficients": [0, 1], "dim": 4}
    train = build("gaussian_polynomial", **LARGE, **keys).splits["train"]
    correlations = (train["input"] * train["target"]).mean(0)
    assert correlations.abs().max() < 0.03
    assert float(train["target"].var()) == pytest.approx(1, rel=0.05)


def test_a_quadratic_form_is_traceless_and_of_unit_variance(build):
    data = build("gaussian_polynomial", dim=12, feature="quadratic_form", coefficients=[0, 1], **LARGE)
    train = data.splits["train"]
    assert float(data.form.trace()) == pytest.approx(0, abs=1e-6)
    assert torch.equal(data.form, data.form.T)
    own = torch.einsum("ni,ij,nj->n", train["input"], data.form, train["input"])
    torch.testing.assert_close(train["feature"], own, atol=1e-5, rtol=1e-4)
    assert float(train["feature"].mean()) == pytest.approx(0, abs=0.02)
    assert float(train["feature"].var()) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("basis", "reference"), [("powers", polynomial.polyval), ("hermite", hermite_e.hermeval)], ids=["powers", "hermite"]
)
def test_polynomials_agree_with_numpy(build, basis, reference):
    coefficients = [0.5, -1.0, 0.3, 0.1, 0.02]
    test = build("gaussian_polynomial", basis=basis, coefficients=coefficients).splits["test"]
    expected = reference(test["feature"].double().numpy(), np.array(coefficients))
    np.testing.assert_allclose(test["target"].squeeze(1).numpy(), expected, rtol=2e-4, atol=1e-5)


def test_noise_is_on_training_targets_alone(build):
    keys = {"n_train": 20_000, "n_test": 100}
    clean, noisy = (build("gaussian_polynomial", noise=noise, **keys).splits for noise in (0.0, 0.3))
    assert torch.equal(clean["test"]["target"], noisy["test"]["target"])
    assert torch.equal(noisy["train"]["clean"], clean["train"]["target"])
    assert float((noisy["train"]["target"] - noisy["train"]["clean"]).std()) == pytest.approx(0.3, rel=0.03)


def test_the_seed_draws_another_direction_and_more_examples_change_neither_it_nor_the_test_set(build):
    first, other = build("gaussian_polynomial"), build("gaussian_polynomial", seed=1)
    assert abs(float(first.direction @ other.direction)) < 0.6
    more = build("gaussian_polynomial", n_train=300)
    assert torch.equal(first.direction, more.direction)
    assert torch.equal(first.splits["test"]["target"], more.splits["test"]["target"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"coefficients": []}, "coefficients"),
        ({"feature": "monomial", "exponents": [-1]}, "exponents"),
        ({"feature": "monomial", "dim": 1}, "exponents"),
        ({"noise": -0.1}, "noise"),
    ],
)
def test_impossible_settings_are_refused(build, keys, message):
    with pytest.raises(ValueError, match=message):
        build("gaussian_polynomial", **keys)
