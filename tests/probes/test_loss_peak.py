import math

import pytest
import torch

from expkit.probes.loss_peak import LossPeak


def measured(losses):
    """What is measured after losses, (T,) or (T, R)."""
    probe, losses = LossPeak(), torch.tensor(losses)
    state = probe.begin(losses[0])
    for loss in losses[1:]:
        state = probe.step(state, loss)
    return {name.partition("/")[2]: values.tolist() for name, values in probe.measure(state).items()}


@pytest.mark.parametrize(
    ("losses", "ratio", "rise", "step"),
    [
        ([2.0, 1.0, 0.5, 0.25], 1, 1, 0),
        ([2.0, 3.0, 8.0, 0.1], 4, 4, 2),
        ([4.0, 1.0, 3.0, 0.5], 1, 3, 0),  # a spike that stays below where training began
        ([4.0, 1.0, 6.0, 6.0], 1.5, 6, 2),
        ([5.0], 1, 1, 0),
        ([1.0, 2.0, math.nan], math.inf, math.inf, 2),
        ([1.0, math.inf, 0.5], math.inf, math.inf, 1),
    ],
)
def test_by_hand(losses, ratio, rise, step):
    assert measured(losses) == {"ratio": ratio, "rise": rise, "step": step}


def test_runs_that_train_as_one_are_told_apart():
    stacked = measured([[2.0, 2.0], [3.0, 1.0], [1.0, 1.5]])
    alone = [measured([2.0, 3.0, 1.0]), measured([2.0, 1.0, 1.5])]
    assert stacked == {name: [own[name] for own in alone] for name in stacked}
