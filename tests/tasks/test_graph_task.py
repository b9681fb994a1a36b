import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from torch import nn
from torch.nn import functional as F

from expkit.tasks.graph import NodeClassification


class Fixed(nn.Module):
    columns = ("input",)

    def forward(self, x):
        return x


def batch():
    logits, target = torch.randn(4, 9, 3), torch.randint(3, (4, 9))
    target[torch.rand(4, 9) < 0.3] = -100
    return {"input": logits, "target": target}


def test_metrics_are_those_of_sklearn_on_nodes_that_count():
    one = batch()
    metrics = NodeClassification(Fixed(), 3).objective(one)
    kept = one["target"] >= 0
    truth, predicted = one["target"][kept], one["input"][kept].argmax(-1)
    assert float(metrics["acc"]) == pytest.approx(accuracy_score(truth, predicted))
    assert float(metrics["balanced_acc"]) == pytest.approx(balanced_accuracy_score(truth, predicted))
    torch.testing.assert_close(metrics["loss"], F.cross_entropy(one["input"][kept], truth))


def test_a_class_without_nodes_is_left_out_of_the_mean():
    one = batch()
    one["target"][one["target"] == 2] = -100
    metrics = NodeClassification(Fixed(), 3).objective(one)
    kept = one["target"] >= 0
    recalls = [(one["input"][kept & (one["target"] == c)].argmax(-1) == c).float().mean() for c in range(2)]
    assert float(metrics["balanced_acc"]) == pytest.approx(float(sum(recalls)) / 2)


def test_balanced_loss_is_torchs_with_the_classes_weights():
    one = batch()
    loss = NodeClassification(Fixed(), 3, class_weights="balanced").objective(one)["loss"]
    kept = one["target"] >= 0
    share = one["target"][kept].bincount(minlength=3) / kept.sum()
    torch.testing.assert_close(loss, F.cross_entropy(one["input"][kept], one["target"][kept], weight=1 - share))


def test_it_predicts_for_every_node():
    with pytest.raises(ValueError, match="every node"):
        NodeClassification(Fixed(), 3, per_position=False)
