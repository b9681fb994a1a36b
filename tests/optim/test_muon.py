"""Muon against torch's own two optimizers, each on its share of the parameters."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR

from expkit.optim.muon import Muon


class Network(nn.Module):
    """Something of every kind: an embedding, a convolution, a matrix with bias, a gain, a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.convolution = nn.Conv1d(6, 5, kernel_size=3, bias=False)
        self.hidden = nn.Linear(5, 8)
        self.norm = nn.LayerNorm(8)
        self.readout = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        signal = self.convolution(self.embedding(tokens).mT).mean(-1)
        return self.readout(self.norm(torch.relu(self.hidden(signal))))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network().double()


def loss(network: Network) -> torch.Tensor:
    tokens = torch.arange(40).reshape(5, 8) % 7
    return (network(tokens) - torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)).square().mean()


def train(network: Network, *optimizers: torch.optim.Optimizer, steps: int = 3) -> None:
    for _ in range(steps):
        network.zero_grad()
        loss(network).backward()
        for optimizer in optimizers:
            optimizer.step()


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    for (name, ours), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


@pytest.mark.parametrize("adjust_lr_fn", ["original", "match_rms_adamw"])
def test_equals_torchs_muon_and_adamw_each_on_its_share(network, adjust_lr_fn):
    reference = copy.deepcopy(network)
    muon = {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.8, "ns_steps": 4, "adjust_lr_fn": adjust_lr_fn}
    train(
        network,
        Muon(
            network.named_parameters(),
            **muon,
            kernels=False,
            adamw_lr=0.01,
            adamw_betas=(0.8, 0.9),
            adamw_weight_decay=0.2,
        ),
    )
    hidden = [reference.hidden.weight]
    others = [p for p in reference.parameters() if p is not reference.hidden.weight]
    train(
        reference,
        torch.optim.Muon(hidden, **muon),
        torch.optim.AdamW(others, lr=0.01, betas=(0.8, 0.9), weight_decay=0.2),
    )
    assert_equal(network, reference)


def test_a_kernel_is_the_matrix_of_its_flattened_filters(network):
    kernel = network.convolution.weight.detach().flatten(1).clone().requires_grad_()
    gradients = []
    network.convolution.weight.register_hook(lambda gradient: gradients.append(gradient.flatten(1)))
    train(network, Muon(network.named_parameters(), lr=0.05))
    reference = torch.optim.Muon([kernel], lr=0.05, weight_decay=0.01)
    for gradient in gradients:
        kernel.grad = gradient
        reference.step()
    assert torch.equal(network.convolution.weight.flatten(1), kernel)


def test_which_parameter_goes_where(network):
    def shares(**options):
        return {g["name"]: set(g["param_names"]) for g in Muon(network.named_parameters(), **options).param_groups}

    everything = {name for name, _ in network.named_parameters()}
    assert shares()["muon"] == {"convolution.weight", "hidden.weight"}
    assert shares(kernels=False)["muon"] == {"hidden.weight"}
    assert shares(exclude=["conv*"])["muon"] == {"embedding.weight", "hidden.weight", "readout.weight"}
    assert all(share["muon"] | share["adamw"] == everything for share in (shares(), shares(kernels=False)))


def test_matrices_alone_make_one_group():
    layer = nn.Linear(3, 2, bias=False)
    assert [group["name"] for group in Muon(layer.named_parameters()).param_groups] == ["muon"]


def test_a_schedule_scales_both_learning_rates(network):
    reference = copy.deepcopy(network)
    optimizer = Muon(network.named_parameters(), lr=0.04, adamw_lr=0.02)
    schedule = ExponentialLR(optimizer, gamma=0.5)
    train(network, optimizer, steps=1)
    schedule.step()
    train(network, optimizer, steps=1)

    matrices = [p for p in reference.parameters() if p.ndim > 1]
    by_hand = Muon(reference.named_parameters(), lr=0.04, adamw_lr=0.02)
    train(reference, by_hand, steps=1)
    before = [p.detach().clone() for p in matrices]
    for group, halved in zip(by_hand.param_groups, (0.02, 0.01), strict=True):
        group["lr"] = halved
    train(reference, by_hand, steps=1)
    assert_equal(network, reference)
    assert all(not torch.equal(p, b) for p, b in zip(matrices, before, strict=True))


def test_a_copy_goes_on_by_itself(network):
    optimizer = Muon(network.named_parameters())
    train(network, optimizer)
    twin, optimizer_of_twin = copy.deepcopy((network, optimizer))
    before = twin.hidden.weight.detach().clone()
    train(network, optimizer)
    assert torch.equal(twin.hidden.weight, before)
    train(twin, optimizer_of_twin)
    assert_equal(twin, network)


def test_closure_gives_the_loss_and_the_gradients(network):
    reference = copy.deepcopy(network)
    optimizer = Muon(network.named_parameters())

    def closure():
        optimizer.zero_grad()
        value = loss(network)
        value.backward()
        return value

    assert optimizer.step(closure).item() == loss(reference).item()
    train(reference, Muon(reference.named_parameters()), steps=1)
    assert_equal(network, reference)


def test_refuses_what_it_cannot_tell_apart(network):
    with pytest.raises(TypeError, match="named_parameters"):
        Muon(network.parameters())
    with pytest.raises(ValueError, match="readout"):
        Muon(nn.ModuleDict({"readout": nn.Linear(2, 2)}).named_parameters())
    with pytest.raises(ValueError, match="learning rate"):
        Muon(network.named_parameters(), adamw_lr=-1.0)
