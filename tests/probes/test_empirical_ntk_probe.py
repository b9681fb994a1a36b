"""The probe of the tangent kernel: on models that are linear in their parameters, and in runs that are interrupted."""

import numpy as np
import polars
import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.probes.empirical_ntk import EmpiricalNTK
from expkit.tasks.supervised import BinaryClassification, Regression
from support import train

N, D = 12, 5


class Vectors(TensorData):
    def draw(self):
        draw = self.generator("train")
        train = {"input": torch.randn(N, D, generator=draw), "target": torch.randint(2, (N,), generator=draw)}
        return {"train": train, "test": train}


@pytest.fixture
def data():
    data = Vectors(spec={"shape": [D], "classes": 2})
    data.setup()
    return data


def test_of_a_linear_classifier(data):
    task = BinaryClassification(nn.Linear(D, 1, bias=False), n_outputs=1)
    probe = EmpiricalNTK(n_examples=8)
    with torch.no_grad():
        first = probe.measure(task, data)
        task.model.weight.add_(1.0)
        second = probe.measure(task, data)
    x = data.splits["train"]["input"][:8].double()
    y = 2.0 * data.splits["train"]["target"][:8].double() - 1
    gram = x @ x.T
    assert first["ntk/trace"] == pytest.approx(float(x.square().sum()))
    assert first["ntk/top_eigenvalue"] == pytest.approx(float(torch.linalg.matrix_norm(x, 2) ** 2))
    assert first["ntk/alignment"] == pytest.approx(float(y @ gram @ y / (gram.norm() * 8)))
    assert first["ntk/drift"] == 0
    assert second == pytest.approx(first, abs=1e-12)  # linear in its parameters: the kernel never moves


def test_drift_of_a_product_of_parameters(data):
    """f = a <w, x> has the kernel a^2 <x, x'> + <w, x> <w, x'>; with w = 0 and a doubled it is four times as large."""

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.a = nn.Parameter(torch.zeros(D)), nn.Parameter(torch.ones(()))

        def forward(self, x):
            return (self.a * (x @ self.w)).unsqueeze(-1)

    task = Regression(Product(), n_outputs=1)
    probe = EmpiricalNTK()
    with torch.no_grad():
        probe.measure(task, data)
        task.model.a.fill_(2.0)
        assert probe.measure(task, data)["ntk/drift"] == pytest.approx(3)
    again = EmpiricalNTK()
    again.load_state_dict(probe.state_dict())
    with torch.no_grad():
        assert again.measure(task, data)["ntk/drift"] == pytest.approx(3)
        found = again.conclude(task, data)
    torch.testing.assert_close(found["ntk/spectrum"], 4 * found["ntk/initial_spectrum"])


@pytest.mark.slow
def test_from_the_command_line_on_any_experiment(runs):
    common = [
        "probes=[ntk]",
        "probes.ntk.n_examples=10",
        "data=xor_clusters",
        "model=mlp",
        "data.dim=20",
        "data.n_train=20",
    ]
    common += ["trainer.max_steps=20", "trainer.eval_at=10", "logger=none", "optimizer=sgd"]
    alone = train(*common)
    frame = polars.read_parquet(f"{alone['path']}/metrics.parquet")
    assert frame["ntk/drift"][0] == 0
    assert frame["ntk/drift"][-1] > 0
    arrays = np.load(f"{alone['path']}/arrays.npz")
    assert arrays["ntk/spectrum"][0] == pytest.approx(alone["summary"]["ntk/top_eigenvalue"], rel=1e-6)
    fused = train("-m", *common, "seed=0,1", "hydra/launcher=fused", f"paths.runs={runs}/fused")
    assert fused[0]["summary"]["ntk/drift"] == pytest.approx(alone["summary"]["ntk/drift"], rel=1e-3)
