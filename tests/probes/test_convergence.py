"""The measure against numpy on whole sequences of losses, and on trainings whose end is known."""

import numpy as np
import pytest
import torch

from expkit.probes.convergence import Convergence


def reference(losses, window=20, limit=1e6):
    """From all losses at once, (steps,)."""
    with np.errstate(all="ignore"):
        v = np.asarray(losses, dtype=np.float64) / losses[0]
    v = np.minimum(np.where(np.isfinite(v), v, limit), limit)
    converged = v[-window:].mean() < 1
    return float(converged), v.sum() if converged else -(1 / np.maximum(v, 1 / limit)).sum()


def measured(losses, **arguments):
    """Of losses (steps,) or (steps, R)."""
    measure = Convergence(**arguments)
    state = measure.begin(losses[0])
    for loss in losses[1:]:
        state = measure.step(state, loss)
    found = measure.measure(state)
    return found["convergence/converged"], found["convergence/value"]


t = np.arange(60)
SEQUENCES = {
    "decays": 3 * 0.9**t,
    "grows": 0.1 * 1.2**t,
    "grows beyond the limit": 2.0 * 3.0**t,
    "oscillates below": 1 + 0.5 * (-1.0) ** t,
    "oscillates above": np.where(t == 0, 1, 1.01 + 0.5 * (-1.0) ** t),
    "ends as nan": np.where(t < 50, 0.5**t, np.nan),
    "ends as infinity": np.where(t < 50, 2.0**t, np.inf),
    "a single nan at the start of the window": np.where(t == 40, np.nan, 0.9**t),
    "a single nan before the window": np.where(t == 39, np.nan, 0.9**t),
    "starts as nan": np.where(t == 0, np.nan, 1.0),
    "reaches exactly zero": np.where(t < 10, 1.0, 0.0),
    "reaches exactly zero and then diverges": np.where(t < 20, 1.0, np.where(t < 40, 0.0, 4.0)),
    "stays": np.ones(60),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_is_that_of_numpy(name):
    losses = torch.tensor(SEQUENCES[name], dtype=torch.float64)
    converged, value = measured(losses)
    expected = reference(SEQUENCES[name])
    assert float(converged) == expected[0]
    assert float(value) == pytest.approx(expected[1], rel=1e-12)
    assert (float(value) > 0) == bool(converged)


@pytest.mark.parametrize("steps", [1, 7, 20, 21, 60])
def test_many_runs_at_once_are_each_as_by_themselves_whatever_the_length(steps):
    losses = torch.tensor(np.stack(list(SEQUENCES.values()), axis=1), dtype=torch.float64)[:steps]
    converged, value = measured(losses, window=20)
    for run in range(losses.shape[1]):
        alone = measured(losses[:, run], window=20)
        assert (converged[run], value[run]) == alone
        assert float(value[run]) == pytest.approx(reference(losses[:, run].numpy())[1], rel=1e-12)


def test_window_and_limit_can_be_chosen():
    losses = SEQUENCES["ends as nan"]
    converged, value = measured(torch.tensor(losses), window=5, limit=10.0)
    assert (float(converged), float(value)) == pytest.approx(reference(losses, window=5, limit=10.0))


def test_gradient_descent_on_a_parabola_converges_below_a_rate_of_two():
    rates = torch.tensor([0.1, 1.0, 1.9, 1.999, 2.001, 2.1, 3.0], dtype=torch.float64)
    residual = (1 - rates) ** torch.arange(300, dtype=torch.float64).unsqueeze(1)
    converged, value = measured(residual.square())
    assert converged.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert (value[2:4].diff() > 0).all()  # the slower, the larger
    assert value[4] < value[5] < value[6] < 0


def test_steps_change_nothing_that_they_are_given():
    measure = Convergence()
    state = measure.begin(torch.tensor([1.0, 2.0]))
    before = {name: values.clone() for name, values in state.items()}
    measure.step(state, torch.tensor([3.0, 4.0]))
    assert all(torch.equal(state[name], before[name]) for name in before)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"limit": 1.0}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Convergence(**wrong)
