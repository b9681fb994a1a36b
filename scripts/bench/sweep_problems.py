"""The sweeps that `sweep_speed.py` times, each as one run by itself, as a stack, and as a kernel written by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from expkit.build import locate
from expkit.data.base import Spec, Split, TensorData
from expkit.data.gaussian_mixture import GaussianMixture
from expkit.data.gaussian_random_labels import GaussianRandomLabels
from expkit.data.xor_clusters import XorClusters
from expkit.engines.fused.optimizers import batched_optimizer
from expkit.engines.fused.stack import Tensors
from expkit.engines.fused.stacked_training import StackedTraining
from expkit.engines.lightning import LightningEngine
from expkit.models.mean_field_network import MeanFieldNetwork
from expkit.models.mlp import MLP
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.seeding import stream
from expkit.tasks.supervised import BinaryClassification, Classification, Regression


@dataclass(frozen=True)
class Problem:
    """R runs.

    Args:
        name: of the problem.
        runs: R.
        steps: that a timing of the whole stack makes.
        alone: that a timing of one run makes.
        model: at initialization; drawn from torch's generator.
        data: of a run, by its number; the same object for runs that share it.
        loss: of outputs and targets.
        task: around a model.
        optimizer: of each run, as in its configuration.
        flops: of one step of one run.
    """

    name: str
    runs: int
    steps: int
    alone: int
    model: Callable[[], nn.Module]
    data: Callable[[int], TensorData]
    loss: Callable[[Tensor, Tensor], Tensor]
    task: type
    n_outputs: int
    optimizer: Callable[[int], dict[str, Any]]
    flops: float

    def bare(self, steps: int, skipped: int) -> Iterator[None]:
        """One run as a plain loop, a step at a time."""
        model, data = self.drawn(0), self.data(0)
        node = self.optimizer(0)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = locate(node["_target_"])(parameters, lr=node["lr"])
        order, train = torch.empty(0, dtype=torch.long), data.splits["train"]
        for _ in range(steps + skipped):
            batch = train
            if data.batch_size != "full":
                if len(order) < data.batch_size:
                    order = torch.randperm(len(train["target"]))
                chosen, order = order[: data.batch_size], order[data.batch_size :]
                batch = {name: values[chosen] for name, values in train.items()}
            optimizer.zero_grad()
            self.loss(model(batch["input"]), batch["target"]).backward()
            optimizer.step()
            yield

    def drawn(self, seed: int) -> nn.Module:
        with stream(seed, "initialization"):
            return self.model()

    def stack(self, runs: int) -> StackedTraining:
        """The fused engine's steps of the first runs."""
        tasks = [self.task(self.drawn(seed), n_outputs=self.n_outputs) for seed in range(runs)]
        return StackedTraining(
            LightningEngine(max_steps=10**6, accelerator="cpu", eval_at=[0]),
            tasks=tasks,
            data=[self.data(run) for run in range(runs)],
            seeds=list(range(runs)),
            optimizers=[self.optimizer(run) for run in range(runs)],
            schedulers=[{}] * runs,
            clip=[None] * runs,
        )


