"""What an agent that moves at random sees of a grid world, and what all its actions are worth."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from expkit.data.base import Spec, Split, TensorData
from expkit.environments.gridworld import GridWorld

COLUMNS = ("state", "input", "action", "reward", "next", "ends")


class GridworldTransitions(TensorData):
    """Transitions (s, a, r, s') of a `GridWorld`, whose map is drawn from the seed, by a uniformly random policy.

    Columns: 'input', the observation of s, (n, 2 side); 'action', (n,); 'reward', with noise, (n,); 'next', the
    observation of s', (n, 2 side); 'ends', whether s' is final, (n,), as 0 or 1; 'target', the optimal values Q*(s, .),
    (n, 4), which nothing but measurement may look at. Rewards of the test split have no noise.

    Args:
        n_train, n_test: transitions.
        side, walls, pits, slip, reward_noise, discount: of the grid world.

    Attributes:
        world: the environment, once drawn.
    """

    def __init__(
        self,
        spec: Spec,
        n_train: int = 4000,
        n_test: int = 1000,
        side: int = 7,
        walls: float = 0.15,
        pits: float = 0.08,
        slip: float = 0.1,
        reward_noise: float = 0.0,
        discount: float = 0.95,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.n = {"train": n_train, "test": n_test}
        self.reward_noise = reward_noise
        own = int(torch.randint(2**31, (), generator=self.generator("map")))
        self.world = GridWorld(side, walls, pits, slip, discount, seed=own)

    def draw(self) -> dict[str, Split]:
        values = self.world.mdp.optimal_values().float()
        splits = {}
        for name, n in self.n.items():
            draw = self.generator(name)
            split = self._walk(n, int(torch.randint(2**31, (), generator=draw)))
            split["target"] = values[split.pop("state")]
            if name == "train":
                split["reward"] += self.reward_noise * torch.randn(n, generator=draw)
            splits[name] = split
        return splits

    def _walk(self, n: int, seed: int) -> Split:
        """Transitions of episodes after one another."""
        world = self.world
        actions = np.random.default_rng(seed).integers(world.action_space.n, size=n)  # type: ignore[attr-defined]
        rows = []
        seen, facts = world.reset(seed=seed)
        for action in actions.tolist():
            state = facts["state"]
            following, reward, ends, _, facts = world.step(action)
            rows.append((state, seen, action, reward, following, ends))
            seen, facts = world.reset() if ends else (following, facts)
        columns: dict[str, NDArray] = dict(zip(COLUMNS, map(np.array, zip(*rows, strict=True)), strict=True))
        split = {name: torch.from_numpy(values) for name, values in columns.items()}
        return {**split, "reward": split["reward"].float(), "ends": split["ends"].float()}
