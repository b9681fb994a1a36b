import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from expkit.probes.auc import AUC, grouped_auc


def draw(n=400, ties=False):
    random = np.random.default_rng(0)
    scores = random.integers(5, size=n).astype(float) if ties else random.normal(size=n)
    positive = random.random(n) < 1 / (1 + np.exp(-scores + 1))
    return scores, positive, random.integers(40, size=n)


@pytest.mark.parametrize("ties", [False, True])
def test_it_is_sklearns_in_one_group_and_in_many(ties):
    scores, positive, groups = draw(ties=ties)
    together = grouped_auc(scores, positive, np.zeros(400, dtype=np.int64))
    assert together == pytest.approx(roc_auc_score(positive, scores))
    areas, sizes = [], []
    for group in np.unique(groups):
        own = groups == group
        if 0 < positive[own].sum() < own.sum():
            areas.append(roc_auc_score(positive[own], scores[own]))
            sizes.append(own.sum())
    assert grouped_auc(scores, positive, groups) == pytest.approx(np.average(areas, weights=sizes))


def test_groups_of_one_kind_do_not_count():
    groups = np.array([0, 0, 1, 1])
    positive = np.array([True, True, True, False])
    assert grouped_auc(np.array([0.0, 1, 2, 1]), positive, groups) == 1
    assert np.isnan(grouped_auc(np.ones(4), np.ones(4, dtype=bool), groups))


def test_the_probe_measures_a_tasks_logits_whatever_the_chunks():
    scores, positive, groups = draw()
    split = {"input": torch.tensor(scores).unsqueeze(1), "target": torch.tensor(positive).long()}
    split |= {"user": torch.tensor(groups), "known": -torch.tensor(scores)}

    class Data:
        splits = {"test": split}  # noqa: RUF012

    class Task(nn.Module):
        def output(self, batch):
            return 3 * batch["input"]

    measured = AUC(group="user", reference="known", chunk=7).measure(Task(), Data())
    assert measured["auc/test"] == pytest.approx(roc_auc_score(positive, scores))
    assert measured["auc/test_reference"] == pytest.approx(1 - roc_auc_score(positive, scores))
    assert measured["gauc/test"] == pytest.approx(grouped_auc(scores, positive, groups))
