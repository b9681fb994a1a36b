"""Columns of the data end up in the record as they are."""

import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.errors import UserError
from expkit.probes.data_columns import DataColumns
from expkit.tasks.supervised import Classification


class Given(TensorData):
    def draw(self):
        split = {"input": torch.zeros(3, 1), "target": torch.tensor([0, 1, 0]), "score": torch.tensor([0.5, 2.0, 1.0])}
        return {"train": split, "test": {"input": torch.zeros(1, 1), "target": torch.tensor([1])}}


@pytest.fixture
def data():
    data = Given(spec={})
    data.setup()
    return data


def test_columns_are_kept_in_the_order_of_the_split(data):
    kept = DataColumns(["score", "target"]).conclude(Classification(nn.Linear(1, 2), 2), data)
    assert {name: values.tolist() for name, values in kept.items()} == {
        "data/train_score": [0.5, 2.0, 1.0],
        "data/train_target": [0, 1, 0],
    }


def test_a_column_that_is_not_there_is_an_error_or_passed_over(data):
    task = Classification(nn.Linear(1, 2), 2)
    with pytest.raises(UserError, match="no column 'scores'"):
        DataColumns(["scores"]).conclude(task, data)
    assert list(DataColumns(["scores", "score"], optional=True).conclude(task, data)) == ["data/train_score"]
    with pytest.raises(UserError, match="no split 'val'"):
        DataColumns(["score"], split="val").conclude(task, data)
