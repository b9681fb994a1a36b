"""A grid with walls, a goal and pits, on which the agent slips."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from expkit.environments.mdp import MDP

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Up, right, down, left, as (rows, columns)."""


class GridWorld(gymnasium.Env[NDArray, Any]):
    """A procedurally drawn square grid; the agent starts at any free cell and moves up, right, down or left.

    With probability `slip` it moves in a direction drawn at random instead; walls and edges stop it. The goal pays 1
    and ends the episode, a pit costs 1 and ends it, all other moves pay 0.

    An observation says in which row and which column the agent is: two one-hot vectors, (2 side,).

    Args:
        side: of the grid.
        walls, pits: share of cells.
        slip: probability of a random direction.
        discount: of `mdp`.
        seed: of the map.
    """

    def __init__(
        self,
        side: int = 7,
        walls: float = 0.15,
        pits: float = 0.08,
        slip: float = 0.1,
        discount: float = 0.95,
        seed: int = 0,
    ) -> None:
        if side < 3:
            raise ValueError(f"side is at least 3, got {side}")
        self.side, self.slip, self.discount = side, slip, discount
        self.observation_space = gymnasium.spaces.MultiBinary(2 * side)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        draw = np.random.default_rng(seed)
        kinds = draw.permutation(side * side)
        n_walls, n_pits = round(walls * side * side), round(pits * side * side)
        self.goal = int(kinds[0])
        self.pits = frozenset(kinds[1 : 1 + n_pits].tolist())
        self.walls = frozenset(kinds[1 + n_pits : 1 + n_pits + n_walls].tolist())
        self.starts = [cell for cell in range(side * side) if cell not in {self.goal, *self.pits, *self.walls}]
        self.state = self.starts[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = int(self.np_random.choice(self.starts))
        return self.observation(self.state), {"state": self.state}

    def step(self, action: int) -> tuple[NDArray, float, bool, bool, dict[str, Any]]:
        if self.np_random.random() < self.slip:
            action = int(self.np_random.integers(len(MOVES)))
        self.state = self._after(self.state, action)
        return (
            self.observation(self.state),
            self._reward(self.state),
            self._ends(self.state),
            False,
            {"state": self.state},
        )

    def observation(self, state: int) -> NDArray:
        """What is seen of a state, float32, (2 side,)."""
        seen = np.zeros(2 * self.side, dtype=np.float32)
        seen[[state // self.side, self.side + state % self.side]] = 1
        return seen

    @cached_property
    def mdp(self) -> MDP:
        """The dynamics; states are cells, row by row."""
        n = self.side**2
        transitions, rewards = np.zeros((n, len(MOVES), n)), np.zeros((n, len(MOVES)))
        for state in self.starts:
            for action in range(len(MOVES)):
                for taken in range(len(MOVES)):
                    probability = self.slip / len(MOVES) + (1 - self.slip) * (taken == action)
                    after = self._after(state, taken)
                    transitions[state, action, after] += probability
                    rewards[state, action] += probability * self._reward(after)
        for state in {self.goal, *self.pits}:
            transitions[:, :, state] = 0  # nothing follows: what comes after an end is worth nothing
        start = np.zeros(n)
        start[self.starts] = 1 / len(self.starts)
        return MDP(torch.from_numpy(transitions), torch.from_numpy(rewards), torch.from_numpy(start), self.discount)

    def _after(self, state: int, action: int) -> int:
        row, column = state // self.side + MOVES[action][0], state % self.side + MOVES[action][1]
        cell = row * self.side + column
        return cell if 0 <= row < self.side and 0 <= column < self.side and cell not in self.walls else state

    def _reward(self, state: int) -> float:
        return 1.0 if state == self.goal else -1.0 if state in self.pits else 0.0

    def _ends(self, state: int) -> bool:
        return state == self.goal or state in self.pits
