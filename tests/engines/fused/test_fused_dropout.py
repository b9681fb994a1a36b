"""Dropout in a stack: as random as it should be, and each run's own whatever is beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fits import alone, configs, engine, fit, stacked
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.engines.fused.dropout import OwnDropout, keys, mixed, streams
from expkit.engines.fused.not_fusable import NotFusable

DROPOUT = ["data=wine", "model.width=8", "model.dropout=0.3", "trainer.max_steps=15"]


def masks(seeds: int, batches: int, calls: int, size: int) -> Tensor:
    """Whether elements are kept by dropout with p = 0.3: (seeds, batches, calls, size) of 0 and 1."""
    made = []
    for batch in range(batches):
        for stream in streams(keys(range(seeds)), batch):
            with OwnDropout(stream):
                made += [F.dropout(torch.ones(size), 0.3) for _ in range(calls)]
    return (torch.stack(made).view(batches, seeds, calls, size) > 0).double().transpose(0, 1)


def test_as_many_are_dropped_as_the_probability_says() -> None:
    kept = masks(seeds=20, batches=20, calls=3, size=1000)
    deviation = (0.3 * 0.7) ** 0.5
    assert kept.mean() == pytest.approx(0.7, abs=4 * deviation / kept.numel() ** 0.5)
    # The share of each mask is binomial: so are its mean and its variance over masks.
    shares = (kept.mean(-1) - 0.7) * 1000**0.5 / deviation
    n = shares.numel()
    assert shares.mean() == pytest.approx(0, abs=4 / n**0.5)
    assert shares.var() == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert shares.abs().max() < 5


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("distance", [1, 2, 3, 7])
def test_runs_steps_layers_and_elements_are_independent(axis: int, distance: int) -> None:
    kept = masks(seeds=12, batches=12, calls=12, size=512)
    centred = kept - 0.7
    n = kept.shape[axis] - distance
    products = centred.narrow(axis, 0, n) * centred.narrow(axis, distance, n)
    correlation = products.mean() / (0.3 * 0.7)
    assert correlation.abs() < 4 / products.numel() ** 0.5


def test_the_hash_is_a_permutation_that_spreads_every_bit() -> None:
    numbers = torch.arange(2**20)
    assert len(mixed(numbers).unique()) == 2**20
    for bit in range(32):  # flipping one bit flips every other with probability one half
        changed = mixed(numbers[:65536]) ^ mixed(numbers[:65536] ^ (1 << bit))
        flips = torch.stack([(changed >> other) & 1 for other in range(32)]).double().mean(1)
        assert ((flips - 0.5).abs() < 0.1).all()
    high = mixed(numbers) >> 27
    counts = torch.bincount(high, minlength=32).double()
    expected = 2**20 / 32
    assert ((counts - expected) ** 2 / expected).sum() < 70  # chi-squared with 31 degrees of freedom


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_what_is_kept_is_scaled_as_torch_does(p: float) -> None:
    x = torch.randn(100, 50, requires_grad=True)
    with OwnDropout(streams(keys([3]), 0)[0]):
        dropped = nn.Dropout(p)(x)
        (gradient,) = torch.autograd.grad(dropped.sum(), x)
        assert F.dropout(x, p, training=False) is x
    mask = dropped != 0
    torch.testing.assert_close(dropped, torch.where(mask, x / (1 - p), 0.0) if p < 1 else torch.zeros_like(x))
    torch.testing.assert_close(gradient, mask / (1 - p) if p < 1 else torch.zeros_like(x))


def test_a_run_does_not_depend_on_the_stack(tmp_path: Path) -> None:
    one, other, third = configs(*DROPOUT, "data.batch_size=20", sweep=["seed=0", "optimizer.lr=0.01", "seed=2"])
    rows = {}
    for name, order in {"one": [one], "three": [other, one, third], "turned": [third, other, one]}.items():
        fitted = fit(order, tmp_path / name)
        fitted.run()
        rows[name] = fitted.trainings[order.index(one)].log.rows
    for same in (rows["three"], rows["turned"]):
        for row, expected in zip(same, rows["one"], strict=True):
            assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_runs_may_differ_in_the_probability() -> None:
    runs = configs(*DROPOUT[:2], "trainer.max_steps=5", sweep=["model.dropout=0.1", "model.dropout=0.6"])
    both = stacked(runs)
    singles = [stacked([config]) for config in runs]
    for training in (both, *singles):
        for _ in range(5):
            training.advance()
    losses = both.evaluate()["train/loss"]
    for loss, single in zip(losses, singles, strict=True):
        assert float(loss) == pytest.approx(float(single.evaluate()["train/loss"]), rel=1e-5)


@pytest.mark.parametrize(
    "model", ["cnn", "gru model.width=8", "lstm model.width=8", "transformer_encoder model.width=8"]
)
def test_models_with_dropout_can_be_stacked(model: str) -> None:
    overrides = ["data=mnist1d", "data.n_train=16", "data.n_test=4", "data.batch_size=8", "model.dropout=0.5"]
    runs = configs(f"model={model.split()[0]}", *model.split()[1:], *overrides, sweep=["seed=0", "seed=1"])
    training = stacked(runs)
    assert training.keys is not None
    training.advance()


def test_compiled_it_draws_the_same() -> None:
    training = stacked(configs(*DROPOUT, "trainer.precision=64-true", sweep=["seed=0", "seed=1"]))
    training.program.task.train()
    arguments = training._arguments()
    torch._dynamo.reset()
    compiled = torch.compile(training._advanced, dynamic=False, fullgraph=True, backend="aot_eager")(*arguments)
    for name, values in training._advanced(*arguments)[0].items():
        torch.testing.assert_close(compiled[0][name], values)


def test_other_randomness_is_refused(tmp_path: Path) -> None:
    runs = configs("data=wine", "model.width=4", "trainer.max_steps=2", sweep=["seed=0", "seed=1"])

    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    own = fit(runs, tmp_path).trainings
    for training in own:
        training.task.model = nn.Sequential(training.task.model, Noisy())
    with pytest.raises(NotFusable, match="draws at random"):
        engine(runs).prepare(own)


@pytest.mark.slow
def test_over_seeds_both_engines_train_alike(tmp_path: Path) -> None:
    # The runs of a pair have the same data and initial weights, and differ in what dropout draws.
    runs = configs(
        "data=two_moons", "data.n_train=40", "data.n_test=40", "data.seed=0", "model.width=8", "model.depth=1",
        "model.dropout=0.5", "optimizer.lr=0.03", "trainer.max_steps=60", "trainer.eval_at=60",
        sweep=[f"seed={seed}" for seed in range(40)],
    )  # fmt: skip
    fitted = fit(runs, tmp_path / "fused")
    fitted.run()
    fused = torch.tensor([training.log.rows[-1]["train/loss"] for training in fitted.trainings])
    single = torch.tensor([alone(config, tmp_path / "alone")[1][-1]["train/loss"] for config in runs])
    difference = fused - single
    assert difference.abs().max() > 0
    assert difference.mean().abs() < 3 * difference.std() / len(runs) ** 0.5
    assert fused.std() == pytest.approx(float(single.std()), rel=0.5)
