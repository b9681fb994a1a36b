"""Operators: the solver's error against exact integrals and a tighter tolerance, and the functions' covariance."""

import numpy as np
import pytest
import torch


def draws(data, n=20):
    return data.functions(n, torch.Generator().manual_seed(1))


def test_the_antiderivative_is_the_splines_own(build):
    data = build("grf_operator", n_train=100, n_test=10)
    functions = draws(data)
    exact = functions.antiderivative()(np.linspace(0, 1, 201))
    np.testing.assert_allclose(data.solve(functions), exact, atol=1e-6)


def test_the_pendulums_solver_is_accurate_to_a_millionth(build):
    data = build("grf_operator", operator="pendulum", n_train=100, n_test=10)
    functions = draws(data)
    np.testing.assert_allclose(data.solve(functions), data.solve(functions, tolerance=1e-11), atol=2e-6)


def test_a_pendulum_without_stiffness_integrates_twice(build):
    data = build("grf_operator", operator="pendulum", stiffness=0.0, n_train=100, n_test=10)
    functions = draws(data)
    exact = functions.antiderivative(2)(np.linspace(0, 1, 201))
    np.testing.assert_allclose(data.solve(functions), exact, atol=1e-6)


def test_a_stiff_pendulum_swings_about_its_push(build):
    """For small pushes sin s = s: with the push 0.001 at all times, s = 0.001 (1 - cos(sqrt(k) t)) / k."""
    data = build("grf_operator", operator="pendulum", stiffness=40.0, n_train=100, n_test=10)
    functions = draws(data, n=1)
    functions.c[:] = 0
    functions.c[-1] = 1e-3
    t = np.linspace(0, 1, 201)
    np.testing.assert_allclose(data.solve(functions)[:, 0], 1e-3 * (1 - np.cos(40**0.5 * t)) / 40, atol=1e-9)


def test_functions_have_the_covariance_of_their_process(build):
    data = build("grf_operator", length_scale=0.3, n_train=100, n_test=10)
    x = np.array([0.0, 0.25, 0.5, 1.0])
    values = draws(data, n=20_000)(x)
    expected = np.exp(-((x[:, None] - x) ** 2) / (2 * 0.3**2))
    np.testing.assert_allclose(np.cov(values), expected, atol=0.04)


def test_an_example_is_sensors_a_location_and_the_value_there(build):
    data = build("grf_operator", sensors=101, n_train=100, n_test=10)
    train = data.splits["train"]
    u, y = train["input"][:, :-1].double(), train["input"][:, -1].double()
    cumulative = torch.cumulative_trapezoid(u, dx=0.01, dim=1)
    place = (y * 100).floor().long()
    even = torch.isclose(y * 100, place.double(), atol=1e-4) & (place > 0)
    found = train["target"][even, 0].double()
    torch.testing.assert_close(found, cumulative[even, place[even] - 1], atol=2e-3, rtol=0)


def test_more_sensors_are_of_the_same_functions(build):
    few, many = (build("grf_operator", sensors=m, n_train=100, n_test=10).splits["train"] for m in (3, 5))
    torch.testing.assert_close(few["input"], many["input"][:, [0, 2, 4, 5]])
    assert torch.equal(few["target"], many["target"])


@pytest.mark.parametrize("wrong", [{"sensors": 1}, {"operator": "derivative"}])
def test_impossible_operators_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("grf_operator", **wrong)
