import pytest
import torch
from torch import nn

from expkit.models.dnn_ctr import DnnCtr
from expkit.tasks.click_through import ClickThrough


def batch():
    item, past = torch.randint(6, (8,)), torch.randint(6, (8, 3))
    columns = {"input": torch.stack([item, item % 2], -1), "history": torch.stack([past, past % 2], -1)}
    counts = torch.tensor([3.0, 7, 2, 5, 9, 4]), torch.tensor([14.0, 16])
    for name in ("input", "history"):
        columns[f"{name}_count"] = torch.stack([counts[f][columns[name][..., f]] for f in range(2)], -1)
    return columns | {"target": torch.randint(2, (8,))}, torch.cat(counts)


def test_the_penalty_counts_each_value_of_the_batch_once_over_its_frequency():
    model, (columns, counts) = DnnCtr([2], 6, 2), batch()
    present = set(columns["input"][:, 0].tolist()) | set(columns["history"][..., 0].flatten().tolist())
    present |= {6 + c for c in columns["input"][:, 1].tolist() + columns["history"][..., 1].flatten().tolist()}
    expected = sum(model.embedding.weight[j].square().sum() / counts[j] for j in present)
    metrics = ClickThrough(model, penalty=0.6).objective(columns)
    torch.testing.assert_close(metrics["loss"] - metrics["nll"], 0.3 * expected)


def test_vectors_that_a_batch_does_not_use_are_not_touched():
    model, (columns, _) = DnnCtr([2], 9, 2), batch()
    nn.init.zeros_(model.readout.weight)
    ClickThrough(model, penalty=1.0).objective(columns)["loss"].backward()
    gradient = model.embedding.weight.grad
    assert gradient[6:9].abs().sum() == 0
    used = int(columns["input"][0, 0])
    count = columns["input_count"][0, 0]
    torch.testing.assert_close(gradient[used], model.embedding.weight[used] / count)


def test_without_a_penalty_it_is_the_logistic_loss_of_sklearn():
    from sklearn.metrics import log_loss

    model, (columns, _) = DnnCtr([2], 6, 2), batch()
    metrics = ClickThrough(model).objective(columns)
    probability = torch.sigmoid(model(columns["input"], columns["history"])).detach().squeeze(1)
    assert float(metrics["loss"]) == pytest.approx(log_loss(columns["target"], probability, labels=[0, 1]), rel=1e-5)
