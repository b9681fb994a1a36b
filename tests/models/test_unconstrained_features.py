"""The unconstrained features model against a product of matrices."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.unconstrained_features import UnconstrainedFeatures


@pytest.mark.parametrize("depth", [0, 2])
def test_it_is_the_product_of_weights_and_features(depth):
    model = UnconstrainedFeatures([1], vocab=12, n_outputs=3, width=5, depth=depth)
    product = model.features.T
    for layer in (*model.hidden, model.readout):
        product = layer.weight @ product
    torch.testing.assert_close(model(torch.arange(12).unsqueeze(1)), product.T)
    assert sum(p.numel() for p in model.parameters()) == 12 * 5 + depth * 25 + 15


def test_entries_have_the_given_scale():
    model = UnconstrainedFeatures([1], vocab=400, n_outputs=100, width=100, depth=1, init_scale=0.3)
    for parameter in model.parameters():
        assert float(parameter.std()) == pytest.approx(0.3, rel=0.05)


def test_stacked_models_agree_with_a_loop():
    models = [UnconstrainedFeatures([1], vocab=12, n_outputs=3, width=5, depth=1) for _ in range(3)]
    x = torch.randint(12, (7, 1))
    parameters, _ = stack_module_state(models)
    gradients = vmap(grad(lambda p: functional_call(models[0], p, (x,)).sin().sum()))(parameters)
    for number, model in enumerate(models):
        model(x).sin().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name][number], parameter.grad)
