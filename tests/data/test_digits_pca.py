"""Principal components of the digits against scikit-learn's."""

import numpy as np
import torch
from sklearn.decomposition import PCA


def test_components_are_scikit_learns_up_to_one_scale_and_signs(build):
    pca, digits = build("digits_pca", components=5), build("digits")
    pixels = digits.splits["train"]["input"].flatten(1).numpy()
    own = PCA(5, svd_solver="full").fit(pixels)
    for name in ("train", "test"):
        theirs = own.transform(digits.splits[name]["input"].flatten(1).numpy())
        theirs = theirs / own.transform(pixels).var(0).mean() ** 0.5
        np.testing.assert_allclose(np.abs(pca.splits[name]["input"].numpy()), np.abs(theirs), atol=1e-4)
        assert pca.splits[name]["target"].equal(digits.splits[name]["target"])


def test_the_mean_variance_is_one_and_falls_from_one_component_to_the_next(build):
    inputs = build("digits_pca").splits["train"]["input"].double()
    variance = inputs.var(0, correction=0)
    torch.testing.assert_close(variance.mean(), torch.tensor(1.0).double(), atol=1e-5, rtol=0)
    assert (variance.diff() <= 0).all()
    torch.testing.assert_close(torch.corrcoef(inputs.T), torch.eye(8).double(), atol=1e-4, rtol=0)
