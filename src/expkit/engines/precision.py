"""Tasks and data in another floating-point type: float32 or float64. What is no such number stays as it is."""

from __future__ import annotations

import torch

from expkit.data.base import TensorData
from expkit.tasks.base import Task


def convert_task(task: Task, dtype: torch.dtype) -> None:
    """Parameters and buffers become of `dtype`."""
    task.double() if dtype == torch.float64 else task.float()  # unlike `to`, which makes complex parameters real


def convert_data(data: TensorData, dtype: torch.dtype) -> None:
    """The columns of all splits become of `dtype`."""
    data.splits = {
        name: {column: v.to(dtype) if v.is_floating_point() else v for column, v in split.items()}
        for name, split in data.splits.items()
    }
