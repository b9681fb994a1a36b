"""Pruning, rewinding and their controls, on a small network and inside a training."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import prune

from expkit.compression.lottery_ticket_rewind import LotteryTicketRewind, RememberWeights
from expkit.compression.magnitude_pruner import MagnitudePruner
from expkit.compression.mask import masked
from expkit.compression.prunable import prunable
from expkit.compression.pruner import keep_highest_of_all
from expkit.compression.random_pruner import RandomPruner
from expkit.compression.snip_pruner import SnipPruner
from expkit.compression.sparsity import Sparsity
from expkit.compression.ticket_controls import RandomMask, RandomReinit
from expkit.errors import ConfigError
from expkit.tasks.supervised import Classification


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))


def task(model: nn.Module) -> Classification:
    return Classification(model, n_outputs=3)


def masks(model: nn.Module) -> list[torch.Tensor]:
    return [one.buffers.mask for one in masked(model)]


def left(model: nn.Module) -> list[int]:
    return [int(mask.sum()) for mask in masks(model)]


@torch.no_grad()
def act(intervention, model: nn.Module, step: int = 0) -> dict[str, float]:
    x, y = torch.randn(30, 10), torch.randint(3, (30,))
    return intervention.act(task(model), SimpleNamespace(splits={"train": {"input": x, "target": y}}), step)


def train(model: nn.Module, steps: int = 5) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    x, y = torch.randn(30, 10), torch.randint(3, (30,))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_smallest_weights_go_as_torch_prunes_them(scope):
    model, reference = prunable(network()), network()
    act(MagnitudePruner(fraction=0.3, scope=scope), model)
    layers = [layer for layer in reference if isinstance(layer, nn.Linear)]
    if scope == "layer":
        for layer in layers:
            prune.l1_unstructured(layer, "weight", amount=0.3)
    else:
        prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=0.3)
    for mask, layer in zip(masks(model), layers, strict=True):
        assert torch.equal(mask, layer.weight_mask.bool())
    x = torch.randn(4, 10)
    torch.testing.assert_close(model(x), reference(x))


def test_rounds_leave_powers_of_what_one_leaves_and_bring_nothing_back():
    model = prunable(network())
    pruner = MagnitudePruner(fraction=0.2, output_fraction=0.1, start=3, every=5)
    assert list(pruner.steps(14)) == [3, 8, 13]
    before = masks(model)
    for number, step in enumerate([3, 8, 13], start=1):
        train(model)
        before = [mask.clone() for mask in masks(model)]
        told = act(pruner, model, step)
        expected = [round(200 * 0.8**number), round(160 * 0.8**number), round(24 * 0.9**number)]
        assert left(model) == expected
        assert told == {"pruner/density": pytest.approx(sum(expected) / 384)}
        assert all(not (new & ~old).any() for new, old in zip(masks(model), before, strict=True))


def test_the_cubic_schedule_is_the_published_one():
    model = prunable(network())
    pruner = RandomPruner(sparsity=0.9, scope="global", start=0, every=10, times=4)
    for time in range(1, 5):
        published = 0.9 + (0.0 - 0.9) * (1 - time / 4) ** 3
        assert act(pruner, model, 10 * (time - 1))["pruner/density"] == pytest.approx(1 - published, abs=1 / 384)


def test_a_minimum_saves_layers_that_would_vanish():
    small, large = torch.full((4, 4), 0.1), torch.rand(4, 4) + 1
    assert [int(mask.sum()) for mask in keep_highest_of_all([small, large], 8)] == [0, 8]
    assert [int(mask.sum()) for mask in keep_highest_of_all([small, large], 8, minimum=3)] == [3, 5]


def test_snip_keeps_the_weights_whose_removal_changes_the_loss_most():
    torch.manual_seed(3)
    model = prunable(nn.Sequential(nn.Linear(6, 2, bias=False)))
    data = SimpleNamespace(splits={"train": {"input": torch.randn(50, 6), "target": torch.randint(2, (50,))}})
    own, (weight,) = Classification(model, n_outputs=2), masked(model)
    (scores,) = SnipPruner(sparsity=0.5).scores([weight], own, data).values()
    size = 1e-3
    for index in range(12):  # the loss when a weight is a little smaller, as by its mask
        values = []
        for sign in (1, -1):
            scaled = weight.weight.detach().clone()
            scaled.view(-1)[index] *= 1 + sign * size
            changed = {"model.0.parametrizations.weight.original": scaled}
            values.append(functional_call(_Loss(own), {f"task.{k}": v for k, v in changed.items()}, (data,)))
        assert abs(float(values[0] - values[1]) / (2 * size)) == pytest.approx(float(scores.view(-1)[index]), abs=2e-4)


class _Loss(nn.Module):
    def __init__(self, own: Classification) -> None:
        super().__init__()
        self.task = own

    def forward(self, data) -> torch.Tensor:
        return self.task.objective(data.splits["train"])["loss"]


def test_pruned_weights_get_no_gradient():
    model = prunable(network())
    act(MagnitudePruner(fraction=0.5), model)
    model(torch.randn(4, 10)).square().sum().backward()
    for one in masked(model):
        assert one.weight.grad is not None
        assert not one.weight.grad[~one.buffers.mask].any()
        assert one.weight.grad[one.buffers.mask].any()


def test_rewinding_restores_the_survivors_and_keeps_the_mask():
    first, model = network(), prunable(network())
    train(model)
    act(MagnitudePruner(fraction=0.5), model)
    kept = [mask.clone() for mask in masks(model)]
    act(LotteryTicketRewind(), model)
    for number, mask in zip((0, 2, 4), kept, strict=True):
        assert torch.equal(model[number].weight, first[number].weight * mask)
        assert torch.equal(model[number].bias, first[number].bias)


def test_rewinding_goes_back_to_the_step_that_was_remembered():
    model = prunable(network())
    train(model)
    early = [parameter.detach().clone() for parameter in model.parameters()]
    act(RememberWeights(step=5), model, 5)
    train(model)
    act(LotteryTicketRewind(), model)
    assert all(torch.equal(one, other) for one, other in zip(early, model.parameters(), strict=True))


def test_controls_change_the_weights_or_the_mask_and_rewinding_undoes_both():
    first, model = network(), prunable(network())
    train(model)
    act(MagnitudePruner(fraction=0.5), model)
    decided = [mask.clone() for mask in masks(model)]
    act(RandomReinit(), model)
    assert all(torch.equal(one, other) for one, other in zip(decided, masks(model), strict=True))
    for one, number in zip(masked(model), (0, 2, 4), strict=True):
        assert not torch.equal(one.weight, first[number].weight)
        assert torch.equal(one.weight.flatten().sort().values, first[number].weight.flatten().sort().values)
    act(RandomMask(), model)
    assert left(model) == [int(mask.sum()) for mask in decided]
    assert not torch.equal(masks(model)[0], decided[0])
    assert torch.equal(next(masked(model)).weight, first[0].weight)
    act(LotteryTicketRewind(), model)
    assert all(torch.equal(one, other) for one, other in zip(decided, masks(model), strict=True))


def test_sparsity_counts_zeros():
    model = prunable(network())
    act(MagnitudePruner(fraction=0.25), model)
    measured = Sparsity(per_layer=True).measure(task(model), None)
    assert measured["sparsity/global"] == pytest.approx(0.25)
    assert measured["sparsity/2"] == pytest.approx(0.25)


def test_stacked_networks_have_masks_of_their_own():
    models = [prunable(network()) for _ in range(3)]
    for number, model in enumerate(models):
        act(MagnitudePruner(fraction=0.2 * number), model)
    x = torch.randn(4, 10)
    together = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(*stack_module_state(models))
    torch.testing.assert_close(together, torch.stack([model(x) for model in models]))


def test_a_model_without_masks_cannot_be_pruned():
    with pytest.raises(ConfigError, match="prunable"):
        act(MagnitudePruner(fraction=0.2), network())
    with pytest.raises(ConfigError, match="prunable"):
        act(LotteryTicketRewind(), network())


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"fraction": 0.2, "sparsity": 0.5},
        {"fraction": 1.0},
        {"sparsity": 0.5, "every": 3},
        {"fraction": 0.2, "minimum": 3},
        {"sparsity": 0.5, "output_fraction": 0.1},
        {"fraction": 0.2, "at": [5, 3]},
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments):
    with pytest.raises(ValueError, match=r"give|goes with|share|ascending"):
        MagnitudePruner(**arguments)
