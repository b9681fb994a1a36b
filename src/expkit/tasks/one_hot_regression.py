"""Classification by squared error: outputs are regressed on one-hot labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from expkit.data.base import Split
from expkit.tasks.base import Task


class OneHotRegression(Task):
    """The squared distance between outputs and one-hot labels, summed over classes, mean over examples.

    Metrics: `loss`, `acc` (share of correct top-1 predictions).

    Args:
        model: maps inputs to `n_outputs` numbers.
        n_outputs: number of classes.
        centred: whether the mean over classes is taken from outputs and from labels first, so that a number added to
            all outputs alike costs nothing (arXiv 2509.21519).
        per_position: whether there is a label for each position of the input.
    """

    def __init__(self, model: nn.Module, n_outputs: int, centred: bool = False, per_position: bool = False) -> None:
        super().__init__(model, n_outputs, per_position)
        self.centred = centred

    def objective(self, batch: Split) -> dict[str, Tensor]:
        output, target = self.output(batch), batch["target"]
        # Comparing with all classes: F.one_hot asks for the largest label, which vmap cannot have.
        classes = torch.arange(self.n_outputs, device=target.device)
        label = (target.unsqueeze(-1) == classes).to(output.dtype)
        difference = output - label
        if self.centred:
            difference = difference - difference.mean(-1, keepdim=True)
        return {
            "loss": difference.square().sum(-1).mean(),
            "acc": (output.argmax(-1) == target).to(output.dtype).mean(),
        }
