"""The 1,797 handwritten digits of 8 by 8 pixels that come with scikit-learn."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData
from expkit.data.splitting import hold_out


class Digits(TensorData):
    """Digits 0 to 9 (the test part of the UCI set "Optical Recognition of Handwritten Digits"), some held out.

    Columns: 'input' (n, 1, 8, 8), grey levels from 0 to 1 in steps of 1/16; 'target' (n,); 'row' (in the table).

    Args:
        test_fraction: share of the digits that is held out, at random and stratified.
        n_train: how many of the others are used, stratified; None for all. Those held out do not depend on it.
    """

    def __init__(
        self,
        test_fraction: float,
        spec: Spec,
        n_train: int | None = None,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.test_fraction = test_fraction
        self.n_rows = n_train

    def draw(self) -> dict[str, Split]:
        from sklearn.datasets import load_digits  # takes most of a second, so not before it is needed

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) / 16
        target = torch.from_numpy(labels).long()
        train, test = hold_out(target, self.test_fraction, self.n_rows, self.generator("split"))
        return {
            name: {"input": inputs[rows], "target": target[rows], "row": rows}
            for name, rows in {"train": train, "test": test}.items()
        }
