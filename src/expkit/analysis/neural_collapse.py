"""Neural collapse (arXiv 2008.08186): how near features and classifier are to one vector per class, rigidly placed."""

from __future__ import annotations

import torch
from torch import Tensor

RANK = 1e-5  # singular values of the class means below this share of the largest one are rounding of float32 features


def neural_collapse(features: Tensor, labels: Tensor, weights: Tensor) -> dict[str, Tensor]:
    r"""The distances from neural collapse, each zero where it is complete.

    With class means \mu_k, their centred version \bar\mu_k = \mu_k - \mu (\mu is the mean over examples), M and \bar M
    the (d, K) matrices of both, and d(A, F) = || A / |A| - F / |F| || in Frobenius norms:

    ==================  ============================================================================================
    `nc1`               tr(\Sigma_W \Sigma_B^+) / K: variability within classes against that between their means
    `nc2_etf`           d(W W^T, E), E = I - 1 1^T / K the Gram matrix of a simplex equiangular tight frame
    `nc2_etf_means`     d(\bar M^T \bar M, E)
    `nc2_frame`         d(W W^T, I): an orthogonal frame, to which networks without biases collapse under squared error
    `nc2_frame_means`   d(M^T M, I)
    `nc3_etf`           d(W \bar M, E)
    `nc3_frame`         d(W M, I)
    `nc3_duality`       d(W, \bar M^T): classifier and centred means are the same up to a factor
    ==================  ============================================================================================

    \Sigma_W is the covariance of features around their class's mean, averaged over examples, and \Sigma_B that of
    class means around \mu, averaged over classes. Definitions: arXiv 2008.08186 and 2105.02375 (`nc1`, `nc3_duality`),
    arXiv 2301.00437 (the others).

    Args:
        features: (n, d), of a layer.
        labels: (n,), from 0 to K - 1; each class has at least one example.
        weights: (K, d), of the linear map from these features to the logits.

    Returns:
        Scalars in float64.

    Raises:
        ValueError: a class has no example.
    """
    features, weights = features.double(), weights.double()
    n_classes = len(weights)
    means = class_means(features, labels, n_classes)
    centred = means - features.mean(0)
    etf, frame = simplex_etf(n_classes).to(features), torch.eye(n_classes).to(features)
    return {
        "nc1": variability(features, labels, means),
        "nc2_etf": distance(weights @ weights.T, etf),
        "nc2_etf_means": distance(centred @ centred.T, etf),
        "nc2_frame": distance(weights @ weights.T, frame),
        "nc2_frame_means": distance(means @ means.T, frame),
        "nc3_etf": distance(weights @ centred.T, etf),
        "nc3_frame": distance(weights @ means.T, frame),
        "nc3_duality": distance(weights, centred),
    }


def class_means(features: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """The mean feature of each class, (n, d) -> (n_classes, d).

    Raises:
        ValueError: a class has no example.
    """
    counts = torch.bincount(labels, minlength=n_classes)
    if len(counts) > n_classes or not counts.all():
        raise ValueError(f"each of {n_classes} classes needs an example; the numbers of examples are {counts.tolist()}")
    return features.new_zeros(n_classes, features.shape[1]).index_add(0, labels, features) / counts.unsqueeze(1)


def variability(features: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    r"""NC1, tr(\Sigma_W \Sigma_B^+) / K, without making a (d, d) matrix.

    With \Sigma_B = \bar M \bar M^T / K the trace is K / n \sum_i |\bar M^+ (h_i - \mu_{y_i})|^2.
    """
    centred = (means - features.mean(0)).T
    if not centred.isfinite().all():  # of a training that has diverged
        return centred.new_tensor(torch.nan)
    inverse = torch.linalg.pinv(centred, rtol=RANK)
    return ((features - means[labels]) @ inverse.T).square().sum(1).mean()


def simplex_etf(n_classes: int) -> Tensor:
    """I - 1 1^T / K, the Gram matrix of a simplex equiangular tight frame up to a factor, (K, K)."""
    return torch.eye(n_classes) - 1 / n_classes


def distance(matrix: Tensor, frame: Tensor) -> Tensor:
    """The Frobenius distance of two matrices, each divided by its Frobenius norm; from 0 to 2."""
    return (matrix / matrix.norm() - frame / frame.norm()).norm()
