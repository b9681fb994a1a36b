"""The readout of a model fitted in closed form: ridge regression, least squares, and gradient descent on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from expkit.data.base import Split, TensorData
from expkit.errors import ConfigError
from expkit.tasks.computation import Computation


class RidgeRegression(Computation):
    r"""Minimizes L(W) = 1/n |Phi W - Y|^2 + ridge |W|^2, Phi (n, p) the features of the training examples.

    Features are what the model's last linear layer is given, with the model at initialization; W takes that layer's
    place, without a bias. With ridge = 0 the minimum is the least-squares solution of least norm, Phi^+ Y.

    Gradient descent on L from W = 0 is done exactly, for any number of steps, in the singular vectors of
    Phi = U S V^T: with rates r_i = 2 (s_i^2 / n + ridge), W_t = V diag((1 - (1 - lr r_i)^t) s_i / (s_i^2 + n ridge))
    U^T Y. Its limit is the minimum.

    One row for each number in `steps`, and a last one for the minimum. Metrics, of each row:
        `steps`: of gradient descent; not in the last row.
        `train/loss`, `test/loss`, ...: mean squared error on each split, over examples and outputs, without the ridge.
        `weights/norm`: |W|.
    Of the last row also `features/rank` and `features/condition`, the number of singular values that count and the
    ratio of the largest to the smallest of them. Array: `features/singular_values`, (min(n, p),), divided by sqrt(n).

    Singular values below eps max(n, p) times the largest do not count (eps of float64, in which all is computed). The
    cost is that of one singular value decomposition, n p min(n, p).

    Args:
        n_outputs: of the model.
        ridge: coefficient of the penalty.
        steps: numbers of steps of gradient descent.
        learning_rate: of gradient descent; None for 1 / max r_i, half of the largest that is stable.

    Raises:
        ConfigError: the model has no linear layer.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        ridge: float = 0.0,
        steps: Sequence[int] = (),
        learning_rate: float | None = None,
    ) -> None:
        super().__init__(model)
        if ridge < 0 or any(number < 0 for number in steps):
            raise ValueError(f"ridge and steps are at least 0, got {ridge} and {list(steps)}")
        self.n_outputs = n_outputs
        self.ridge = ridge
        self.steps = list(steps)
        self.learning_rate = learning_rate
        self.rows = len(self.steps) + 1

    def compute(self, data: TensorData) -> Iterator[Mapping[str, float | Tensor]]:
        features = {name: self._features(split) for name, split in data.splits.items()}
        targets = {name: split["target"].double() for name, split in data.splits.items()}
        n, p = features["train"].shape
        u, s, vh = torch.linalg.svd(features["train"], full_matrices=False)
        counts = s > s[0] * torch.finfo(s.dtype).eps * max(n, p)
        projected = u.T @ targets["train"]
        solution = torch.where(counts, s / (s.square() + n * self.ridge), 0.0)
        rates = 2 * (s.square() / n + self.ridge)
        learning_rate = 1 / rates[0] if self.learning_rate is None else self.learning_rate
        for steps in [*self.steps, None]:
            learned = torch.ones_like(s) if steps is None else filter_of(learning_rate * rates, steps)
            weights = vh.T @ ((learned * solution).unsqueeze(1) * projected)
            row: dict[str, float | Tensor] = {} if steps is None else {"steps": float(steps)}
            for name in data.splits:
                row[f"{name}/loss"] = float((features[name] @ weights - targets[name]).square().mean())
            row["weights/norm"] = float(weights.norm())
            if steps is None:
                row |= {
                    "features/rank": float(counts.sum()),
                    "features/condition": float(s[0] / s[counts][-1]),
                    "features/singular_values": s / n**0.5,
                }
            yield row

    def _features(self, split: Split) -> Tensor:
        """What the last linear layer of the model is given, (n, p), in float64."""
        assert self.model is not None
        seen: list[Tensor] = []
        layers = [layer for layer in self.model.modules() if isinstance(layer, nn.Linear)]
        hooks = [layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for layer in layers]
        try:
            self.model(*[split[column] for column in getattr(self.model, "columns", ("input",))])
        finally:
            for hook in hooks:
                hook.remove()
        if not seen:
            raise ConfigError(
                f"{type(self.model).__name__} has no linear layer whose input could be features.",
                "Choose model=random_features, mlp, or another one that ends with a linear layer.",
            )
        return seen[-1].flatten(1).double()


def filter_of(x: Tensor, steps: int) -> Tensor:
    """1 - (1 - x)^steps, the share of each direction that gradient descent has learned; exact for small x, too."""
    small = -torch.expm1(steps * torch.log1p(-x.clamp(max=0.5)))
    return torch.where(x < 0.5, small, 1 - (1 - x) ** steps)
