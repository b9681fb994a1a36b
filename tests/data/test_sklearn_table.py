import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

CLASSES = {"iris": 3, "wine": 3, "breast_cancer": 2}


def table(name):
    loader = getattr(datasets, f"load_{name}")
    return loader(return_X_y=True, **({"scaled": False} if name == "diabetes" else {}))


@pytest.mark.parametrize("name", [*CLASSES, "diabetes"])
def test_rows_are_standardized_by_the_training_rows(build, name):
    data = build(name, n_train=50)
    features, target = table(name)
    scaler = StandardScaler().fit(features[data.splits["train"]["row"]])
    for split in data.splits.values():
        np.testing.assert_allclose(split["input"], scaler.transform(features[split["row"]]), atol=1e-4)
        if name != "diabetes":
            assert split["target"].tolist() == target[split["row"]].tolist()


def test_the_targets_of_diabetes_are_standardized_by_the_training_rows(build):
    splits = build("diabetes").splits
    target = table("diabetes")[1].reshape(-1, 1)
    scaler = StandardScaler().fit(target[splits["train"]["row"]])
    np.testing.assert_allclose(splits["test"]["target"], scaler.transform(target[splits["test"]["row"]]), atol=1e-5)
    assert splits["train"]["target"].shape == (354, 1)
    assert splits["train"]["target"].dtype == torch.float32


@pytest.mark.parametrize("name", [*CLASSES, "diabetes"])
def test_all_rows_are_used_once(build, name):
    splits = build(name, test_fraction=0.3).splits
    rows = torch.cat([splits["train"]["row"], splits["test"]["row"]])
    assert sorted(rows.tolist()) == list(range(len(table(name)[0])))


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_stratified(build, name):
    shares = np.bincount(table(name)[1]) / len(table(name)[1])
    for split in build(name, n_train=60).splits.values():
        n = len(split["target"])
        assert np.abs(np.bincount(split["target"]) - n * shares).max() <= 1.5


@pytest.mark.parametrize(("name", "at_least"), [("iris", 0.9), ("wine", 0.93), ("breast_cancer", 0.93)])
def test_inputs_and_targets_belong_together(build, name, at_least):
    train, test = build(name).splits.values()
    model = LogisticRegression(max_iter=200).fit(train["input"], train["target"])
    assert model.score(test["input"], test["target"]) >= at_least


def test_a_feature_that_is_constant_in_training_stays_finite(build):
    splits = build("wine", n_train=1).splits
    assert all(bool(split["input"].isfinite().all()) for split in splits.values())


@pytest.mark.slow
def test_scikit_learn_is_not_imported_before_it_is_needed():
    program = "import sys, expkit.data.sklearn_table, expkit.data.digits; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
