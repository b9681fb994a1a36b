"""How often a run forgets each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expkit.analysis.class_probabilities import class_logits, split_of
from expkit.analysis.example_scores import ForgettingEvents
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class ForgettingEventsProbe(Probe):
    """Forgetting events of each example of a split (arXiv 1812.05159), counted from one evaluation point to the next.

    An event is an example that was classified rightly at the last evaluation point and is not now; set
    `trainer.eval_at` to one epoch for the paper's count, which looks at examples as they come up in batches. Examples
    that never were classified rightly get one more than any has. Kept: `forgetting/<split>`, (n,). Metrics, at each
    evaluation point: `forgetting/<split>_events`, the mean count up to now, without what was never learned. It costs
    one evaluation of the split each time.

    Args:
        split: whose examples.
    """

    def __init__(self, split: str = "train") -> None:
        super().__init__()
        self.split = split
        self.seen: ForgettingEvents | None = None

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        split = split_of(data, self.split, "probes.forgetting_events")
        right = (class_logits(task, split).argmax(-1) == split["target"]).cpu()
        if self.seen is None:
            self.seen = ForgettingEvents(tuple(right.shape))
        self.seen.see(torch.arange(len(right)), right)
        return {f"forgetting/{self.split}_events": self.seen.events.mean().item()}

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        return {} if self.seen is None else {f"forgetting/{self.split}": self.seen.counts}

    def state_dict(self) -> dict[str, Any]:
        return {} if self.seen is None else dict(vars(self.seen))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            self.seen = ForgettingEvents(tuple(state_dict["events"].shape))
            vars(self.seen).update(state_dict)
