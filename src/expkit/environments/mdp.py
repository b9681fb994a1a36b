"""Finite Markov decision processes, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class MDP:
    """States and actions with known dynamics; all in double precision.

    Args:
        transitions: P(s' | s, a), (states, actions, states); rows of final states are zero.
        rewards: expected reward of an action, (states, actions).
        start: distribution of the first state, (states,).
        discount: below 1.
    """

    transitions: Tensor
    rewards: Tensor
    start: Tensor
    discount: float

    def optimal_values(self, tolerance: float = 1e-12) -> Tensor:
        """Q*(s, a), (states, actions), by value iteration until no value changes by more than the tolerance."""
        q = torch.zeros_like(self.rewards)
        while True:
            updated = self.rewards + self.discount * self.transitions @ q.max(dim=1).values
            if (updated - q).abs().max() <= tolerance:
                return updated
            q = updated

    def policy_values(self, actions: Tensor) -> Tensor:
        """V(s) of the policy that takes action `actions[s]`, (states,): (I - discount P) V = r, solved exactly."""
        states = torch.arange(len(actions))
        moves, rewards = self.transitions[states, actions], self.rewards[states, actions]
        return torch.linalg.solve(torch.eye(len(actions), dtype=moves.dtype) - self.discount * moves, rewards)

    def expected_return(self, actions: Tensor) -> float:
        """Discounted return of a policy, on average over first states."""
        return float(self.start @ self.policy_values(actions))

    @cached_property
    def optimal_return(self) -> float:
        """That of an optimal policy."""
        return self.expected_return(self.optimal_values().argmax(1))
