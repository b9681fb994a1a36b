"""The modern Hopfield network against torch's attention and against what its theory says."""

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from expkit.models.bag_classifier import BagClassifier
from expkit.models.classical_hopfield import classical_retrieve
from expkit.models.hopfield import Hopfield, HopfieldPooling, hopfield_energy, hopfield_update, retrieve


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("beta", [0.1, 8**-0.5, 3.0])
def test_the_update_is_torchs_attention(beta):
    query, key, value = draw(2, 5, 8), draw(2, 30, 8), draw(2, 30, 3)
    wanted = F.scaled_dot_product_attention(query, key, value, scale=beta)
    torch.testing.assert_close(hopfield_update(query, key, beta, value), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        hopfield_update(query, key, beta),
        F.scaled_dot_product_attention(query, key, key, scale=beta),
        atol=1e-12,
        rtol=0,
    )


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_layer_is_torchs_multihead_attention(heads):
    layer = Hopfield(6, 5, 8, heads)
    torchs = torch.nn.MultiheadAttention(8, heads, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_weight.copy_(torch.eye(8).repeat(3, 1))
        torchs.in_proj_bias.zero_()
        torchs.out_proj.load_state_dict(layer.out.state_dict())
    state, stored = torch.randn(3, 4, 6), torch.randn(3, 7, 5)
    wanted, _ = torchs(layer.query(state), layer.key(stored), layer.value(stored))
    torch.testing.assert_close(layer(state, stored), wanted)


def test_no_update_raises_the_energy_which_is_never_negative():
    patterns, state = draw(20, 6), 2 * draw(50, 6)
    energies = [hopfield_energy(state, patterns, 0.7)]
    for _ in range(30):
        state = hopfield_update(state, patterns, 0.7)
        energies.append(hopfield_energy(state, patterns, 0.7))
    energy = torch.stack(energies)
    assert (energy.diff(dim=0) <= 1e-12).all()
    assert (energy >= 0).all()


def test_the_update_is_the_concave_convex_step_of_the_energy():
    """dE/dxi = xi - update(xi): the gradient of the energy vanishes where the update stands still."""
    patterns, state = draw(9, 5), draw(4, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(hopfield_energy(state, patterns, 1.3).sum(), state)
    torch.testing.assert_close(gradient, state - hopfield_update(state, patterns, 1.3))


def test_fixed_points_are_the_mean_at_high_temperature_and_patterns_at_low():
    patterns = F.normalize(draw(30, 20))
    hot, _ = retrieve(draw(5, 20), patterns, 0.01, max_updates=200)
    torch.testing.assert_close(hot, patterns.mean(0).expand(5, -1), atol=1e-3, rtol=0)
    cold, updates = retrieve(patterns + 0.05 * draw(30, 20), patterns, 200.0, max_updates=50)
    torch.testing.assert_close(cold, patterns, atol=1e-6, rtol=0)
    assert updates < 10


def test_several_updates_in_the_layer_settle():
    torch.manual_seed(0)
    few, many = (Hopfield(4, 4, 8, 2, beta=0.2, updates=n).eval() for n in (30, 60))
    many.load_state_dict(few.state_dict())
    state, stored = torch.randn(2, 3, 4), torch.randn(2, 6, 4)
    torch.testing.assert_close(few(state, stored), many(state, stored), atol=1e-5, rtol=0)
    one = Hopfield(4, 4, 8, 2, beta=0.2)
    one.load_state_dict(few.state_dict())
    assert (one(state, stored) - few(state, stored)).abs().max() > 1e-4


@pytest.mark.parametrize("pooling", ["hopfield", "mean", "max"])
def test_bags_have_no_order_and_runs_can_be_stacked(pooling):
    torch.manual_seed(0)
    models = [BagClassifier([7, 4], 2, width=8, pooling=pooling) for _ in range(3)]
    bags = torch.randn(5, 7, 4)
    torch.testing.assert_close(models[0](bags), models[0](bags[:, torch.randperm(7)]))
    stacked = vmap(lambda p, b: functional_call(models[0], (p, b), (bags,)))(*stack_module_state(models))
    torch.testing.assert_close(stacked, torch.stack([model(bags) for model in models]))


def test_a_cold_pooling_head_finds_the_one_instance_that_its_state_matches():
    pool = HopfieldPooling(4, 4, beta=1000.0)
    identity = {"weight": torch.eye(4), "bias": torch.zeros(4)}
    for layer in (pool.associate.query, pool.associate.key, pool.associate.value, pool.associate.out):
        layer.load_state_dict(identity)
    bags = torch.randn(6, 9, 4)
    best = (bags @ pool.state[0]).argmax(1)
    torch.testing.assert_close(pool(bags), bags[torch.arange(6), best], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("arguments", [{"width": 6, "heads": 4}, {"width": 8, "updates": 0}])
def test_impossible_layers_are_refused(arguments):
    with pytest.raises(ValueError, match=r"divided|at least 1"):
        Hopfield(4, 4, **arguments)


def test_the_classical_network_agrees_with_its_weights_written_out():
    torch.manual_seed(0)
    patterns, state = draw(4, 30).sign(), draw(10, 30).sign()
    weights = patterns.T @ patterns / 30
    weights.fill_diagonal_(0)
    wanted = state
    for _ in range(50):
        field = wanted @ weights
        wanted = torch.where(field.abs() < 1e-12, wanted, field.sign())
    assert classical_retrieve(state, patterns).equal(wanted)


def test_the_classical_network_holds_few_patterns_and_loses_many():
    torch.manual_seed(0)
    patterns = draw(100, 200).sign()
    noisy = torch.where(torch.rand(5, 200) < 0.1, -1.0, 1.0) * patterns[:5]
    assert classical_retrieve(noisy, patterns[:8]).equal(patterns[:5])
    assert not classical_retrieve(noisy, patterns).equal(patterns[:5])
