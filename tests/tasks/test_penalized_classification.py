"""The penalized objective against its formula, and against the minimum that it has in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from expkit.errors import ConfigError
from expkit.models.unconstrained_features import UnconstrainedFeatures
from expkit.tasks.penalized_classification import PenalizedClassification


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    return {"input": torch.arange(6).unsqueeze(1), "target": torch.tensor([0, 0, 0, 1, 1, 2])}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(6, 5), nn.Flatten(), nn.Linear(5, 3))


def model() -> UnconstrainedFeatures:
    torch.manual_seed(0)
    return UnconstrainedFeatures([1], vocab=6, n_outputs=3, width=5, depth=1, init_scale=1.0)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_objective_is_fit_plus_half_the_penalties(batch, loss) -> None:
    net = model()
    values = PenalizedClassification(net, 3, loss, weight_penalty=0.3, feature_penalty=0.07).objective(batch)
    output, y = net(batch["input"]), F.one_hot(batch["target"], 3)
    fit = ((output - y) ** 2).sum() / (2 * 6) if loss == "mse" else F.cross_entropy(output, batch["target"])
    squares = [p.square().sum() for p in (net.features, net.hidden[0].weight, net.readout.weight)]
    assert values["fit"].item() == pytest.approx(fit.item(), rel=1e-6)
    expected = fit + 0.07 / 2 * squares[0] + 0.3 / 2 * (squares[1] + squares[2])
    assert values["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_features_of_a_network_are_what_a_layer_is_given(batch) -> None:
    net = network()
    task = PenalizedClassification(net, 3, weight_penalty=0.3, feature_penalty=0.4, weights="2", features="2")
    values = task.objective(batch)
    penalty = 0.3 / 2 * sum(p.square().sum() for p in net[2].parameters())
    penalty += 0.4 / 2 * net[0].weight.square().sum() / 6
    assert (values["loss"] - values["fit"]).item() == pytest.approx(penalty.item(), rel=1e-5)


def test_stacked_runs_agree_with_a_loop(batch) -> None:
    tasks = []
    for seed in range(3):
        net = network()
        nn.init.normal_(net[0].weight, std=1 + seed)
        tasks.append(PenalizedClassification(net, 3, weights="2", features="2", feature_penalty=0.5))
    parameters, _ = stack_module_state([one.model for one in tasks])

    def loss(parameters):
        named = {f"model.{name}": value for name, value in parameters.items()}
        return functional_call(Objective(tasks[0]), {f"task.{k}": v for k, v in named.items()}, (batch,))

    gradients = vmap(grad(loss))(parameters)
    for number, task in enumerate(tasks):
        task.objective(batch)["loss"].backward()
        for name, parameter in task.model.named_parameters():
            torch.testing.assert_close(gradients[name][number], parameter.grad)


class Objective(nn.Module):
    def __init__(self, task) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch):
        return self.task.objective(batch)["loss"]


def test_names_that_the_model_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"features=hidden"):
        PenalizedClassification(network(), 3, features="hidden")
    with pytest.raises(ConfigError, match=r"weights=head"):
        PenalizedClassification(network(), 3, features="2", weights="head")


def test_the_weights_penalty_is_weight_decay_of_gradient_descent(batch) -> None:
    def after(penalty: float, decay: float) -> torch.Tensor:
        net = network()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=decay)
        task = PenalizedClassification(net, 3, weight_penalty=penalty, feature_penalty=0.0, features="2")
        for _ in range(10):
            optimizer.zero_grad()
            task.objective(batch)["loss"].backward()
            optimizer.step()
        return net[2].weight.detach()

    torch.testing.assert_close(after(0.2, 0.0), after(0.0, 0.2))
    assert not torch.allclose(after(0.0, 0.0), after(0.0, 0.2))


def test_gradient_descent_reaches_the_minimum_in_closed_form(batch) -> None:
    # Plain unconstrained features (arXiv 2301.00437): |w_k|^2 = sqrt(l_H/l_W) max(0, sqrt(n_k) - N sqrt(l_W l_H)).
    torch.manual_seed(0)
    net = UnconstrainedFeatures([1], vocab=6, n_outputs=3, width=5).double()
    l_w, l_h = 0.06, 0.12
    task = PenalizedClassification(net, 3, weight_penalty=l_w, feature_penalty=l_h)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    for _ in range(1500):
        optimizer.zero_grad()
        task.objective(batch)["loss"].backward()
        optimizer.step()
    n = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    expected = (l_h / l_w) ** 0.5 * (n.sqrt() - 6 * (l_w * l_h) ** 0.5).clamp(min=0)
    gram = net.readout.weight @ net.readout.weight.T
    torch.testing.assert_close(gram.detach(), expected.diag(), atol=1e-4, rtol=1e-4)
