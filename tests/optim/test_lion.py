import pytest
import torch
from torch import nn

from expkit.optim.lion import Lion


def test_two_steps_by_hand():
    # lr 0.1, betas (0.5, 0.75), weight decay 0.2: each step first shrinks theta by 1 - 0.02, then moves it by 0.1.
    theta = nn.Parameter(torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64))
    optimizer = Lion([("theta", theta)], lr=0.1, betas=(0.5, 0.75), weight_decay=0.2)

    theta.grad = torch.tensor([4.0, -8.0, 0.0], dtype=torch.float64)
    optimizer.step()  # direction sign(0.5 * 0 + 0.5 g) = (+, -, 0); momentum 0.25 g = (1, -2, 0)
    torch.testing.assert_close(theta.data, torch.tensor([0.88, -1.86, 0.0], dtype=torch.float64), rtol=0, atol=1e-15)

    theta.grad = torch.tensor([-0.5, 3.0, -1.0], dtype=torch.float64)
    optimizer.step()  # direction sign((1 - 0.5, -2 + 3, 0 - 1) / 2) = (+, +, -)
    expected = torch.tensor([0.98 * 0.88 - 0.1, 0.98 * -1.86 - 0.1, 0.1], dtype=torch.float64)
    torch.testing.assert_close(theta.data, expected, rtol=0, atol=1e-15)
    # momentum 0.75 (1, -2, 0) + 0.25 (-0.5, 3, -1)
    momentum = torch.tensor([0.625, -0.75, -0.25], dtype=torch.float64)
    torch.testing.assert_close(optimizer.state[theta]["momentum"], momentum, rtol=0, atol=1e-15)


def test_parameters_without_a_gradient_stay():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = Lion([used, unused], lr=0.1, weight_decay=1.0)
    used.sum().backward()
    optimizer.step()
    assert unused.tolist() == [1.0, 1.0]
    assert used.tolist() == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"betas": (0.9,)}, {"weight_decay": -0.1}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Lion([nn.Parameter(torch.ones(2))], **wrong)