class Kernel:
    """`torch.compile(vmap(grad))` and an optimizer, with nothing around: what there is to reach.

    Args:
        problem: whose first `runs` runs it trains, all in one piece.
    """

    def __init__(self, problem: Problem, runs: int) -> None:
        model = problem.drawn(0)
        drawn = [dict(problem.drawn(seed).named_parameters()) for seed in range(runs)]
        stacked = {name: torch.stack([own[name].detach() for own in drawn]) for name in drawn[0]}
        self.parameters = {name: values for name, values in stacked.items() if drawn[0][name].requires_grad}
        self.frozen = {name: values for name, values in stacked.items() if name not in self.parameters}
        optimizer = batched_optimizer([problem.optimizer(run) for run in range(runs)])
        self.state, self.hyper = optimizer.init(self.parameters), optimizer.hyper
        self.factor = torch.ones(runs, dtype=torch.float64)
        data = [problem.data(run) for run in range(runs)]
        columns = [{name: own.splits["train"][name] for name in ("input", "target")} for own in data]
        self.batch_size = data[0].batch_size
        one = all(own is data[0] for own in data)
        self.train = columns[0] if one else {name: torch.stack([own[name] for own in columns]) for name in columns[0]}
        axis = None if one and self.batch_size == "full" else 0

        def loss(parameters: Tensors, frozen: Tensors, batch: Split) -> Tensor:
            return problem.loss(functional_call(model, {**parameters, **frozen}, (batch["input"],)), batch["target"])

        def step(parameters: Tensors, frozen: Tensors, state: Any, batch: Split, factor: Tensor, hyper: Tensors) -> Any:
            gradients = vmap(grad(loss), in_dims=(0, 0, axis))(parameters, frozen, batch)
            return optimizer.update(parameters, gradients, state, factor, hyper)

        self.step = torch.compile(step, dynamic=False)

    @torch.no_grad()
    def advance(self) -> None:
        batch = self.train
        if self.batch_size != "full":
            chosen = torch.randint(len(batch["target"]), (len(self.factor), self.batch_size))
            batch = {name: values[chosen] for name, values in batch.items()}
        self.parameters, self.state = self.step(
            self.parameters, self.frozen, self.state, batch, self.factor, self.hyper
        )


def fractal(runs: int = 4096, steps: int = 10) -> Problem:
    """Trainability maps (arXiv 2402.06184): one hidden layer of 16, full batch, a learning rate per run."""
    data = _set_up(GaussianRandomLabels(16, 1, 272, 0, batch_size="full", spec={"shape": [16], "targets": 1}, seed=0))
    return Problem(
        name="fractal",
        runs=runs,
        steps=steps,
        alone=200,
        model=lambda: MeanFieldNetwork([16], 1, width=16),
        data=lambda run: data,
        loss=F.mse_loss,
        task=Regression,
        n_outputs=1,
        optimizer=lambda run: {"_target_": "torch.optim.SGD", "lr": 0.1 + run / runs},
        flops=2 * 272 * (16 * 16 * 2 + 16 * 3),
    )


def minibatch(runs: int = 512, steps: int = 5) -> Problem:
    """A 64-64-64-10 ReLU network on batches of 64, with Adam."""
    spec: Spec = {"shape": [64], "classes": 10}
    data = _set_up(GaussianMixture(10, 64, 3.0, n_train=1500, n_test=10, batch_size=64, spec=spec))
    return Problem(
        name="minibatch",
        runs=runs,
        steps=steps,
        alone=200,
        model=lambda: MLP([64], 10, width=64, depth=2),
        data=lambda run: data,
        loss=F.cross_entropy,
        task=Classification,
        n_outputs=10,
        optimizer=lambda run: {"_target_": "torch.optim.Adam", "lr": 1e-3 * (1 + run / runs)},
        flops=2 * 64 * (64 * 64 * 5 + 64 * 10 * 3),
    )


def grokking_xor(runs: int = 64, steps: int = 1, dim: int = 10000) -> Problem:
    """Seeds of the experiment `grokking_xor`: each has data of its own, so that nothing is shared."""

    @functools.cache
    def data(run: int) -> TensorData:
        spec: Spec = {"shape": [dim], "classes": 2}
        return _set_up(XorClusters(dim, 200, 4, mean_norm=17.32, noise_rate=0.1, spec=spec, seed=run))

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output.squeeze(-1), target.to(output.dtype))

    return Problem(
        name="grokking_xor",
        runs=runs,
        steps=steps,
        alone=10,
        model=lambda: TwoLayerReLU([dim], width=200),
        data=data,
        loss=loss,
        task=BinaryClassification,
        n_outputs=1,
        optimizer=lambda run: {"_target_": "torch.optim.SGD", "lr": 0.1},
        flops=2 * 200 * dim * 200 * 2,
    )


PROBLEMS: dict[str, Callable[..., Problem]] = {
    "fractal": fractal,
    "minibatch": minibatch,
    "grokking_xor": grokking_xor,
}


def _set_up(data: TensorData) -> TensorData:
    data.setup()
    return data
