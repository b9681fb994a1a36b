import pytest
import torch
from torch import nn

from expkit.models.initialization import initialize


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(300, 500), nn.Conv1d(40, 100, 5), nn.Conv2d(20, 200, 3))


FAN_IN = [300, 200, 180]
FAN_OUT = [500, 500, 1800]


@pytest.mark.parametrize(
    ("scheme", "variance"),
    [
        ("he", lambda fan_in, fan_out: 2 / fan_in),
        ("lecun", lambda fan_in, fan_out: 1 / fan_in),
        ("xavier", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("torch", lambda fan_in, fan_out: 1 / (3 * fan_in)),
    ],
)
def test_variance_of_weights(scheme, variance):
    torch.manual_seed(0)
    model = layers()
    initialize(model, scheme, scale=3.0)
    for layer, fan_in, fan_out in zip(model, FAN_IN, FAN_OUT, strict=True):
        assert layer.weight.var().item() == pytest.approx(9 * variance(fan_in, fan_out), rel=0.05)
        assert scheme == "torch" or not layer.bias.any()


def test_orthogonal_matrices_keep_lengths():
    layer = nn.Linear(20, 50)
    initialize(layer, "orthogonal")
    x = torch.randn(8, 20)
    torch.testing.assert_close(layer(x).norm(dim=1), x.norm(dim=1))


def test_scale_leaves_norms_alone():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(5, 4))
    weight, embedding = model[0].weight.clone(), model[2].weight.clone()
    initialize(model, scale=0.5)
    torch.testing.assert_close(model[0].weight, weight / 2)
    torch.testing.assert_close(model[2].weight, embedding / 2)
    assert torch.equal(model[1].weight, torch.ones(4))


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'xavier'"):
        initialize(nn.Linear(2, 2), "xavierr")
