"""Every batched optimizer against R optimizers of torch, built from the library's own YAML files with other numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from expkit.build import build
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.optimizers import batched_optimizer
from expkit.errors import ConfigError

CONF = Path(__file__).parents[3] / "conf"
R, STEPS = 5, 50
SHAPES = {
    "layers.0.weight": (6, 4),
    "layers.0.bias": (6,),
    "conv.weight": (3, 2, 2, 2),
    "gain": (),
    "head.weight": (2, 6),
}

LR = (1e-3, 1e-1)
DECAY = (0.0, 1e-4, 0.1)  # a tuple of three or more is drawn from; of two it is a range, on a logarithmic scale
BETAS = [(0.5, 0.95), (0.8, 0.9999)]
ADAM = {"lr": LR, "betas": BETAS, "eps": (1e-8, 1e-2), "weight_decay": DECAY}
NUMBERS = {
    "nadamw": {**ADAM, "momentum_decay": (1e-4, 1e-2)},
    "normuon": {
        "lr": LR,
        "weight_decay": DECAY,
        "momentum": (0.0, 0.5, 0.95),
        "beta2": (0.0, 0.5, 0.95),
        "adamw_lr": LR,
        "adamw_betas": BETAS,
        "adamw_eps": (1e-8, 1e-3),
        "adamw_weight_decay": DECAY,
    },
    "shampoo": ADAM,
    "sgd": {"lr": LR, "weight_decay": DECAY},
    "momentum": {"lr": LR, "momentum": (0.0, 0.5, 0.95), "dampening": (0.0, 0.3, 0.9), "weight_decay": DECAY},
    "nesterov": {"lr": LR, "momentum": (0.3, 0.98), "weight_decay": DECAY},
    "adam": ADAM,
    "adamw": ADAM,
    "rmsprop": {
        "lr": LR,
        "alpha": (0.8, 0.99),
        "eps": (1e-8, 1e-3),
        "momentum": (0.0, 0.5, 0.9),
        "weight_decay": DECAY,
    },
    "adagrad": {
        "lr": LR,
        "lr_decay": (0.0, 0.01, 0.5),
        "initial_accumulator_value": (0.0, 0.1, 1.0),
        "eps": (1e-10, 1e-3),
        "weight_decay": DECAY,
    },
    "adadelta": {"lr": (0.1, 1.0), "rho": (0.5, 0.99), "eps": (1e-6, 1e-3), "weight_decay": DECAY},
    "adamax": ADAM,
    "nadam": {**ADAM, "momentum_decay": (1e-4, 1e-2)},
    "radam": ADAM,
    "asgd": {"lr": LR, "lambd": (1e-4, 1e-1), "alpha": (0.5, 1.0), "t0": (1.0, 20.0, 1e6), "weight_decay": DECAY},
    "rprop": {"lr": LR, "etas": [(0.3, 0.7), (1.05, 1.4)], "step_sizes": [(1e-6, 1e-3), (0.1, 50.0)]},
    "lion": {"lr": (1e-4, 1e-2), "betas": BETAS, "weight_decay": DECAY},
    "adafactor": {"lr": LR, "beta2_decay": (-0.9, -0.8, -0.5), "d": (1.0, 2.0), "weight_decay": DECAY},
    "muon": {
        "lr": LR,
        "weight_decay": DECAY,
        "momentum": (0.0, 0.5, 0.95),
        "adamw_lr": LR,
        "adamw_betas": BETAS,
        "adamw_eps": (1e-8, 1e-3),
        "adamw_weight_decay": DECAY,
    },
}
# Muon's matrix products in bfloat16 are for a test of their own.
CASES = [
    *((name, {"ns_steps": 0} if "muon" in name else {}) for name in NUMBERS),
    ("sgd", {"maximize": True}),
    ("shampoo", {"largest_side": 5}),
    ("adam", {"amsgrad": True}),
    ("adam", {"decoupled_weight_decay": True}),
    ("adamw", {"amsgrad": True, "maximize": True}),
    ("rmsprop", {"centered": True}),
    ("nadam", {"decoupled_weight_decay": True}),
    ("radam", {"decoupled_weight_decay": True}),
    ("muon", {"ns_steps": 0, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "kernels": False, "exclude": []}),
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def in_precision() -> Iterator:
    """Sets torch's default precision, in which its ASGD and NAdam keep their scalars."""
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


def draw(source, numbers):
    """One value of a range or of a choice; of a list of them, one each."""
    if isinstance(numbers, list):
        return [draw(source, part) for part in numbers]
    if len(numbers) == 2:
        low, high = numbers
        return low * (high / low) ** source.random()
    return source.choice(numbers)


def node(name, **changes):
    return OmegaConf.to_container(OmegaConf.merge(OmegaConf.load(CONF / "optimizer" / f"{name}.yaml"), changes))


def mixed_nodes(name, flags, seed=0):
    source = random.Random(f"{name} {seed}")
    return [
        node(name, **{key: draw(source, numbers) for key, numbers in NUMBERS[name].items()}, **flags) for _ in range(R)
    ]


