"""Hessians against a quadratic loss whose matrix is given, and against torch's own second derivatives."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from expkit.analysis.gauss_newton import GaussNewton
from expkit.analysis.hessian import Hessian
from expkit.analysis.hutchinson import trace
from expkit.analysis.largest_eigenvalues import largest_eigenvalues
from expkit.analysis.linear_layers_hessian import linear_layers_hessian
from expkit.analysis.loss_function import LossFunction
from expkit.errors import UserError
from expkit.models.cnn import CNN
from expkit.models.gpt import GPT
from expkit.models.mlp import MLP
from expkit.models.recurrent import Recurrent
from expkit.tasks.base import Task
from expkit.tasks.supervised import BinaryClassification, Classification, LanguageModelling, Regression

torch.set_num_threads(1)


class Quadratic(Task):
    """1/2 w^T A w for a model that holds w, whatever the examples are."""

    def __init__(self, matrix):
        model = nn.Module()
        model.w = nn.Parameter(torch.randn(len(matrix), dtype=matrix.dtype))
        super().__init__(model, 1)
        self.register_buffer("matrix", matrix)

    def objective(self, batch):
        return {"loss": self.model.w @ self.matrix @ self.model.w / 2}


EXAMPLES = {"input": torch.zeros(10, 1)}


def with_spectrum(values):
    values = torch.as_tensor(values, dtype=torch.float64)
    basis, _ = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64))
    return Quadratic(basis @ values.diag() @ basis.T)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():  # as probes are called
        yield


def small_task(kind):
    x = torch.randn(20, 5, dtype=torch.float64)
    if kind == "classification":
        return Classification(MLP([5], 3, width=6, activation="tanh").double(), 3), x, torch.randint(3, (20,))
    if kind == "binary":
        return BinaryClassification(MLP([5], 1, width=6).double(), 1), x, torch.randint(2, (20,))
    return Regression(MLP([5], 2, width=6, activation="gelu").double(), 2), x, torch.randn(20, 2).double()


def by_autograd(task, x, target):
    """The whole Hessian, by torch's own double backward."""
    named = dict(task.model.named_parameters())

    def loss(vector):
        pieces = vector.split([p.numel() for p in named.values()])
        own = {name: piece.view(p.shape) for (name, p), piece in zip(named.items(), pieces, strict=True)}
        output = torch.func.functional_call(task.model, own, (x,))
        if isinstance(task, Classification):
            return F.cross_entropy(output, target)
        if isinstance(task, BinaryClassification):
            return F.softplus(-(2 * target - 1) * output.squeeze(1)).mean()
        return (output - target).square().mean()

    with torch.enable_grad():
        return torch.autograd.functional.hessian(loss, torch.cat([p.detach().flatten() for p in named.values()]))


@pytest.mark.parametrize("kind", ["classification", "binary", "regression"])
@pytest.mark.parametrize("chunk", [4096, 7])
def test_it_is_torchs_hessian(kind, chunk):
    task, x, target = small_task(kind)
    hessian = Hessian(task, {"input": x, "target": target}, chunk)
    expected = by_autograd(task, x, target)
    assert torch.allclose(hessian.matrix(), expected, atol=1e-12)
    vector = torch.randn(hessian.size, dtype=torch.float64)
    assert torch.allclose(hessian.product(vector), expected @ vector, atol=1e-12)
    assert torch.allclose(hessian.products(torch.stack([vector, -vector]), at_once=1)[1], -expected @ vector)


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("chunk", [4096, 7])
def test_the_gauss_newton_part_is_that_of_jacobians(kind, chunk):
    task, x, target = small_task(kind)
    named = dict(task.model.named_parameters())
    jacobians = torch.func.jacrev(lambda own: torch.func.functional_call(task.model, own, (x,)))(named)
    jacobian = torch.cat([jacobians[name].flatten(2) for name in named], dim=2)  # (n, outputs, size)
    if kind == "classification":
        p = task.model(x).softmax(1)
        curvature = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    else:
        curvature = torch.eye(2).double().expand(20, 2, 2) * 2 / 2  # the mean over two outputs
    expected = torch.einsum("nip,nij,njq->pq", jacobian, curvature, jacobian) / 20
    assert torch.allclose(GaussNewton(task, {"input": x, "target": target}, chunk).matrix(), expected, atol=1e-12)


