import pytest
import torch
from torch import nn
from torch.nn import functional as F

from expkit.models.mlp import MLP


def n_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", ["none", "layernorm", "batchnorm"])
def test_number_of_parameters(depth, bias, norm):
    model = MLP([2, 3], 4, width=7, depth=depth, bias=bias, norm=norm)
    weights = 6 * 7 + (depth - 1) * 7 * 7 + 7 * 4
    biases = bias * (7 * depth + 4)
    norms = 0 if norm == "none" else 2 * 7 * depth
    assert n_parameters(model) == weights + biases + norms


def test_without_hidden_layers_it_is_affine():
    model = MLP([6], 3, depth=0)
    assert n_parameters(model) == 6 * 3 + 3
    x, y = torch.randn(2, 4, 6)
    torch.testing.assert_close(model(0.5 * x + 0.5 * y), 0.5 * model(x) + 0.5 * model(y))


def test_agrees_with_the_formula():
    model = MLP([3, 2], 4, width=5, depth=2, activation="tanh", norm="layernorm")
    first, norm_1, _, second, norm_2, _ = model.hidden
    x = torch.randn(7, 3, 2)
    h = torch.tanh(norm_1(x.reshape(7, 6) @ first.weight.T + first.bias))
    h = torch.tanh(norm_2(h @ second.weight.T + second.bias))
    torch.testing.assert_close(model(x), h @ model.readout.weight.T + model.readout.bias)


def test_tokens_are_a_first_layer_on_one_hot_vectors():
    model = MLP([3], 2, vocab=5, width=4, depth=1, embed_dim=6)
    tokens = torch.randint(5, (8, 3))
    embedded = F.one_hot(tokens, 5).float() @ model.embedding.weight
    torch.testing.assert_close(model(tokens), model.readout(model.hidden(embedded.reshape(8, 18))))


def test_a_relu_network_without_biases_is_homogeneous_in_init_scale():
    def output(scale):
        torch.manual_seed(0)
        return MLP([6], 3, width=16, depth=2, bias=False, init_scale=scale)(torch.linspace(-1, 1, 6)[None])

    torch.testing.assert_close(output(2.0), 2.0**3 * output(1.0))


def test_he_initialization_keeps_the_scale_of_activations_through_depth():
    torch.manual_seed(0)
    x = torch.randn(64, 256)

    def last_over_first(init):
        model = MLP([256], 1, width=256, depth=30, init=init, bias=False)
        after = [h.square().mean() for h in _preactivations(model, x)]
        return (after[-1] / after[0]).item()

    assert 0.3 < last_over_first("he") < 3
    assert 0.3 < last_over_first("lecun") * 2.0**29 < 3  # each ReLU halves
    assert 0.3 < last_over_first("torch") * 6.0**29 < 3  # and torch's weights have a third of the variance


def _preactivations(model: MLP, x: torch.Tensor):
    for layer in model.hidden:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            yield x


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    torch.manual_seed(0)
    model = MLP([4], 1, width=512, depth=1, dropout=0.5)
    x = torch.randn(1, 4)
    expected = model.eval()(x)
    assert torch.equal(expected, model(x))
    draws = torch.cat([model.train()(x) for _ in range(2000)])
    standard_error = draws.std() / 2000**0.5
    assert standard_error > 0
    assert (draws.mean() - expected).abs() < 4 * standard_error


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"depth": -1}, "depth"), ({"activation": "rellu"}, "'relu'"), ({"norm": "l2"}, "norm is one of")],
)
def test_impossible_arguments_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        MLP([4], 2, **wrong)
