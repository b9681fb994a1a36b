"""Bounds of networks: below everything that is met inside the box, and exact where that is known."""

from itertools import pairwise

import pytest
import torch

from expkit.analysis.affine_network import FUNCTIONS, AffineNetwork
from expkit.analysis.crown_bounds import crown_bound, enclose
from expkit.analysis.interval_bound_propagation import function_range, interval_bounds, margin_bound
from expkit.analysis.linear_relaxation import linear_relaxation
from expkit.errors import UserError
from expkit.models.mlp import MLP

NAMES = list(FUNCTIONS)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def network(name, depth=2, inputs=3, width=8, outputs=3):
    sizes = [inputs, *[width] * depth, outputs]
    pairs = list(pairwise(sizes))
    weights = [draw(after, before) / before**0.5 * 1.5 for before, after in pairs]
    return AffineNetwork(weights, [0.3 * draw(after) for _, after in pairs], [name] * depth)


def boxes(n, inputs=3, side=0.4):
    centre = draw(n, inputs)
    radius = side * torch.rand(n, inputs, dtype=torch.float64)
    return centre - radius, centre + radius


def inside(low, high, count=3000):
    """Random points of each box, its corners among them: (n, count, inputs)."""
    share = torch.rand(len(low), count, low.shape[-1], dtype=torch.float64)
    share[:, : count // 2] = share[:, : count // 2].round()
    return low[:, None] + share * (high - low)[:, None]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", NAMES)
def test_lines_enclose_the_function_on_intervals_of_all_widths(name):
    low = 6 * draw(4000)
    high = low + 10 ** (3 * torch.rand(4000, dtype=torch.float64) - 2)
    lines = linear_relaxation(name, low, high)
    points = low + torch.linspace(0, 1, 501, dtype=torch.float64)[:, None] * (high - low)
    values = FUNCTIONS[name](points)
    # Multiplying out a steep line far from 0 rounds in the last digits.
    assert (lines.lower_slope * points + lines.lower_intercept <= values + 1e-11).all()
    assert (lines.upper_slope * points + lines.upper_intercept >= values - 1e-11).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "sine", "gelu"])
def test_lines_close_in_as_the_square_of_the_width(name):
    centre = 2 * draw(500)
    wide, narrow = (
        linear_relaxation(name, centre - r, centre + r).gap(centre - r, centre + r).max() / (2 * r) for r in (0.1, 0.01)
    )
    assert narrow < wide / 50


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "sine", "gelu"])
def test_the_area_between_the_lines_is_nearly_the_least_possible(name):
    """Against lines whose slopes are searched: the highest minimum and lowest maximum at the middle of the interval."""
    low = 2 * draw(40)
    high = low + 0.2 + 3 * torch.rand(40, dtype=torch.float64)
    points = low + torch.linspace(0, 1, 401, dtype=torch.float64)[:, None] * (high - low)
    rest = FUNCTIONS[name](points) - torch.linspace(-1.2, 1.2, 961, dtype=torch.float64)[:, None, None] * points
    middle = torch.linspace(-1.2, 1.2, 961, dtype=torch.float64)[:, None] * (low + high) / 2
    best = (rest.amax(1) + middle).amin(0) - (rest.amin(1) + middle).amax(0)
    own = linear_relaxation(name, low, high).gap(low, high) / (high - low)
    assert (own >= best - 4e-3).all()  # the search is over a grid of slopes
    assert (own <= 1.1 * best + 0.01).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_range_of_a_function_is_tight(name):
    low, width = 5 * draw(500), 4 * torch.rand(500, dtype=torch.float64)
    values = FUNCTIONS[name](low + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None] * width)
    smallest, largest = function_range(name, low, low + width)
    assert (smallest <= values.amin(0) + 1e-12).all()
    assert (largest >= values.amax(0) - 1e-12).all()
    torch.testing.assert_close(smallest, values.amin(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(largest, values.amax(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_bounds_are_below_all_that_is_met_and_crown_is_mostly_the_tighter(name, depth):
    net, (low, high) = network(name, depth), boxes(40)
    specification = draw(40, 3)
    met = (net(inside(low, high)) * specification[:, None]).sum(-1).amin(1)
    crown = crown_bound(net, enclose(net, low, high), specification).value
    interval = margin_bound(net, low, high, specification)
    assert (crown <= met + 1e-9).all()
    assert (interval <= met + 1e-9).all()
    assert (crown > interval).double().mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_hidden_intervals_and_their_linear_bounds_hold(name):
    net, (low, high) = network(name), boxes(20)
    points = inside(low, high)
    enclosure, intervals = enclose(net, low, high), interval_bounds(net, low, high)
    z = points
    for index in range(2):
        z = z @ net.weights[index].T + net.biases[index]
        for bottom, top in (enclosure.intervals[index], intervals[index]):
            assert (bottom[:, None] <= z + 1e-9).all()
            assert (top[:, None] >= z - 1e-9).all()
        for (coefficients, constants), sign in ((enclosure.below[index], 1), (enclosure.above[index], -1)):
            line = points @ coefficients.transpose(1, 2) + constants[:, None]
            assert (sign * (z - line) >= -1e-9).all()
        z = FUNCTIONS[name](z)


def test_an_affine_network_is_bounded_exactly():
    net = AffineNetwork([draw(2, 3)], [draw(2)], [])
    low, high = boxes(10)
    specification = draw(10, 2)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    values = net(low[:, None] + corners * (high - low)[:, None])
    exact = (values * specification[:, None]).sum(-1).amin(1)
    torch.testing.assert_close(margin_bound(net, low, high, specification), exact)


def test_a_relu_network_without_open_signs_is_bounded_exactly():
    """Where no unit changes its sign over the box, the network is affine there."""
    net, (low, high) = network("relu"), boxes(200, side=0.02)
    specification = draw(200, 3)
    enclosure = enclose(net, low, high)
    fixed = torch.stack([((a < 0) & (b > 0)).any(-1) for a, b in enclosure.intervals]).logical_not().all(0)
    assert fixed.sum() > 20
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    values = net(low[:, None] + corners * (high - low)[:, None])
    exact = (values * specification[:, None]).sum(-1).amin(1)
    torch.testing.assert_close(crown_bound(net, enclosure, specification).value[fixed], exact[fixed])


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_a_model_is_read_as_it_computes(activation):
    model, x = (
        MLP([2, 3], 4, width=5, depth=2, activation=activation, bias=activation != "relu").eval(),
        torch.randn(6, 2, 3),
    )
    torch.testing.assert_close(AffineNetwork.of(model, x)(x.flatten(1).double()).float(), model(x))


@pytest.mark.parametrize("change", [{"norm": "layernorm"}, {"activation": "selu"}, {"norm": "batchnorm"}])
def test_a_model_with_other_layers_is_refused(change):
    with pytest.raises(UserError, match="MLP has"):
        AffineNetwork.of(MLP([3], 4, width=5, **change).eval(), torch.randn(6, 3))


def test_a_model_with_other_connections_is_refused():
    class Residual(torch.nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    model = Residual(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))
    with pytest.raises(UserError, match="connections"):
        AffineNetwork.of(model, torch.randn(6, 3))
