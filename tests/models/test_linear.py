import torch

from expkit.models.linear import Linear


def test_least_squares_from_zero_reaches_the_minimum_norm_solution():
    torch.manual_seed(0)
    x, y = torch.randn(5, 3, 4).double(), torch.randn(5, 2).double()
    model = Linear([3, 4], 2, bias=False, init_scale=0).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for _ in range(3000):
        optimizer.zero_grad()
        (model(x) - y).square().sum().backward()
        optimizer.step()
    minimum_norm = torch.linalg.pinv(x.flatten(1)) @ y
    torch.testing.assert_close(model.readout.weight.T, minimum_norm)


def test_the_model_is_affine():
    model = Linear([6], 3)
    x, y = torch.randn(2, 4, 6)
    torch.testing.assert_close(model(0.3 * x + 0.7 * y), 0.3 * model(x) + 0.7 * model(y))
    assert sum(p.numel() for p in model.parameters()) == 6 * 3 + 3
