"""How hard each example is for the network of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from expkit.analysis.class_probabilities import class_logits, split_of
from expkit.analysis.example_scores import el2n
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData
    from expkit.tasks.base import Task


class ExampleScore(Probe):
    """A score of each example of a split by the network as it is trained at the end, kept as `<kind>/<split>`, (n,).

    ========  ============================================================================  ================
    kind      score of (x, y)                                                               from
    ========  ============================================================================  ================
    `el2n`    |softmax(f(x)) - onehot(y)|, of classifiers                                   arXiv 2107.07075
    `grand`   |d loss(f(x), y) / d weights|, over all trainable parameters, of any task     arXiv 2107.07075
    `loss`    the task's loss of the example alone, of any task                             arXiv 1906.11829
    ========  ============================================================================  ================

    Metrics: its mean, `<kind>/<split>_mean`. For scores early in training, averaged over networks, see
    `expkit.analysis.example_scores`. `el2n` and `loss` cost one evaluation of the split; `grand` about six, and memory
    for `chunk` gradients.

    Args:
        kind: see above.
        split: whose examples.
        chunk: examples at a time; limits memory, not the result.
    """

    def __init__(self, kind: Literal["el2n", "grand", "loss"] = "el2n", split: str = "train", chunk: int = 256) -> None:
        super().__init__()
        if kind not in ("el2n", "grand", "loss"):
            raise ValueError(f"kind is el2n, grand or loss; got '{kind}'")
        self.kind = kind
        self.split = split
        self.chunk = chunk

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        split = split_of(data, self.split, f"probes.example_score (kind {self.kind})")
        scores = el2n(class_logits(task, split), split["target"]) if self.kind == "el2n" else self._alone(task, split)
        return {f"{self.kind}/{self.split}": scores, f"{self.kind}/{self.split}_mean": scores.mean().item()}

    def _alone(self, task: Task, split: Split) -> Tensor:
        """The loss of each example, or the norm of its gradient."""
        objective = _Loss(task)
        every = {name: p.detach() for name, p in objective.named_parameters()}
        trained = {name: every[name] for name, p in objective.named_parameters() if p.requires_grad}
        rest = {name: values for name, values in every.items() if name not in trained}
        rest |= dict(objective.named_buffers())

        def loss(weights: dict[str, Tensor], one: Split) -> Tensor:
            example = {name: values.unsqueeze(0) for name, values in one.items()}
            return functional_call(objective, {**rest, **weights}, (example,))

        def norm(weights: dict[str, Tensor], one: Split) -> Tensor:
            parts = grad(loss)(weights, one).values()
            return torch.stack([part.square().sum() for part in parts]).sum().sqrt()

        score = vmap(norm if self.kind == "grand" else loss, in_dims=(None, 0))
        n = len(split["input"])
        parts = (
            {name: v[start : start + self.chunk] for name, v in split.items()} for start in range(0, n, self.chunk)
        )
        return torch.cat([score(trained, part) for part in parts])


class _Loss(nn.Module):
    """A task whose call is its loss, as `functional_call` wants it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Split) -> Tensor:
        return self.task.objective(batch)["loss"]
