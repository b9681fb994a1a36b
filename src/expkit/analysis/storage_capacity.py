"""How many patterns a memory holds: the largest number that it still retrieves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def storage_capacity(counts: Sequence[int], rates: Sequence[float], threshold: float = 0.95) -> float:
    """The number of patterns at which the share that is retrieved first falls below a threshold.

    Between two numbers that were tried, the share is a straight line over the logarithm of the number.

    Args:
        counts: numbers of patterns, ascending.
        rates: the share retrieved at each.
        threshold: between 0 and 1.

    Returns:
        Infinite where it never falls below, and 0 where it is below from the first number on.
    """
    points = list(zip(counts, rates, strict=True))
    if points[0][1] < threshold:
        return 0.0
    for (few, high), (many, low) in pairwise(points):
        if low < threshold:
            share = (high - threshold) / (high - low)
            return math.exp(math.log(few) + share * (math.log(many) - math.log(few)))
    return math.inf
