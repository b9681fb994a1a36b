"""The area under the ROC curve against scikit-learn's."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from expkit.probes.auroc import auroc


@pytest.mark.parametrize("levels", [None, 5])
def test_it_is_scikit_learns(levels):
    torch.manual_seed(0)
    target = torch.randint(2, (300,))
    score = torch.randn(300) + target
    score = score if levels is None else (score * 2).round()
    assert float(auroc(score, target)) == pytest.approx(roc_auc_score(target, score), abs=1e-12)


def test_it_has_no_value_without_both_classes():
    assert auroc(torch.randn(5), torch.ones(5)).isnan()