def normal(seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn((R, *shape), generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()}


def start(dtype):
    return {name: value.to(dtype) for name, value in normal(1).items()}


def gradients(params, step):
    """Of noisy quadratics: they depend on the parameters and never become small."""
    noise = normal(100 + step)
    return {name: (0.5 * value + noise[name]).to(value) for name, value in params.items()}


def factors():
    """A schedule of its own for every run."""
    time = torch.arange(STEPS, dtype=torch.float64).unsqueeze(1)
    return 0.55 + 0.45 * torch.cos(time * torch.linspace(0.0, 0.2, R, dtype=torch.float64) + 0.3)


def train_apart(nodes, dtype, steps=STEPS):
    """Each run by an optimizer of its own; parameters after every step."""
    stacked = start(dtype)
    models = [{name: nn.Parameter(value[run].clone()) for name, value in stacked.items()} for run in range(R)]
    optimizers = [build(own, "optimizer", params=list(model.items())) for own, model in zip(nodes, models, strict=True)]
    bases = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    path = []
    for step in range(steps):
        grads = gradients({name: torch.stack([model[name].detach() for model in models]) for name in SHAPES}, step)
        for run, (optimizer, model) in enumerate(zip(optimizers, models, strict=True)):
            for group, base in zip(optimizer.param_groups, bases[run], strict=True):
                group["lr"] = base * float(factors()[step, run])
            for name, parameter in model.items():
                parameter.grad = grads[name][run].clone()
            optimizer.step()
        path.append({name: torch.stack([model[name].detach() for model in models]) for name in SHAPES})
    return path, optimizers, models


def train_together(nodes, dtype, steps=STEPS, compiled=False):
    batched = batched_optimizer(nodes)
    update = torch.compile(batched.update, fullgraph=True) if compiled else batched.update
    params = start(dtype)
    state = batched.init(params)
    path = []
    for step in range(steps):
        params, state = update(params, gradients(params, step), state, factors()[step], batched.hyper)
        path.append(params)
    return path, state


def largest_difference(found, expected):
    """Relative to the largest entry of a parameter, over all steps."""
    return max(
        float((a[name] - b[name]).abs().max() / b[name].abs().max())
        for a, b in zip(found, expected, strict=True)
        for name in SHAPES
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-6)], ids=["f64", "f32"])
@pytest.mark.parametrize(("name", "flags"), CASES, ids=[f"{n} {' '.join(f)}".strip() for n, f in CASES])
def test_is_torchs_optimizer_for_every_run(name, flags, dtype, tolerance, in_precision):
    in_precision(dtype)
    nodes = mixed_nodes(name, flags)
    expected, _, _ = train_apart(nodes, dtype)
    found, _ = train_together(nodes, dtype)
    assert all(value.dtype == dtype for value in found[-1].values())
    assert largest_difference(found, expected) < tolerance


@pytest.mark.parametrize("name", ["momentum", "rmsprop", "adam", "nadam", "adagrad"])
def test_runs_without_a_term_among_runs_with_it(name, in_precision):
    """Runs 0 and 2 have zero for whatever may be zero, where torch takes another path."""
    in_precision(torch.float64)
    zeros = {key: 0.0 for key in ("momentum", "dampening", "weight_decay", "lr_decay") if key in NUMBERS[name]}
    nodes = [own | (zeros if run in (0, 2) else {}) for run, own in enumerate(mixed_nodes(name, {}, seed=1))]
    # Dampening without momentum is ignored by torch.
    nodes[2] |= {"dampening": 0.7} if name == "momentum" else {}
    expected, _, _ = train_apart(nodes, torch.float64)
    found, _ = train_together(nodes, torch.float64)
    assert largest_difference(found, expected) < 1e-10


def test_averages_of_asgd(in_precision):
    in_precision(torch.float64)
    nodes = mixed_nodes("asgd", {})
    _, optimizers, models = train_apart(nodes, torch.float64)
    _, state = train_together(nodes, torch.float64)
    for run, (optimizer, model) in enumerate(zip(optimizers, models, strict=True)):
        for name, parameter in model.items():
            torch.testing.assert_close(state[name]["ax"][run], optimizer.state[parameter]["ax"], rtol=1e-10, atol=0)


@pytest.mark.parametrize("adjust_lr_fn", ["original", "match_rms_adamw"])
def test_muon_orthogonalizes_every_runs_matrices(adjust_lr_fn):
    """The products are in bfloat16, which has 8 bits: one update agrees to a few of its roundings."""
    nodes = [node("muon", lr=lr, weight_decay=0.0, adjust_lr_fn=adjust_lr_fn) for lr in (0.01, 0.02, 0.05, 0.1, 0.2)]
    expected, _, _ = train_apart(nodes, torch.float32, steps=1)
    found, _ = train_together(nodes, torch.float32, steps=1)
    before = start(torch.float32)
    for name in ("layers.0.weight", "conv.weight"):
        step = expected[0][name] - before[name]
        difference = (found[0][name] - expected[0][name]).flatten(1).norm(dim=1)
        assert bool((difference < 0.01 * step.flatten(1).norm(dim=1)).all())
    for name in ("layers.0.bias", "gain", "head.weight"):
        torch.testing.assert_close(found[0][name], expected[0][name], rtol=1e-6, atol=1e-7)


