import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from expkit.models.deeponet import DeepONet


def test_it_is_the_product_of_branch_and_trunk():
    model = DeepONet([9], n_outputs=2, coordinates=2, width=5, activation="tanh")
    branch, trunk = ([layer for layer in net if isinstance(layer, nn.Linear)] for net in (model.branch, model.trunk))
    nn.init.normal_(model.bias)
    x = torch.randn(4, 9)
    b = branch[1](torch.tanh(branch[0](x[:, :7])))
    t = x[:, 7:]
    for layer in trunk:
        t = torch.tanh(layer(t))
    expected = torch.stack([(b[:, :5] * t).sum(1), (b[:, 5:] * t).sum(1)], dim=1) + model.bias
    torch.testing.assert_close(model(x), expected)


def test_it_learns_an_operator_of_rank_one():
    """G(u)(y) = y mean(u), which one product of a linear branch and a linear trunk is."""
    u, y = torch.randn(200, 6), torch.rand(200, 1)
    target = y * u.mean(1, keepdim=True)
    model = DeepONet([7], n_outputs=1, width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = (model(torch.cat([u, y], 1)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.01 * target.var()


def test_stacked_operator_networks_agree_with_a_loop():
    models = [DeepONet([9], n_outputs=2) for _ in range(3)]
    x = torch.randn(4, 9)
    outputs = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(*stack_module_state(models))
    torch.testing.assert_close(outputs, torch.stack([model(x) for model in models]))


@pytest.mark.parametrize("wrong", [{"coordinates": 9}, {"branch_depth": 0}, {"trunk_depth": 0}])
def test_networks_without_anything_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        DeepONet([9], n_outputs=1, **wrong)
