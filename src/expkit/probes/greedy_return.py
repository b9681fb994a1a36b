"""What an agent earns that takes the action of the highest value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class GreedyReturn(Probe):
    """The discounted return of the greedy policy in the data's world, computed exactly, without noise.

    Metrics: `greedy/return`, on average over first states; `greedy/share`, that over the return of an optimal policy.
    """

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        world, values = getattr(data, "world", None), getattr(task, "q", None)
        if world is None or values is None:
            raise UserError(
                "A greedy policy needs a task that learns values, and data of a world.", "Use task=fitted_q."
            )
        like = next(task.parameters())
        seen: Any = torch.stack([torch.from_numpy(world.observation(state)) for state in range(world.side**2)])
        earned = world.mdp.expected_return(values(seen.to(like)).argmax(1).cpu())
        return {"greedy/return": earned, "greedy/share": earned / world.mdp.optimal_return}
