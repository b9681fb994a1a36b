"""Classification with L2 penalties in the objective, so that its minimum is the one that theory speaks of."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.errors import ConfigError
from expkit.tasks.base import Task


class PenalizedClassification(Task):
    r"""A loss over classes plus weight_penalty / 2 |W|^2 + feature_penalty / 2 |H|^2 (arXiv 2301.00437).

    W are the model's parameters, or those of one part of it, without H. H are features: parameters, as in the
    unconstrained features model, whose squared norm is meant; or what a layer of a network is given, of which it is the
    mean squared norm over the examples of the batch, so that the coefficient is N times that of N free features.

    With plain gradient descent a penalty on parameters acts as weight decay of its strength does; with other optimizers
    it does not, and here it is part of `loss`.

    Metrics: `loss` (penalties included), `fit` (the loss over classes alone), `acc` (share of correct predictions).

    Args:
        loss: `mse`, 1/2 \sum_k (f_k - y_k)^2 against one-hot y, averaged over examples; or `cross_entropy`, in nats.
        weight_penalty, feature_penalty: coefficients, at least 0.
        weights: the part of the model whose parameters are W, such as 'readout'; '' for all of it.
        features: the name in the model of the parameter that is H, or of the layer whose input it is.

    Raises:
        ConfigError: the model has nothing of these names.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        loss: Literal["mse", "cross_entropy"] = "mse",
        weight_penalty: float = 5e-4,
        feature_penalty: float = 5e-4,
        weights: str = "",
        features: str = "features",
        per_position: bool = False,
    ) -> None:
        super().__init__(model, n_outputs, per_position)
        if per_position:
            raise ValueError("one class per example; leave task.per_position false")
        if loss not in ("mse", "cross_entropy"):
            raise ValueError(f"loss is mse or cross_entropy, got {loss}")
        if min(weight_penalty, feature_penalty) < 0:
            raise ValueError(f"penalties are at least 0, got {weight_penalty} and {feature_penalty}")
        parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
        if features not in parameters and features not in modules:
            raise ConfigError(
                f"task.features={features}: {type(model).__name__} has no such parameter or layer.",
                f"Its layers: {', '.join(name for name in modules if name)}.",
            )
        self.loss = loss
        self.weight_penalty = weight_penalty
        self.feature_penalty = feature_penalty
        self.features = features
        self.features_are_free = features in parameters
        self.penalized = [name for name in parameters if name.startswith(weights) and name != features]
        if not self.penalized:
            raise ConfigError(f"task.weights={weights}: {type(model).__name__} has no parameters there.")

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logits, features = self._output_and_features(batch)
        parameters = dict(self.model.named_parameters())
        weights = torch.stack([parameters[name].square().sum() for name in self.penalized]).sum()
        fit = self._fit(logits, batch["target"])
        return {
            "loss": fit + self.weight_penalty / 2 * weights + self.feature_penalty / 2 * features,
            "fit": fit,
            "acc": (logits.argmax(-1) == batch["target"]).to(logits.dtype).mean(),
        }

    def _fit(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.loss == "cross_entropy":
            return F.cross_entropy(logits, target)
        one_hot = torch.eye(self.n_outputs, dtype=logits.dtype, device=logits.device)[target]
        return (logits - one_hot).square().sum(-1).mean() / 2

    def _output_and_features(self, batch: Split) -> tuple[Tensor, Tensor]:
        """Logits, and |H|^2."""
        if self.features_are_free:
            return self.output(batch), dict(self.model.named_parameters())[self.features].square().sum()
        seen: list[Tensor] = []
        layer = self.model.get_submodule(self.features)
        hook = layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        try:
            logits = self.output(batch)
        finally:
            hook.remove()
        return logits, seen[0].flatten(1).square().sum(1).mean()
