"""Which training examples a probe looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData


def first_examples(data: TensorData, n: int | None) -> Split:
    """The first n training examples, or all of them where n is None or there are fewer.

    They are drawn independently in most data sets, so the first ones are as good as any, and the same in every run.

    Raises:
        ValueError: n is below 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"the number of examples is at least 1, got {n}")
    return {column: values[:n] for column, values in data.splits["train"].items()}
