"""Clipping gradients by their norm, each run by its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def clip_by_norm(grads: Mapping[str, Tensor], max_norm: Tensor) -> dict[str, Tensor]:
    """Scales the gradients of each run by min(1, max_norm / (norm + 1e-6)), as `torch.nn.utils.clip_grad_norm_` does.

    The norm is the Euclidean one over all parameters of the run.

    Args:
        grads: of each parameter, (R, ...).
        max_norm: (R,), inf for a run that does not clip; its gradients stay as they are, whatever their norm.

    Returns:
        The clipped gradients, new tensors of the same shapes.
    """
    norms = [torch.linalg.vector_norm(grad.reshape(len(grad), -1), dim=1) for grad in grads.values()]
    norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    scale = torch.where(max_norm.isinf(), 1.0, (max_norm.to(norm) / (norm + 1e-6)).clamp(max=1.0))
    return {name: grad * scale.to(grad).view(-1, *[1] * (grad.ndim - 1)) for name, grad in grads.items()}
