"""The probes of curvature on linear regression, whose Hessian is the covariance of the inputs."""

import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.errors import UserError
from expkit.probes.hessian_spectrum import HessianSpectrum
from expkit.probes.hessian_trace import HessianTrace
from expkit.probes.sharpness import Sharpness
from expkit.tasks.supervised import Regression

N, D = 60, 40


class Scaled(TensorData):
    """Inputs of different sizes."""

    def draw(self):
        draw = self.generator("train")
        inputs = torch.randn(N, D, generator=draw, dtype=torch.float64) * torch.linspace(0.1, 3, D)
        return {"train": {"input": inputs, "target": torch.randn(N, 1, generator=draw, dtype=torch.float64)}}


@pytest.fixture
def data():
    data = Scaled(spec={"shape": [D], "targets": 1})
    data.setup()
    return data


@pytest.fixture
def task():
    return Regression(nn.Linear(D, 1, bias=False).double(), 1).eval()


def eigenvalues(data, n):
    """Of the Hessian of 1/n sum (w^T x - y)^2, in descending order."""
    x = data.splits["train"]["input"][:n]
    return torch.linalg.eigvalsh(2 * x.T @ x / len(x)).flip(0)


@pytest.mark.parametrize(("n_examples", "n"), [(None, N), (1000, N), (25, 25)])
def test_each_is_what_the_covariance_says(task, data, n_examples, n):
    torch.manual_seed(0)
    expected = eigenvalues(data, n)
    with torch.no_grad():
        sharpness = Sharpness(n_examples, k=3, gauss_newton=True, tolerance=1e-6, chunk=16).measure(task, data)
        trace = HessianTrace(n_examples, samples=200, chunk=16).measure(task, data)
        spectrum = HessianSpectrum(n_examples, gauss_newton=True, chunk=16).conclude(task, data)
    assert list(sharpness.values()) == pytest.approx([*expected[:3].tolist(), float(expected[0])], rel=1e-6)
    assert list(sharpness)[-2:] == ["sharpness/lambda_3", "sharpness/gauss_newton"]
    assert abs(trace["hessian_trace/mean"] - float(expected.sum())) < 4 * trace["hessian_trace/standard_error"]
    assert 0 < trace["hessian_trace/standard_error"] < 0.1 * float(expected.sum())
    for name in ("eigenvalues", "gauss_newton"):
        assert torch.allclose(spectrum[f"hessian_spectrum/{name}"], expected, atol=1e-10)
    assert spectrum["hessian_spectrum/max"] == pytest.approx(float(expected[0]))
    assert spectrum["hessian_spectrum/min"] == pytest.approx(float(expected[-1]), abs=1e-10)
    share = float((expected < expected[0] / 100).double().mean())
    assert spectrum["hessian_spectrum/near_zero"] == pytest.approx(share)


def test_nothing_is_trained_and_no_gradient_is_left(task, data):
    before = task.model.weight.detach().clone()
    Sharpness().measure(task, data)
    HessianSpectrum().conclude(task, data)
    assert torch.equal(task.model.weight, before)
    assert task.model.weight.grad is None


def test_a_network_that_is_too_large_is_refused_before_anything_is_computed(task, data):
    with pytest.raises(UserError, match="40 trainable parameters") as refused:
        HessianSpectrum(max_parameters=39).conclude(task, data)
    assert "max_parameters" in str(refused.value.hint)


def test_arguments_out_of_range_are_refused(task, data):
    with pytest.raises(ValueError, match="k is"):
        Sharpness(k=0)
    with pytest.raises(ValueError, match="samples"):
        HessianTrace(samples=1)
    with pytest.raises(ValueError, match="examples"):
        Sharpness(n_examples=0).measure(task, data)
