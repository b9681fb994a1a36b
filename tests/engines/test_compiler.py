"""What torch.compile makes of forward-mode derivatives, against the same derivatives uncompiled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from expkit.engines import compiler
from expkit.models.two_layer import TwoLayer
from expkit.transforms.taylor_expansion import TaylorExpansion

needs_compiler = pytest.mark.skipif(not compiler.can_compile(), reason="there is no C++ compiler")


@needs_compiler
@pytest.mark.parametrize("own_data", [False, True], ids=["shared data", "data of their own"])
def test_steps_of_expanded_models_may_be_compiled(own_data: bool) -> None:
    """Each case in turn was an error of torch's tracing, and a crash of the compiled kernels."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    runs, model = 2, TaylorExpansion(TwoLayer([10], 1, width=256, scaling="ntk"), order=2)
    tensors = {
        name: value.detach() + 0.1 * torch.randn(runs, *value.shape) * ("initial" not in name)
        for name, value in model.named_parameters()
    }
    inputs = torch.randn(runs, 32, 10) if own_data else torch.randn(32, 10)
    targets = torch.randn(32, 1)

    def loss(tensors: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return (functional_call(model, tensors, (inputs,)) - targets).square().mean()

    step = vmap(grad(loss), in_dims=(0, 0 if own_data else None))
    torch.testing.assert_close(compiler.compiled(step)(tensors, inputs), step(tensors, inputs))
