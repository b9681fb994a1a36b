"""What every model promises, for every configuration in conf/model and every kind of input that its class declares."""

import copy
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, stack_module_state, vmap

CONF = Path(__file__).parents[2] / "conf" / "model"
SPECS = {
    "vector": {"shape": [8]},
    "signal": {"shape": [2, 8]},
    "image": {"shape": [2, 8, 8]},
    "tokens": {"shape": [6], "vocab": 5},
}
NAMES = [
    *("two_layer_relu", "linear", "mlp", "autoencoder", "cnn", "resnet"),
    *("rnn", "lstm", "gru", "transformer_encoder", "gpt"),
    *("lenet_300_100", "residual_mlp", "two_layer", "random_features", "mobilenet", "stack_rnn", "tape_rnn"),
]


def config(name: str) -> DictConfig:
    return OmegaConf.load(CONF / f"{name}.yaml")


def n_outputs(name: str, kind: str) -> int:
    return {"two_layer_relu": 1, "autoencoder": torch.Size(SPECS[kind]["shape"]).numel()}.get(name, 3)


def build(name: str, kind: str, per_position: bool = False, **overrides: object) -> nn.Module:
    model = OmegaConf.merge(config(name), {"width": 8} if "width" in config(name) else {}, overrides)
    task = {"n_outputs": n_outputs(name, kind), "per_position": per_position}
    return instantiate(OmegaConf.create({"data": {"spec": SPECS[kind]}, "task": task, "model": model}).model)


def inputs(kind: str, n: int = 4) -> Tensor:
    spec = SPECS[kind]
    if kind == "tokens":
        return torch.randint(spec["vocab"], (n, *spec["shape"]))
    return torch.randn(n, *spec["shape"])


CASES = [(name, kind) for name in NAMES for kind in get_class(config(name)["_target_"]).accepts]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_declared_input_gives_outputs_and_gradients(name, kind):
    model = build(name, kind)
    output = model(inputs(kind))
    assert output.shape == (4, n_outputs(name, kind))
    output.square().sum().backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_outputs_of_an_example_do_not_depend_on_its_batch_in_evaluation(name, kind):
    model, x = build(name, kind).eval(), inputs(kind)
    torch.testing.assert_close(model(x), torch.cat([model(one) for one in x.split(1)]))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_stacked_runs_agree_with_a_loop(name, kind):
    models = [build(name, kind) for _ in range(3)]
    x = inputs(kind)
    parameters, buffers = copy.deepcopy(stack_module_state(models))

    def run(parameters, buffers):
        return functional_call(models[0], (parameters, buffers), (x,))

    outputs = vmap(run)(parameters, buffers)
    gradients = vmap(grad(lambda p, b: run(p, b).sin().sum()))(parameters, copy.deepcopy(buffers))
    for number, model in enumerate(models):
        output = model(x)
        output.sin().sum().backward()
        torch.testing.assert_close(outputs[number], output, atol=1e-5, rtol=1e-4)
        for key, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[key][number], buffer)
        for key, parameter in model.named_parameters():
            if parameter.requires_grad:
                torch.testing.assert_close(gradients[key][number], parameter.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_forward_mode_agrees_with_reverse_mode(name, kind):
    model, x = build(name, kind).double().eval(), inputs(kind)
    x = x if kind == "tokens" else x.double()
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    direction = {k: torch.randn_like(p) for k, p in parameters.items()}

    def total(parameters):
        return functional_call(model, parameters, (x,)).sin().sum()

    forward = jvp(total, (parameters,), (direction,))[1]
    reverse = sum((g * direction[k]).sum() for k, g in grad(total)(parameters).items())
    torch.testing.assert_close(forward, reverse)


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if "dropout" in config(case[0])])
def test_dropout_differs_between_stacked_runs(name, kind):
    model, x = build(name, kind, dropout=0.5).train(), inputs(kind)
    parameters, buffers = stack_module_state([model, model])

    def runs(randomness):
        return vmap(lambda p, b: functional_call(model, (p, b), (x,)), randomness=randomness)(parameters, buffers)

    first, second = runs("different")
    assert not torch.allclose(first, second)
    torch.testing.assert_close(*runs("same"))


PER_POSITION = [case for case in CASES if "per_position" in config(case[0])]


@pytest.mark.parametrize(("name", "kind"), PER_POSITION)
def test_an_output_per_position(name, kind):
    assert build(name, kind, per_position=True)(inputs(kind)).shape == (4, SPECS[kind]["shape"][-1], 3)


@pytest.mark.parametrize(("name", "kind"), [case for case in PER_POSITION if case[0] != "transformer_encoder"])
def test_earlier_outputs_know_nothing_of_later_positions(name, kind):
    deep = {"depth": 2} if "depth" in config(name) else {}
    model, x = build(name, kind, per_position=True, **deep).eval(), inputs(kind)
    axis = 2 if kind == "image" else -1
    changed = x.clone()
    late = changed.narrow(axis, 4, 1)
    late.copy_((late + 1) % 5)
    before, after = model(x), model(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