def test_where_the_model_is_linear_both_are_the_same():
    task = Classification(nn.Linear(4, 3).double(), 3)
    split = {"input": torch.randn(30, 4, dtype=torch.float64), "target": torch.randint(3, (30,))}
    assert torch.allclose(GaussNewton(task, split).matrix(), Hessian(task, split).matrix(), atol=1e-13)


def test_a_task_that_does_not_look_at_its_output_has_no_gauss_newton_part():
    class Strange(Classification):
        def objective(self, batch):
            return {"loss": self.output(batch).square().mean() + self.output(batch).mean()}

    task = Strange(nn.Linear(4, 3), 3)
    with pytest.raises(UserError, match="2 times"):
        GaussNewton(task, {"input": torch.randn(5, 4)}).product(torch.ones(15))
    assert torch.equal(task.output({"input": torch.zeros(1, 4)})[0], task.model.bias)


def test_frozen_parameters_are_no_part_of_it():
    task, x, target = small_task("regression")
    whole = by_autograd(task, x, target)
    task.model.hidden[0].weight.requires_grad_(False)
    hessian = Hessian(task, {"input": x, "target": target}).matrix()
    assert torch.allclose(hessian, whole[30:, 30:], atol=1e-12)
    task.requires_grad_(False)
    with pytest.raises(UserError, match="no trainable parameters"):
        Hessian(task, {"input": x, "target": target})


class Deep(nn.Module):
    """Layers of unlike sizes, one without a bias, used in another order than that of their parameters."""

    def __init__(self):
        super().__init__()
        self.last, self.first, self.middle = nn.Linear(3, 2), nn.Linear(5, 4), nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.last(torch.tanh(self.middle(torch.relu(self.first(x)))))


class Penalized(Regression):
    def objective(self, batch):
        found = super().objective(batch)
        return {**found, "loss": found["loss"] + sum(p.pow(4).sum() for p in self.model.parameters())}


class Alike(Regression):
    """A loss in which each example sees all others."""

    def objective(self, batch):
        return {"loss": self.output(batch).var(0).square().sum()}


def by_products(task, split):
    """The whole Hessian, by its products with unit vectors."""
    hessian = Hessian(task, split)
    return hessian.products(torch.eye(hessian.size, dtype=torch.float64))


@pytest.mark.parametrize("chunk", [7, 100])
def test_layers_put_together_are_the_hessian(chunk):
    split = {"input": torch.randn(20, 5).double(), "target": torch.randn(20, 2).double()}
    task = Regression(Deep().double(), 2)
    expected = by_products(task, split)
    found = linear_layers_hessian(LossFunction(task, split, chunk))
    assert torch.allclose(found, expected, atol=1e-13)
    assert found[6:, :6].abs().max() > 0.01  # blocks of two layers are there, too
    task.model.middle.requires_grad_(False)
    expected = by_products(task, split)
    assert torch.allclose(linear_layers_hessian(LossFunction(task, split, chunk)), expected, atol=1e-13)
    assert expected.shape == (32, 32)


@pytest.mark.parametrize("kind", [Penalized, Alike])
def test_what_is_more_than_its_layers_is_seen_by_a_product(kind):
    split = {"input": torch.randn(20, 5).double(), "target": torch.randn(20, 2).double()}
    task = kind(Deep().double(), 2)
    assert not torch.allclose(linear_layers_hessian(LossFunction(task, split)), by_products(task, split), rtol=0.1)
    assert torch.allclose(Hessian(task, split).matrix(), by_products(task, split), atol=1e-12)


def test_models_with_other_weights_are_left_to_products():
    split = {"input": torch.randn(4, 1, 8, 8).double(), "target": torch.randn(4, 2).double()}
    assert linear_layers_hessian(LossFunction(Regression(CNN([1, 8, 8], 2, channels=[2]).double(), 2), split)) is None
    twice = nn.Linear(5, 5)
    task = Regression(nn.Sequential(twice, nn.Tanh(), twice).double(), 5)
    split = {"input": torch.randn(4, 5).double(), "target": torch.randn(4, 5).double()}
    assert linear_layers_hessian(LossFunction(task, split)) is None
    assert torch.allclose(Hessian(task, split).matrix(), by_products(task, split), atol=1e-12)


