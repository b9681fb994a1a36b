from math import pi

import pytest
import torch


def test_least_squares_recovers_a_linear_teacher_from_clean_targets(build):
    data = build("teacher_student", dim=20, relevant=5, targets=2, noise=0.0, n_train=100)
    train = data.splits["train"]
    found = torch.linalg.lstsq(train["input"], train["target"]).solution.T
    assert torch.allclose(found[:, :5], data.readout, atol=1e-5)
    assert torch.allclose(found[:, 5:], torch.zeros(2, 15), atol=1e-5)


def test_noise_is_on_training_targets_only_and_independent_of_them(build):
    data = build("teacher_student", noise=0.5, n_train=20_000)
    train, test = data.splits["train"], data.splits["test"]
    noise = (train["target"] - train["clean"]).squeeze(1)
    assert float(noise.std()) == pytest.approx(0.5, rel=0.03)
    assert abs(float(torch.corrcoef(torch.stack([noise, train["clean"].squeeze(1)]))[0, 1])) < 0.03
    assert torch.allclose(train["clean"], data.teacher(train["input"]))
    assert torch.allclose(test["target"], data.teacher(test["input"]))


def second_moment(activation, hidden):
    """E[phi(<w_i, x>) phi(<w_j, x>)] over x ~ N(0, I), in closed form."""
    gram = hidden @ hidden.T
    square = gram.diagonal()
    if activation == "erf":  # Williams (1997), for erf(z / sqrt 2)
        return 2 / pi * torch.asin(gram / ((1 + square).unsqueeze(1) * (1 + square)).sqrt())
    if activation == "square":  # Isserlis
        return square.unsqueeze(1) * square + 2 * gram**2
    norms = (square.unsqueeze(1) * square).sqrt()  # Cho and Saul (2009), for relu
    angle = torch.acos((gram / norms).clamp(-1, 1))
    return norms * (angle.sin() + (pi - angle) * angle.cos()) / (2 * pi)


@pytest.mark.parametrize("activation", ["erf", "square", "relu"])
def test_the_power_of_an_mlp_teacher_is_that_of_its_kernel(build, activation):
    data = build("teacher_student", teacher="mlp", activation=activation, dim=6, width=3, n_test=200_000)
    expected = data.readout @ second_moment(activation, data.hidden) @ data.readout.T
    squares = data.splits["test"]["target"].square()
    standard_error = float(squares.std()) / 200_000**0.5
    assert float(squares.mean()) == pytest.approx(float(expected), abs=4 * standard_error)


def test_hidden_features_of_tanh_are_those_of_numpy(build):
    import numpy as np

    data = build("teacher_student", teacher="mlp", activation="tanh", targets=3, width=7, n_test=10)
    x = data.splits["test"]["input"].numpy()
    expected = np.tanh(x @ data.hidden.numpy().T) @ data.readout.numpy().T
    np.testing.assert_allclose(data.splits["test"]["target"].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("teacher", ["linear", "mlp"])
def test_the_teacher_looks_at_the_relevant_inputs_only(build, teacher):
    data = build("teacher_student", teacher=teacher, dim=8, relevant=3)
    x = data.splits["test"]["input"]
    irrelevant, relevant = x.clone(), x.clone()
    irrelevant[:, 3:] += 1
    relevant[:, 2] += 1
    assert torch.equal(data.teacher(irrelevant), data.teacher(x))
    assert not torch.allclose(data.teacher(relevant), data.teacher(x))


def test_linear_teachers_have_unit_variance_on_average(build):
    data = build("teacher_student", dim=10, targets=2000, n_train=500, n_test=400)
    assert float(data.splits["test"]["target"].square().mean()) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("wrong", [{"relevant": 51}, {"relevant": 0}, {"noise": -1.0}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("teacher_student", **wrong)
