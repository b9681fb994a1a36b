"""Over 200 steps, both engines give the same metrics: for every optimizer, every model, every task.

In double precision runs agree to ten digits. In single precision to five, where training does not amplify rounding:
both engines round, in another order, and what has to agree is training, not its rounding errors. So in single
precision steps are small, and the optimizers are those whose steps do not depend on the sign of a gradient near zero.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.compose import options
from expkit.records.record import Record
from support import train

STEPS = ["trainer.max_steps=200", "trainer.eval_at=50", "callbacks=none", "logger=none"]
DOUBLE = "trainer.precision=64-true"
SEEDS = ["seed=0,1"], ["seed=1"]
"""Of what is fused, and of what is trained alone, too: the second run, which a stack that mixed up its runs would get
wrong."""
RATES = ["optimizer.lr=0.001,0.01"], ["optimizer.lr=0.001,0.01"]

OPTIMIZERS = sorted(set(options("optimizer")) - {"lbfgs"})  # which is not fused: its line search is a loop of its own
KEEP_FLOAT32 = {"nadam": 1e-8, "nadamw": 1e-8, "asgd": 1e-8, "adafactor": 1e-6, "muon": 1e-5, "normuon": 1e-5}
"""Of these, torch keeps a product or a rate in single precision, or orthogonalizes in bfloat16, in any case."""
OF_SIGNS = {"lion", "rprop", "muon", "normuon", "adafactor", "adadelta"}

SIGNALS = ["data=mnist1d", "data.n_train=40", "data.n_test=20", "data.batch_size=10"]
PAIRS = ["data=modular_addition", "data.p=11", "data.batch_size=16"]
TEXT = ["data=markov_text", "data.n_train=40", "data.n_test=20", "data.length=8", "data.batch_size=8"]
SMALL = ["model.width=8", "model.heads=2", "model.depth=1"]
GRAPHS = ["data=sbm_pattern", "data.n_train=6", "data.n_test=4", "data.communities=2", "data.min_size=4"]
GRAPHS += ["data.max_size=6", "data.pattern_size=4", "model.width=4", "model.depth=1"]
CLICKS = ["data=synthetic_interaction", "data.n_users=20", "data.n_items=40", "data.n_categories=5"]
CLICKS += ["data.n_train=60", "data.n_test=30", "data.length=5", "data.batch_size=20"]
STRINGS = ["data=formal_languages", "data.n_train=40", "data.n_val=10", "data.n_test=20", "data.batch_size=10"]
STRINGS += ["data.train_lengths=[1,3]", "data.test_lengths=[4,6]"]
SPIKES = ["data=spike_latency_patterns", "data.n_train=40", "data.n_test=20", "data.batch_size=10"]
COMPUTED = {"fixed_points", "pattern_retrieval", "ridge_regression"}
"""Tasks that are not trained."""

MODELS = {
    "linear": ["data=wine"],
    "mlp": ["data=wine", "model.width=8"],
    "two_layer_relu": ["data=xor_clusters", "data.dim=40", "data.n_train=40", "data.n_test=40", "model.width=8"],
    "mean_field_network": ["data=gaussian_random_labels", "data.dim=8", "data.n_train=40", "data.n_test=0"],
    "cnn": [*SIGNALS, "model.channels=[4,4]"],
    "resnet": [*SIGNALS, "model.width=4", "model.blocks=[1,1]"],
    "rnn": [*SIGNALS, "model.width=8"],
    "lstm": [*SIGNALS, "model.width=8"],
    "gru": [*PAIRS, "model.width=8"],
    "transformer_encoder": [*PAIRS, *SMALL],
    "gpt": [*TEXT, *SMALL],
    "autoencoder": ["data=wine", "task=reconstruction"],
    "stack_rnn": [*STRINGS, "model.width=8"],
    "tape_rnn": [*STRINGS, "model.width=8", "model.jumps=true"],
    "snn": [*SPIKES, "model.width=8", "model.depth=1"],
    "lenet_300_100": ["data=wine", "model.widths=[8,4]"],
    "residual_mlp": ["data=wine", "model.width=8"],
    "random_features": ["data=diabetes", "model.width=8"],
    "two_layer": ["data=gaussian_polynomial", "data.dim=5", "data.n_train=40", "data.n_test=20", "model.width=8"],
    "mobilenet": [*SIGNALS, "model.channels=[4,4]", "model.strides=[2,2]"],
    "vqvae": [*SIGNALS, "task=vector_quantized_reconstruction", "model.width=4", "model.n_codes=8", "model.dim=4"],
    "unconstrained_features": ["data=example_numbers", "data.counts=[5,5,5,5]", "task=penalized_classification"],
    "bag_classifier": ["data=synthetic_mil", "data.n_train=40", "data.n_test=20", "data.batch_size=10"],
    "deeponet": ["data=grf_operator", "data.n_train=40", "data.n_test=20", "data.sensors=10", "data.batch_size=10"],
    **dict.fromkeys(("dnn_ctr", "wide_deep", "din"), CLICKS),
    **dict.fromkeys(("node_mlp", "gcn", "gin", "gated_gcn"), GRAPHS),
    "gat": [*GRAPHS, "model.heads=2"],
}

TASKS = {
    "classification": ["data=iris", "model=mlp"],
    "binary_classification": ["data=two_moons", "model=mlp", "data.n_train=60", "data.n_test=40"],
    "regression": ["data=diabetes", "model=mlp"],
    "reconstruction": ["data=wine", "model=mlp"],
    "language_modelling": [*TEXT, "model=gru", "model.width=8"],
    "one_hot_regression": ["data=iris", "model=mlp"],
    "penalized_classification": ["data=iris", "model=mlp", "task.features=readout"],
    "anchored_classification": ["data=iris", "model=mlp", "task.strength=1.0"],
    "unit_sharpness_regression": ["data=diabetes", "model=mlp", "model.width=8", "callbacks=[unit_sharpness]"],
    "node_classification": [*GRAPHS, "model=node_mlp"],
    "click_through": [*CLICKS, "model=dnn_ctr", "task.penalty=0.1"],
    "fitted_q": ["data=gridworld_transitions", "data.n_train=60", "data.n_test=20", "data.batch_size=20", "model=mlp"],
    "vector_quantized_reconstruction": [*SIGNALS, "model=vqvae", "model.width=4", "model.n_codes=8", "model.dim=4"],
}


def assert_parity(
    runs: Path,
    sweep: list[str],
    tolerance: float,
    capsys: pytest.CaptureFixture[str],
    differing: tuple[list[str], list[str]] = SEEDS,
) -> None:
    together, alone = differing
    fused = train("-m", *STEPS, *sweep, *together, "hydra/launcher=fused", f"paths.runs={runs / 'fused'}")
    assert "not fused" not in capsys.readouterr().err
    assert len(fused) == 2
    there = {run["run_id"]: run for run in fused}
    for one in train("-m", *STEPS, *sweep, *alone, "hydra/launcher=serial", f"paths.runs={runs / 'serial'}"):
        other = there[one["run_id"]]
        expected, measured = Record(Path(one["path"])).metrics, Record(Path(other["path"])).metrics
        assert measured.columns == expected.columns
        assert measured["step"].to_list() == expected["step"].to_list() == [0, 50, 100, 150, 200]
        for name in expected.columns:
            assert (measured[name].is_null() == expected[name].is_null()).all(), name
            values = expected[name].drop_nulls().to_list()
            assert measured[name].drop_nulls().to_list() == pytest.approx(values, rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(runs: Path, optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["data=wine", "model=mlp", "model.width=8", f"optimizer={optimizer}", DOUBLE]
    assert_parity(runs, sweep, KEEP_FLOAT32.get(optimizer, 1e-10), capsys, RATES)


@pytest.mark.parametrize("optimizer", sorted(set(OPTIMIZERS) - OF_SIGNS))
def test_every_optimizer_in_single_precision(runs: Path, optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["data=wine", "model=mlp", "model.width=8", f"optimizer={optimizer}", "optimizer.lr=0.001"]
    assert_parity(runs, sweep, 1e-5, capsys)


def test_every_model_is_here() -> None:
    assert set(MODELS) == set(options("model")) - {"none"}
    assert set(TASKS) == set(options("task")) - COMPUTED


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"gcn"}))  # whose edges have weights in single precision
def test_every_model(runs: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = [*MODELS[model], f"model={model}", "optimizer=sgd", "optimizer.lr=0.05"]
    assert_parity(runs, [*sweep, DOUBLE], 1e-10, capsys)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_in_single_precision(runs: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = [*MODELS[model], f"model={model}", "optimizer=sgd", "optimizer.lr=0.01"]
    assert_parity(runs, sweep, 1e-5, capsys)


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize(("precision", "tolerance"), [("64-true", 1e-10), ("32-true", 1e-5)])
def test_every_task(
    runs: Path, task: str, precision: str, tolerance: float, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = [*TASKS[task], f"task={task}", "optimizer=sgd", "optimizer.lr=0.01", f"trainer.precision={precision}"]
    assert_parity(runs, sweep, tolerance, capsys)