@pytest.mark.parametrize("size", [12, 200])
def test_the_largest_eigenvalues_of_a_given_spectrum(size):
    values = torch.linspace(-30, 5, size)  # the largest in magnitude is negative
    values[-3:] = torch.tensor([7.0, 11.0, 12.0])
    found = largest_eigenvalues(Hessian(with_spectrum(values), EXAMPLES), 3, tolerance=1e-4)
    assert found.tolist() == pytest.approx([12, 11, 7], rel=1e-5)


def test_a_zero_matrix_and_one_that_is_not_finite():
    assert largest_eigenvalues(Hessian(with_spectrum([0.0] * 50), EXAMPLES), 2).tolist() == [0, 0]
    found = largest_eigenvalues(Hessian(with_spectrum([math.nan] * 50), EXAMPLES), 2)
    assert found.isnan().all()


def test_what_has_not_converged_is_no_value():
    clustered = 1 + torch.linspace(0, 1e-6, 400, dtype=torch.float64)
    clustered[0] = -1e6
    found = largest_eigenvalues(Hessian(with_spectrum(clustered), EXAMPLES), 2, tolerance=1e-12, restarts=1)
    assert found.isnan().any()


def test_more_eigenvalues_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="3 eigenvalues"):
        largest_eigenvalues(Hessian(with_spectrum([1.0, 2.0, 3.0]), EXAMPLES), 4)


def test_the_trace_and_its_error_are_those_of_theory():
    task = with_spectrum(torch.linspace(-1, 9, 40))
    variance = 2 * (task.matrix.square().sum() - task.matrix.diagonal().square().sum())
    estimates = torch.tensor([trace(Hessian(task, EXAMPLES), 16) for _ in range(400)], dtype=torch.float64)
    expected_error = float((variance / 16).sqrt())
    assert float(estimates[:, 0].mean()) == pytest.approx(160, abs=4 * expected_error / 20)
    assert float(estimates[:, 0].std()) == pytest.approx(expected_error, rel=0.15)
    assert float(estimates[:, 1].square().mean().sqrt()) == pytest.approx(expected_error, rel=0.1)


def test_a_diagonal_matrix_has_its_exact_trace():
    values = torch.linspace(-1, 3, 20, dtype=torch.float64)
    assert trace(Hessian(Quadratic(values.diag()), EXAMPLES), 2) == pytest.approx((20.0, 0.0))


@pytest.mark.parametrize("name", ["cnn", "gpt", "gru"])
def test_other_architectures_agree_with_differences_of_gradients(name):
    tokens = torch.randint(7, (6, 5))
    if name == "cnn":
        model, kind = CNN([1, 8, 8], 3, channels=[4, 4], activation="gelu"), Classification
        split = {"input": torch.randn(6, 1, 8, 8).double(), "target": torch.randint(3, (6,))}
    elif name == "gpt":
        model, kind = GPT([5], 7, vocab=7, width=8, heads=2, depth=1, dropout=0.0), LanguageModelling
        split = {"input": tokens, "target": tokens.roll(-1, 1)}
    else:
        model, kind = Recurrent([5], 3, vocab=7, cell="gru", width=6), Classification
        split = {"input": tokens, "target": torch.randint(3, (6,))}
    task = kind(model.double(), 7 if name == "gpt" else 3).eval()
    hessian = Hessian(task, split)
    vector = torch.randn(hessian.size, dtype=torch.float64)
    gradient = torch.func.grad(hessian.loss)
    step = 1e-5
    expected = (gradient(hessian.point + step * vector) - gradient(hessian.point - step * vector)) / (2 * step)
    assert torch.allclose(hessian.product(vector), expected, atol=1e-6 * float(expected.abs().max()))
    several = torch.stack([vector, 2 * vector])
    assert torch.allclose(hessian.products(several)[1], 2 * expected, atol=1e-5 * float(expected.abs().max()))
