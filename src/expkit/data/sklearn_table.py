"""The small tables that come with scikit-learn: iris, wine, breast cancer, diabetes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.splitting import hold_out


class SklearnTable(TensorData):
    """A table with a random, for classes stratified, share of its rows held out for testing.

    Features are standardized: the training rows have mean 0 and standard deviation 1 in each, and the test rows are
    transformed alike. So are the targets of `diabetes` (progression of the disease after a year); its mean squared
    errors are hence in units of the variance of the training targets.

    Columns: 'input' (n, features), 'target' (n,) for classes, (n, 1) for diabetes, 'row' (the row in the table).

    Args:
        table: 'iris' (150 rows, 4 features, 3 classes), 'wine' (178, 13, 3), 'breast_cancer' (569, 30, 2) or
            'diabetes' (442, 10, regression).
        test_fraction: share of the rows that is held out.
        n_train: how many of the other rows are used; None for all. The rows held out do not depend on it.
    """

    def __init__(
        self,
        table: Literal["iris", "wine", "breast_cancer", "diabetes"],
        test_fraction: float,
        spec: Spec,
        n_train: int | None = None,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.table = table
        self.test_fraction = test_fraction
        self.n_rows = n_train

    def draw(self) -> dict[str, Split]:
        inputs, target = _load(self.table)
        train, test = hold_out(target, self.test_fraction, self.n_rows, self.generator("split"))
        inputs = _standardize(inputs, train)
        if target.is_floating_point():
            target = _standardize(target, train)
        return {
            name: {"input": inputs[rows], "target": target[rows], "row": rows}
            for name, rows in {"train": train, "test": test}.items()
        }


def _load(table: str) -> tuple[Tensor, Tensor]:
    from sklearn import datasets  # takes most of a second, so not before it is needed

    if table == "diabetes":
        features, target = datasets.load_diabetes(return_X_y=True, scaled=False)
        return torch.from_numpy(features), torch.from_numpy(target).unsqueeze(1)
    features, target = getattr(datasets, f"load_{table}")(return_X_y=True)
    return torch.from_numpy(features), torch.from_numpy(target).long()


def _standardize(values: Tensor, train: Tensor) -> Tensor:
    std, mean = torch.std_mean(values[train], dim=0, correction=0)
    return ((values - mean) / torch.where(std > 0, std, 1.0)).float()
