"""Subspaces against linear algebra: what P is, where the model can go, and that training stays there."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import hadamard
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.cnn import CNN
from expkit.transforms.random_subspace import PROJECTIONS, RandomSubspace, walsh_hadamard

KINDS = sorted(PROJECTIONS)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.BatchNorm1d(30), nn.Linear(30, 4))


def matrix(projection: nn.Module, columns: int) -> torch.Tensor:
    """P, from the products with unit vectors."""
    return torch.stack([projection(unit) for unit in torch.eye(columns)], 1)


def flat(parameters) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in parameters])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_have_length_one_and_are_nearly_orthogonal(kind: str) -> None:
    rows, columns = 4096, 30
    p = matrix(PROJECTIONS[kind](rows, columns), columns)
    gram = p.T @ p
    assert torch.allclose(gram.diagonal(), torch.ones(columns), atol=1e-5)
    allowed = {"dense": 1e-5, "sparse": 6 / 64, "fastfood": 6 / 64}[kind]  # products of random unit vectors: 1/sqrt(D)
    assert (gram - torch.eye(columns)).abs().max() < allowed
    assert torch.linalg.matrix_rank(p) == columns


def test_sparse_columns_have_as_many_entries_as_the_root_of_the_parameters() -> None:
    p = matrix(PROJECTIONS["sparse"](1000, 7), 7)
    assert (p != 0).sum(0).tolist() == [32] * 7
    assert torch.allclose(p[p != 0].abs(), torch.tensor(32**-0.5))


def test_dense_subspaces_are_uniform() -> None:
    # The squared length of a fixed unit vector in a uniform d-dimensional subspace of R^D has mean d/D and is
    # Beta(d/2, (D-d)/2).
    d, D, n = 5, 20, 2000
    lengths = torch.stack([PROJECTIONS["dense"](D, d).matrix[3].square().sum() for _ in range(n)])
    variance = (d / 2) * ((D - d) / 2) / ((D / 2) ** 2 * (D / 2 + 1))
    assert abs(lengths.mean() - d / D) < 4 * (variance / n) ** 0.5
    assert lengths.var() == pytest.approx(variance, rel=0.15)


def test_walsh_hadamard_is_the_product_with_the_matrix() -> None:
    x = torch.randn(3, 16)
    expected = x @ torch.from_numpy(hadamard(16)).float()
    torch.testing.assert_close(walsh_hadamard(x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_as_the_model_itself(kind: str) -> None:
    model, x = net().eval(), torch.randn(5, 20)
    expected = model(x)
    torch.testing.assert_close(RandomSubspace(model, 10, kind).eval()(x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_parameters_projected(kind: str) -> None:
    model, x = net(), torch.randn(5, 20)
    model(x).square().sum().backward()
    gradient = flat(p.grad for p in model.parameters())
    subspace = RandomSubspace(model, 10, kind)
    p = matrix(subspace.projection, 10)
    subspace(x).square().sum().backward()
    torch.testing.assert_close(subspace.coordinates.grad, p.T @ gradient, atol=1e-4, rtol=1e-4)
    assert [name for name, q in subspace.named_parameters() if q.requires_grad] == ["coordinates"]


@pytest.mark.parametrize("kind", KINDS)
def test_training_moves_the_parameters_within_the_subspace_only(kind: str) -> None:
    model, x, y = net(), torch.randn(50, 20), torch.randn(50, 4)
    before = flat(model.parameters())
    subspace = RandomSubspace(model, 10, kind)
    optimizer = torch.optim.Adam([p for p in subspace.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (subspace(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(flat(model.parameters()), before)  # theta_0 stays
    moved = flat(subspace.parameters_at(subspace.coordinates).values()) - before
    p = matrix(subspace.projection, 10)
    coordinates = torch.linalg.lstsq(p.double(), moved.double().unsqueeze(1)).solution.squeeze()
    torch.testing.assert_close(coordinates.float(), subspace.coordinates.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(p.double() @ coordinates, moved.double(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_stacked_runs_agree_with_a_loop(kind: str) -> None:
    models = [RandomSubspace(CNN([1, 8, 8], 3, channels=(4, 4)), 6, kind) for _ in range(3)]
    for model in models:
        nn.init.normal_(model.coordinates)
    x = torch.randn(4, 1, 8, 8)
    parameters, buffers = stack_module_state(models)
    own = {"coordinates": parameters.pop("coordinates")}

    def loss(own, frozen, buffers):
        return functional_call(models[0], (own | frozen, buffers), (x,)).sin().sum()

    gradients = vmap(grad(loss))(own, parameters, buffers)["coordinates"]
    for model, gradient in zip(models, gradients, strict=True):
        model(x).sin().sum().backward()
        torch.testing.assert_close(gradient, model.coordinates.grad, atol=1e-4, rtol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no 30 orthogonal directions among 21"):
        RandomSubspace(nn.Linear(20, 1), 30, "dense")
    with pytest.raises(ValueError, match="no parameters"):
        RandomSubspace(nn.Linear(2, 2).requires_grad_(False), 1)
