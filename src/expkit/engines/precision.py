"""A task and its data in another floating-point type."""

from __future__ import annotations

import torch

from expkit.data.base import TensorData
from expkit.tasks.base import Task


def convert(task: Task, data: TensorData, dtype: torch.dtype) -> None:
    """Parameters, buffers and columns of floating-point numbers become of `dtype`, float32 or float64; those of other
    numbers stay."""
    task.double() if dtype == torch.float64 else task.float()  # unlike `to`, which makes complex parameters real
    data.splits = {
        name: {column: v.to(dtype) if v.is_floating_point() else v for column, v in split.items()}
        for name, split in data.splits.items()
    }
