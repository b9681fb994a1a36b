import pytest
import torch
from torch import nn

from expkit.optim.layerwise_sgd import LayerwiseSGD


def moved(model, **rates):
    """By how much each parameter moves, in units of its gradient."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = LayerwiseSGD(model.named_parameters(), **rates)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {name: pytest.approx((before[name] - p).mean().item(), rel=1e-5) for name, p in model.named_parameters()}


class Mixed(nn.Module):
    """The last parameter in the model itself, whose name has no dot."""

    def __init__(self):
        super().__init__()
        self.hidden, self.readout = nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(1, 3))


def test_the_output_layer_is_the_module_of_the_last_parameter():
    mlp = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    nn.init.zeros_(mlp[0].weight)
    assert moved(mlp, lr=0.5, lr_output=2.0) == {"0.weight": 0.5, "0.bias": 0.5, "2.weight": 2.0, "2.bias": 2.0}
    assert moved(Mixed(), lr=0.5, lr_output=2.0) == {"hidden": 0.5, "readout": 2.0}


def test_with_equal_rates_it_is_sgd():
    torch.manual_seed(0)
    one, two = (
        nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
    )
    two.load_state_dict(one.state_dict())
    x = torch.randn(5, 2)
    optimizers = LayerwiseSGD(one.named_parameters(), lr=0.3, lr_output=0.3), torch.optim.SGD(two.parameters(), lr=0.3)
    for _ in range(10):
        for model, optimizer in zip((one, two), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name))


def test_a_schedule_scales_both_rates():
    optimizer = LayerwiseSGD(Mixed().named_parameters(), lr=0.5, lr_output=2.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    optimizer.step()
    schedule.step()
    assert {group["name"]: group["lr"] for group in optimizer.param_groups} == {
        "hidden": pytest.approx(0.05),
        "output": pytest.approx(0.2),
    }


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"lr_output": -1.0}])
def test_negative_rates_are_refused(wrong):
    with pytest.raises(ValueError, match=r"learning rate|lr_output"):
        LayerwiseSGD(Mixed().named_parameters(), **wrong)


def test_parameters_without_names_are_refused():
    with pytest.raises(TypeError, match="named_parameters"):
        LayerwiseSGD(Mixed().parameters())
