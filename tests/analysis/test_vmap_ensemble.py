"""Networks trained as one program are those that torch's own loop trains one by one."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from expkit.analysis.vmap_ensemble import Recipe, train_ensemble
from expkit.models.mlp import MLP
from expkit.seeding import derive, generator, stream
from expkit.transforms.reinitialize import draw_weights_anew

N, D, K = 60, 5, 3


@pytest.fixture
def train():
    random = torch.Generator().manual_seed(0)
    return {"input": torch.randn(N, D, generator=random), "target": torch.randint(K, (N,), generator=random)}


def by_itself(network, train, recipe, seed, member):
    """The same member, by torch.optim.SGD."""
    model = copy.deepcopy(network)
    with stream(derive(seed, f"member/{member}"), "initialization"):
        draw_weights_anew(model, recipe.init, recipe.init_scale)
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=recipe.momentum > 0
    )
    per_epoch = N // recipe.batch_size
    for step in range(recipe.steps):
        epoch, position = divmod(step, per_epoch)
        order = torch.randperm(N, generator=generator(seed, f"member/{member}/order/{epoch}"))
        chosen = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        optimizer.zero_grad()
        F.cross_entropy(model(train["input"][chosen]), train["target"][chosen]).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize(
    ("norm", "recipe"),
    [
        ("none", Recipe(steps=9, batch_size=16, lr=0.1, momentum=0.9, weight_decay=0.01)),
        ("batchnorm", Recipe(steps=5, batch_size=20, lr=0.05, momentum=0.0, init="he", init_scale=0.5)),
    ],
)
def test_members_are_what_torchs_own_loop_trains(train, norm, recipe):
    network = MLP([D], K, width=8, depth=1, norm=norm)
    ensemble = train_ensemble(network, train, members=3, recipe=recipe, seed=4)
    logits = ensemble.logits(train["input"], chunk=25)
    for member in range(3):
        alone = by_itself(network, train, recipe, 4, member)
        torch.testing.assert_close(logits[member], alone(train["input"]), atol=1e-5, rtol=1e-4)


def test_gradient_norms_are_those_of_backward(train):
    network = MLP([D], K, width=8, depth=1)
    ensemble = train_ensemble(network, train, members=2, recipe=Recipe(3, 20, 0.1), seed=1)
    norms = ensemble.gradient_norms(train["input"], train["target"], chunk=17)
    for member in range(2):
        model = copy.deepcopy(network)
        model.load_state_dict({name: values[member] for name, values in ensemble.parameters.items()})
        for example in (0, 33, N - 1):
            model.zero_grad()
            F.cross_entropy(
                model(train["input"][example : example + 1]), train["target"][example : example + 1]
            ).backward()
            whole = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
            assert norms[member, example].item() == pytest.approx(whole.item(), rel=1e-4)


def test_what_is_observed_is_what_comes_up_in_batches(train):
    seen = torch.zeros(2, N)
    train_ensemble(
        nn.Linear(D, K),
        train,
        members=2,
        recipe=Recipe(6, 20, 0.1),
        seed=0,
        observe=lambda examples, right: seen.scatter_add_(1, examples, torch.ones(examples.shape)),
    )
    assert (seen == 2).all()  # 6 steps of 20 are two epochs of 60
