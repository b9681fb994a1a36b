"""Learning rates that fall when a metric stops improving, each run's by its own metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from expkit.build import build
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.schedules import base_rates, is_plateau

Node = Mapping[str, Any]


class BatchedPlateau:
    """R runs of `expkit.optim.plateau.ReduceLROnPlateau`, stepped together.

    Runs with another scheduler, or none, may be among them: their factor stays 1, so that the product with a row of
    `learning_rates` is the factor of every run. For an optimizer with several learning rates the factor is that of the
    largest; torch stops reducing a rate by less than `eps` (1e-8), so that the smaller ones differ by less than that.

    Args:
        optimizers: the resolved `optimizer` node of each run.
        schedulers: the resolved `scheduler` node of each run.

    Attributes:
        monitors: the metric that each run follows, None where it follows none.
        factor: (R,) in float64, the current learning rates over the optimizers' own.

    Raises:
        NotFusable: a lowest learning rate would apply to several learning rates of one optimizer.
        ConfigError: a scheduler refuses its arguments.
    """

    def __init__(self, optimizers: Sequence[Node], schedulers: Sequence[Node]) -> None:
        settings = [_settings(optimizer, node) for optimizer, node in zip(optimizers, schedulers, strict=True)]
        self.monitors: list[str | None] = [own.pop("monitor") for own in settings]
        columns = {key: torch.tensor([own[key] for own in settings], dtype=torch.float64) for key in settings[0]}
        self._settings = columns
        self._base = columns.pop("lr")
        self._state = {
            "lr": self._base.clone(),
            "best": columns["sign"] * math.inf,
            "bad": torch.zeros_like(self._base),
            "cooldown": torch.zeros_like(self._base),
        }

    @property
    def factor(self) -> Tensor:
        return torch.where(self._base == 0, 1.0, self._state["lr"] / self._base)

    def step(self, metric: Tensor) -> Tensor:
        """Takes each run's metric, (R,), at an evaluation point; returns the new `factor`.

        What is given for a run that follows no metric does not matter.
        """
        own, state = self._settings, self._state
        metric = metric.to(self._base)
        # With sign -1 where more is better, less is better everywhere.
        wanted = torch.where(
            own["relative"] == 1,
            state["best"] * (1 - own["sign"] * own["threshold"]),
            state["best"] - own["sign"] * own["threshold"],
        )
        better = own["sign"] * metric < own["sign"] * wanted
        resting = state["cooldown"] > 0
        bad = torch.where(better | resting, 0.0, state["bad"] + 1)
        reduces = bad > own["patience"]
        lower = torch.maximum(state["lr"] * own["factor"], own["min_lr"])
        falls = reduces & (state["lr"] - lower > own["eps"])
        self._state = {
            "lr": torch.where(falls, lower, state["lr"]),
            "best": torch.where(better, metric, state["best"]),
            "bad": torch.where(reduces, 0.0, bad),
            "cooldown": torch.where(reduces, own["cooldown"], (state["cooldown"] - 1).clamp(min=0)),
        }
        return self.factor

    def keep(self, rows: Tensor) -> None:
        """Goes on with some of the runs only, given by their indices."""
        self.monitors = [self.monitors[row] for row in rows.tolist()]
        self._base = self._base[rows]
        self._settings = {key: values[rows] for key, values in self._settings.items()}
        self._state = {key: values[rows] for key, values in self._state.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """All that changes, (R,) each."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._state = {key: state[key] for key in self._state}


_NEVER = {"sign": 1.0, "relative": 1.0, "factor": 1.0, "patience": math.inf, "threshold": 0.0}


def _settings(optimizer: Node, scheduler: Node) -> dict[str, Any]:
    rates = base_rates(optimizer)
    if not is_plateau(scheduler):
        return {**_NEVER, "cooldown": 0.0, "min_lr": 0.0, "eps": 0.0, "lr": max(rates), "monitor": None}
    if scheduler.get("min_lr") and len(rates) > 1:
        raise NotFusable("scheduler.min_lr", "is reached by the optimizer's learning rates at different times")
    own = build(scheduler, "scheduler", optimizer=torch.optim.SGD([torch.zeros(1, device="cpu")], lr=max(rates)))
    return {
        "sign": 1.0 if own.mode == "min" else -1.0,
        "relative": float(own.threshold_mode == "rel"),
        **{key: float(getattr(own, key)) for key in ("factor", "patience", "threshold", "cooldown", "eps")},
        "min_lr": float(own.min_lrs[0]),
        "lr": max(rates),
        "monitor": own.monitor,
    }
