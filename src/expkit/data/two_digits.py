"""Two of scikit-learn's handwritten digits as a regression on -1 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class TwoDigits(TensorData):
    """Images of two digits, 8 by 8 pixels; the target is -1 for the first and 1 for the second.

    The small regression problem on real data of papers on tangent kernels, such as arXiv 2205.11787. There are about
    180 images of each digit. All that are not used for training are for testing.

    Columns: 'input' (n, 1, 8, 8), grey levels from 0 to 1; 'target' (n, 1); 'row' (in scikit-learn's table).

    Args:
        digits: the two, different.
        n_train: training examples, drawn at random from both; the others are the test split.

    Raises:
        ValueError: not two different digits, or no example would be left for testing.
    """

    def __init__(
        self,
        digits: Sequence[int],
        n_train: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if len(set(digits)) != 2 or not set(digits) <= set(range(10)):
            raise ValueError(f"digits are two different ones from 0 to 9, got {list(digits)}")
        self.digits = list(digits)
        self.n_rows = n_train

    def draw(self) -> dict[str, Split]:
        from sklearn.datasets import load_digits  # takes most of a second, so not before it is needed

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) / 16
        first, second = (torch.from_numpy(labels == digit) for digit in self.digits)
        rows = torch.nonzero(first | second).squeeze(1)
        if not 1 <= self.n_rows < len(rows):
            raise ValueError(f"n_train is from 1 to {len(rows) - 1} for these digits, got {self.n_rows}")
        rows = rows[torch.randperm(len(rows), generator=self.generator("split"))]
        return {
            name: {"input": inputs[own], "target": 2.0 * second[own].float().unsqueeze(1) - 1, "row": own}
            for name, own in {"train": rows[: self.n_rows], "test": rows[self.n_rows :]}.items()
        }
