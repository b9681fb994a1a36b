"""The classical Hopfield network of binary units (Hopfield 1982), the baseline of its modern successors."""

from __future__ import annotations

from torch import Tensor


def classical_retrieve(state: Tensor, patterns: Tensor, max_updates: int = 50) -> Tensor:
    r"""s <- sign(W s) with Hebb's weights W = (1 / d) sum_i x_i x_i^T without the diagonal, all units at once.

    It stops where nothing changes, or after `max_updates`. A unit whose field is 0 keeps its value. Random patterns
    are stored without an error up to about d / (2 ln d), and with few errors up to about 0.138 d.

    Args:
        state: (states, d), +-1.
        patterns: (patterns, d), +-1.
        max_updates: sweeps over all units at most.

    Returns:
        (states, d), +-1.
    """
    for _ in range(max_updates):
        # W s without making W: the diagonal of the sum is the number of patterns.
        field = (state @ patterns.T) @ patterns - len(patterns) * state
        new = field.sign().where(field != 0, state)
        if new.equal(state):
            break
        state = new
    return state