def test_muon_without_a_matrix_is_the_users_to_mend():
    batched = batched_optimizer([node("muon")] * 2)
    with pytest.raises(ConfigError, match=r"two or more dimensions.*head\.weight, bias"):
        batched.init({"head.weight": torch.ones(2, 3, 3), "bias": torch.ones(2, 3)})


@pytest.mark.parametrize("name", ["momentum", "adamw"])
def test_compiles_into_one_graph(name):
    nodes = mixed_nodes(name, {})
    plain, _ = train_together(nodes, torch.float32, steps=4)
    compiled, _ = train_together(nodes, torch.float32, steps=4, compiled=True)
    assert largest_difference(compiled, plain) < 1e-6


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_an_update_changes_nothing_that_it_is_given(name):
    batched = batched_optimizer(mixed_nodes(name, {"ns_steps": 1} if "muon" in name else {}))
    params = start(torch.float32)
    _, state = batched.update(params, gradients(params, 0), batched.init(params), factors()[0], batched.hyper)
    given = {
        "params": params,
        "grads": gradients(params, 1),
        "state": state,
        "factor": factors()[1],
        "hyper": batched.hyper,
    }
    before = torch.utils._pytree.tree_map(torch.clone, given)
    batched.update(**given)
    torch.testing.assert_close(given, before, rtol=0, atol=0, equal_nan=True)


def tensors(state):
    return [value for slots in state.values() for value in slots.values()]


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_state_of_some_of_the_runs_is_a_slice(name):
    """As the engine makes it when runs have ended: slices of all tensors go on like the whole."""
    batched = batched_optimizer(mixed_nodes(name, {"ns_steps": 0} if "muon" in name else {}))
    params = start(torch.float64)
    params, state = batched.update(params, gradients(params, 0), batched.init(params), factors()[0], batched.hyper)
    rows = torch.tensor([3, 1])

    def some(tree):
        return torch.utils._pytree.tree_map(lambda values: values[rows], tree)

    grads = gradients(params, 1)
    whole = batched.update(params, grads, state, factors()[1], batched.hyper)
    part = batched.update(some(params), some(grads), some(state), factors()[1][rows], some(batched.hyper))
    torch.testing.assert_close(part, some(whole), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "changes", "kept"),
    [
        ("sgd", {}, 0),
        ("momentum", {}, 1),
        ("momentum", {"dampening": 0.1}, 1),
        ("rmsprop", {}, 1),
        ("rmsprop", {"momentum": 0.9}, 2),
    ],
)
def test_what_no_run_uses_takes_no_memory(name, changes, kept):
    params = {"w": torch.ones(2, 10)}
    state = batched_optimizer([node(name, **changes)] * 2).init(params)
    assert sum(value.numel() for value in state["w"].values()) == kept * 20


@pytest.mark.parametrize(
    ("nodes", "key"),
    [
        ([node("sgd"), node("adam")], "optimizer._target_"),
        ([node("adam"), node("adamw")], "optimizer._target_"),
        ([node("momentum"), node("nesterov")], "optimizer.nesterov"),
        ([node("adam"), node("adam", amsgrad=True)], "optimizer.amsgrad"),
        ([node("rmsprop"), node("rmsprop", centered=True)], "optimizer.centered"),
        ([node("sgd"), node("sgd", maximize=True)], "optimizer.maximize"),
        ([node("muon"), node("muon", ns_steps=4)], "optimizer.ns_steps"),
        ([node("muon"), node("muon", exclude=[])], "optimizer.exclude"),
        ([node("lbfgs")] * 2, "optimizer._target_"),
        ([{"_target_": "torch.optim.SparseAdam", "lr": 0.1}] * 2, "optimizer._target_"),
    ],
)
def test_what_is_more_than_a_number_must_agree(nodes, key):
    with pytest.raises(NotFusable) as error:
        batched_optimizer(nodes)
    assert error.value.key == key
    assert error.value.reason


def test_left_out_arguments_are_the_constructors(in_precision):
    in_precision(torch.float64)
    nodes = [{"_target_": "torch.optim.AdamW"}] * 2 + [{"_target_": "torch.optim.adamw.AdamW", "lr": 0.1}] * 3
    expected, _, _ = train_apart(nodes, torch.float64, steps=5)
    found, _ = train_together(nodes, torch.float64, steps=5)
    assert largest_difference(found, expected) < 1e-10


@pytest.mark.parametrize(
    "nodes",
    [
        [node("sgd", lr=0.1), node("sgd", lr=-0.1), node("sgd", lr=0.2)],
        [node("adam"), node("adam", betas=[0.9, 1.0])],
        [node("nesterov"), node("nesterov", momentum=0.0)],
        [node("muon"), node("muon", adamw_eps=-1.0)],
    ],
)
def test_one_run_with_a_number_out_of_range_is_refused(nodes):
    with pytest.raises(ConfigError, match=r"^optimizer \("):
        batched_optimizer(nodes)
