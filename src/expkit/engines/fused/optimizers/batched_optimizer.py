"""From the optimizer nodes of R runs to one batched optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from expkit.build import build, locate
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.optimizers.adadelta import BatchedAdadelta
from expkit.engines.fused.optimizers.adafactor import BatchedAdafactor
from expkit.engines.fused.optimizers.adagrad import BatchedAdagrad
from expkit.engines.fused.optimizers.adam import BatchedAdam, BatchedAdamW
from expkit.engines.fused.optimizers.adamax import BatchedAdamax
from expkit.engines.fused.optimizers.asgd import BatchedASGD
from expkit.engines.fused.optimizers.base import BatchedOptimizer
from expkit.engines.fused.optimizers.layerwise_sgd import BatchedLayerwiseSGD
from expkit.engines.fused.optimizers.lion import BatchedLion
from expkit.engines.fused.optimizers.muon import BatchedMuon
from expkit.engines.fused.optimizers.nadam import BatchedNAdam
from expkit.engines.fused.optimizers.normuon import BatchedNorMuon
from expkit.engines.fused.optimizers.radam import BatchedRAdam
from expkit.engines.fused.optimizers.rmsprop import BatchedRMSprop
from expkit.engines.fused.optimizers.rprop import BatchedRprop
from expkit.engines.fused.optimizers.sgd import BatchedSGD
from expkit.engines.fused.optimizers.shampoo import BatchedShampoo
from expkit.optim.layerwise_sgd import LayerwiseSGD
from expkit.optim.lion import Lion
from expkit.optim.muon import Muon
from expkit.optim.normuon import NorMuon
from expkit.optim.shampoo import Shampoo

BATCHED: dict[Any, type[BatchedOptimizer]] = {
    torch.optim.SGD: BatchedSGD,
    torch.optim.Adam: BatchedAdam,
    torch.optim.AdamW: BatchedAdamW,
    torch.optim.RMSprop: BatchedRMSprop,
    torch.optim.Adagrad: BatchedAdagrad,
    torch.optim.Adadelta: BatchedAdadelta,
    torch.optim.Adamax: BatchedAdamax,
    torch.optim.NAdam: BatchedNAdam,
    torch.optim.RAdam: BatchedRAdam,
    torch.optim.ASGD: BatchedASGD,
    torch.optim.Rprop: BatchedRprop,
    torch.optim.Adafactor: BatchedAdafactor,
    LayerwiseSGD: BatchedLayerwiseSGD,
    Lion: BatchedLion,
    Muon: BatchedMuon,
    NorMuon: BatchedNorMuon,
    Shampoo: BatchedShampoo,
}

IMPLEMENTATION = {"params", "foreach", "capturable", "differentiable", "fused"}
"""Arguments that choose among ways to compute the same."""


def batched_optimizer(nodes: Sequence[Mapping[str, Any]]) -> BatchedOptimizer:
    """R optimizers as one.

    Args:
        nodes: the resolved `optimizer` node of each run: `_target_` and arguments. What a node leaves out has its
            constructor's default.

    Raises:
        NotFusable: nodes differ in more than numbers, or there is no batched form.
        ConfigError: an argument is out of its range.
    """
    target = _common_target(nodes)
    batched = BATCHED[target]
    arguments = {key: value.default for key, value in inspect.signature(target).parameters.items()}
    structure = {
        key: _common(key, [node.get(key, default) for node in nodes])
        for key, default in arguments.items()
        if key not in batched.numbers and key not in IMPLEMENTATION
    }
    hyper: dict[str, Tensor] = {}
    for key, names in batched.numbers.items():
        values = [node.get(key, arguments[key]) for node in nodes]
        columns = [values] if len(names) == 1 else list(zip(*values, strict=True))
        for name, column in zip(names, columns, strict=True):
            hyper[name] = torch.tensor([_number(value) for value in column], dtype=torch.float64)
    _check_ranges(nodes, hyper)
    return batched(hyper, structure)


def _common_target(nodes: Sequence[Mapping[str, Any]]) -> Any:
    names = sorted({node["_target_"] for node in nodes})
    targets = {locate(name) for name in names}
    if len(targets) > 1:
        raise NotFusable("optimizer._target_", f"differs between runs: {', '.join(names)}")
    target = targets.pop()
    if target is torch.optim.LBFGS:
        raise NotFusable(
            "optimizer._target_", "LBFGS evaluates the loss as often within a step as its line search asks for"
        )
    if target not in BATCHED:
        raise NotFusable("optimizer._target_", f"{names[0]} has no batched form")
    return target


def _common(key: str, values: Sequence[Any]) -> Any:
    first = values[0]
    other = next((value for value in values if value != first), first)
    if other != first:
        raise NotFusable(f"optimizer.{key}", f"is more than a number and differs between runs: {first}, {other}")
    return first


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _check_ranges(nodes: Sequence[Mapping[str, Any]], hyper: Mapping[str, Tensor]) -> None:
    """Lets the constructor judge the runs with the smallest and the largest of each number.

    What it accepts are intervals, so that these stand for all runs.
    """
    extremes = {int(pick(values)) for values in hyper.values() for pick in (torch.argmin, torch.argmax)}
    for run in sorted(extremes):
        build(nodes[run], "optimizer", params=[("matrix", nn.Parameter(torch.zeros(1, 1)))])
