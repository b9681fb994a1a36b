"""Whether code runs inside a transform of torch.func (vmap, grad, jvp, ...)."""

from __future__ import annotations

import torch


def inside_transform() -> bool:
    """True while torch.func.vmap, grad, jvp or another of its transforms is active.

    Torch's fused kernels for recurrent layers and attention lack batching rules or derivatives of higher order; models
    that call one take a route in elementary operations, with the same result, while this is true.
    """
    return torch._C._are_functorch_transforms_active()
