"""What a run predicts for every example, kept at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from expkit.analysis.class_probabilities import class_logits, split_of
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Predictions(Probe):
    """Keeps the predictions of the trained classifier, for comparisons between runs and for ensembles.

    Arrays of the record, in the order of the split: `predictions/<split>_class` (n,), uint8, or int32 for more than
    256 classes; `predictions/<split>_probabilities` and `predictions/<split>_logits` (n, classes), float16. With
    `targets` also `predictions/<split>_target`, of the type of the classes. It costs one evaluation of the splits.

    Args:
        splits: whose examples.
        keep: what; the classes alone take 1 byte an example.
        targets: whether the targets are kept as well.
    """

    def __init__(
        self,
        splits: Sequence[str] = ("test",),
        keep: Sequence[Literal["class", "probabilities", "logits"]] = ("class", "probabilities"),
        targets: bool = True,
    ) -> None:
        super().__init__()
        if unknown := set(keep) - {"class", "probabilities", "logits"}:
            raise ValueError(f"keep is of class, probabilities and logits; got {', '.join(sorted(unknown))}")
        self.splits = tuple(splits)
        self.keep = tuple(keep)
        self.targets = targets

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        kept: dict[str, float | Tensor] = {}
        for name in self.splits:
            split = split_of(data, name, "probes.predictions")
            logits = class_logits(task, split)
            kept |= {f"predictions/{name}_{what}": _kept(logits, what) for what in self.keep}
            if self.targets:
                target = split["target"]
                whole = _whole(logits) if int(target.min()) >= 0 else torch.int32  # -100 stands for no target
                kept[f"predictions/{name}_target"] = target.to(whole)
        return kept


def _kept(logits: Tensor, what: str) -> Tensor:
    match what:
        case "class":
            return logits.argmax(-1).to(_whole(logits))
        case "probabilities":
            return logits.softmax(-1).half()
    return logits.half()


def _whole(logits: Tensor) -> torch.dtype:
    return torch.uint8 if logits.shape[-1] <= 256 else torch.int32
