"""How much of a codebook is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Codebook(Probe):
    """Which codes a vector-quantized model chooses for the examples of a split.

    Metrics:
        `codebook/utilization`: share of the codes that are chosen at least once.
        `codebook/perplexity`: exp of the entropy of how often each is chosen, from 1 to the number of codes.

    Arrays, at the end: `codebook/counts`, (codes,), how often each is chosen; `codebook/inputs` and
    `codebook/reconstructions`, (pictures, *shape), of the first test examples.

    Args:
        split: whose examples.
        pictures: how many.
    """

    def __init__(self, split: str = "train", pictures: int = 16) -> None:
        self.split, self.pictures = split, pictures

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        share = _counts(task, data.splits[self.split]["input"]).double()
        share /= share.sum()
        entropy = -torch.special.xlogy(share, share).sum()
        return {
            "codebook/utilization": float((share > 0).double().mean()),
            "codebook/perplexity": float(entropy.exp()),
        }

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        inputs = data.splits["test"]["input"][: self.pictures]
        return {
            "codebook/counts": _counts(task, data.splits[self.split]["input"]),
            "codebook/inputs": inputs,
            "codebook/reconstructions": task.model(inputs).view_as(inputs),
        }


def _counts(task: Task, inputs: Tensor, chunk: int = 1024) -> Tensor:
    """How often each code is chosen, (codes,)."""
    model: Any = task.model
    if not hasattr(model, "quantizer"):
        raise UserError(f"{type(model).__name__} has no codebook.", "Choose model=vqvae.")
    codes = torch.cat([model.reconstruct(part)[1].codes.flatten() for part in inputs.split(chunk)])
    return torch.bincount(codes, minlength=len(model.quantizer.basis))
