"""Any reasonable combination composes and trains: every option of every group, at least once with a fitting partner."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from expkit.compose import options
from expkit.records.record import Record
from support import train, try_train

QUICK = ["scale=smoke", "trainer.max_steps=3", "logger=none"]
FILES = {"mnist", "cifar10"}  # read from a folder that the user names
TOKENS = {"markov_text", "modular_addition"}
TOKEN_MODELS = {"gpt"}
SMALL = {"two_moons", "spirals", "iris"}  # inputs of two to four numbers, too short to convolve and pool


MODELS = {
    "markov_text": "gpt",
    "formal_languages": "lstm",
    "synthetic_mil": "bag_classifier",
    "example_numbers": "unconstrained_features",
}
KINDS = {"graph": "gcn", "fields": "dnn_ctr"}  # what takes inputs that are more than their shape says
NOT_TRAINED = {"stored_patterns"}  # what only computations work on (trainer=compute)
OTHER_TASKS = {"two_layer_relu", "autoencoder", "vqvae", "unconstrained_features", "none"}  # than classification


def model_for(data: str) -> str:
    from expkit.compose import load

    kind = load([*QUICK, f"data={data}"])[0].data.spec.get("kind")
    return MODELS.get(data) or KINDS.get(kind, "mlp")


@pytest.mark.parametrize("data", sorted(set(options("data")) - FILES - NOT_TRAINED))
def test_every_data_set_trains(runs: Path, data: str) -> None:
    summary = train(*QUICK, f"data={data}", f"model={model_for(data)}")["summary"]
    assert summary["step"] == 3
    assert {"train/loss", "test/loss"} <= set(summary)


@pytest.mark.parametrize("data", ["mnist1d", "modular_addition"])  # test_contract has all kinds of inputs
@pytest.mark.parametrize("model", sorted(set(options("model")) - OTHER_TASKS))
def test_every_model_trains_on_every_kind_of_data_it_takes(runs: Path, model: str, data: str) -> None:
    printed, status = try_train(*QUICK, f"data={data}", f"model={model}") if fits(model, data) else (None, None)
    if fits(model, data):
        assert status == 0
        assert printed["summary"]["train/loss"] < 10
    else:
        from expkit.compose import compose
        from expkit.errors import ConfigError

        with pytest.raises(ConfigError, match=f"model={model}"):
            compose([*QUICK, f"data={data}", f"model={model}"])


def fits(model: str, data: str) -> bool:
    from expkit import source
    from expkit.compose import compose
    from expkit.schema import kind_of

    spec = compose([*QUICK, f"data={data}", "model=mlp"]).config["data"]["spec"]
    target = next(
        line.split(": ")[1] for line in options("model")[model].read_text().splitlines() if line.startswith("_target_")
    )
    return kind_of(spec) in source.class_literal(source.resolve(target.strip()), "accepts")


@pytest.mark.parametrize("model", ["gpt", "lstm", "gru", "rnn"])
def test_sequence_models_learn_a_language(runs: Path, model: str) -> None:
    assert train(*QUICK, "data=markov_text", f"model={model}")["summary"]["step"] == 3


@pytest.mark.parametrize("model", ["autoencoder", "mlp", "linear"])
@pytest.mark.parametrize("data", ["digits", "wine"])
def test_reconstruction(runs: Path, model: str, data: str) -> None:
    assert train(*QUICK, "task=reconstruction", f"data={data}", f"model={model}")["summary"]["step"] == 3


@pytest.mark.parametrize("optimizer", sorted(options("optimizer")))
def test_every_optimizer_lowers_the_loss(runs: Path, optimizer: str) -> None:
    printed = train("data=breast_cancer", f"optimizer={optimizer}", "trainer.max_steps=60", "logger=none")
    losses = Record(Path(printed["path"])).metrics["train/loss"].to_list()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("scheduler", sorted(options("scheduler")))
def test_every_scheduler_runs_and_changes_the_learning_rate(runs: Path, scheduler: str) -> None:
    overrides = ["data=wine", "callbacks=learning_rate", "trainer.max_steps=40", "trainer.eval_at=5", "logger=none"]
    # Their lengths in the YAML suit longer runs.
    overrides += {
        "step": ["scheduler.step_size=10"],
        "warm_restarts": ["scheduler.T_0=8"],
        "reduce_on_plateau": ["scheduler.patience=0", "scheduler.threshold=0.9"],
    }.get(scheduler, [])
    rates = Record(Path(train(*overrides, f"scheduler={scheduler}")["path"])).metrics["lr"]
    assert (rates.n_unique() > 1) == (scheduler != "none")


SNAPSHOTS = ["transforms=snapshots", "transforms.snapshots.names=[before,initialization]"]
PARTNERS = {  # of callbacks that work on something that a transform, a task or the data provide
    "consolidate": ["data=permuted_tasks", "task=anchored_classification", "callbacks.consolidate.every=220"],
    "magnitude_pruner": ["transforms=prunable", "callbacks.magnitude_pruner.fraction=0.2"],
    "random_pruner": ["transforms=prunable", "callbacks.random_pruner.fraction=0.2"],
    "snip_pruner": ["transforms=prunable", "callbacks.snip_pruner.sparsity=0.5"],
    "take_snapshot": SNAPSHOTS,
    "restore_snapshot": SNAPSHOTS,
    "sigma_annealing": ["data=spike_latency_patterns", "model=snn", "model.delays=learned"],
    "unit_sharpness": ["data=diabetes", "task=unit_sharpness_regression"],
}


@pytest.mark.parametrize("callback", sorted(options("callbacks")))
def test_every_callback_runs(runs: Path, callback: str) -> None:
    with_it = ["data=wine", *PARTNERS.get(callback, []), f"callbacks={callback}"]
    assert train(*with_it, "trainer.max_steps=10", "logger=none")["status"] == "complete"


def test_early_stopping_ends_a_run_that_no_longer_improves(runs: Path) -> None:
    overrides = ["data=iris", "optimizer=sgd", "optimizer.lr=0", "callbacks=early_stopping", "trainer.eval_at=10"]
    printed = train(*overrides, "callbacks.early_stopping.patience=3", "logger=none")
    assert printed["status"] == "complete"
    assert printed["summary"]["step"] == 30


def test_the_best_checkpoint_is_kept_beside_the_last(runs: Path) -> None:
    printed = train("data=wine", "callbacks=best", "trainer.max_steps=50", "logger=none")
    folder = Path(printed["path"]) / "checkpoints"
    metrics = Record(Path(printed["path"])).metrics.filter(__import__("polars").col("step") > 0)
    best = torch.load(folder / "best.ckpt", weights_only=True)["global_step"]
    assert best == metrics["step"][int(metrics["test/loss"].arg_min() or 0)]


@pytest.mark.parametrize("debug", sorted(options("debug")))
def test_every_debugging_aid_runs(runs: Path, debug: str) -> None:
    overrides = ["+experiment=grokking_xor", "data.dim=100", "data.n_test=50", f"debug={debug}", "logger=none"]
    printed = train(*overrides, *(["trainer.max_steps=20"] if debug in ("overfit", "detect_anomaly") else []))
    if debug == "profile":
        assert "run_training_batch" in (Path(printed["path"]) / "fit-profile.txt").read_text()


def test_overfitting_one_batch_uses_that_batch_only(runs: Path) -> None:
    overrides = ["data=digits", "data.batch_size=8", "debug=overfit", "trainer.max_steps=200", "logger=none"]
    overfitted = train(*overrides)["summary"]
    assert overfitted["train/acc"] < 0.7  # ten digits are not learned from eight examples
    assert train(*[o for o in overrides if "debug" not in o])["summary"]["train/acc"] > 0.9


def test_an_anomaly_is_named(runs: Path) -> None:
    printed, status = try_train(
        "data=diabetes", "model=linear", "optimizer=sgd", "optimizer.lr=1e30", "debug=detect_anomaly", "logger=none"
    )
    assert status == 1
    assert printed["status"] in ("failed", "diverged")


@pytest.mark.parametrize("trainer", ["auto", "cpu"])
def test_trainers_that_need_no_gpu(runs: Path, trainer: str) -> None:
    assert train(*QUICK, f"trainer={trainer}", "data=iris")["status"] == "complete"


@pytest.mark.parametrize("trainer", ["gpu", "ddp", "fsdp"])
def test_trainers_that_need_a_gpu_train_on_one_or_say_that_there_is_none(
    runs: Path, trainer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed, status = try_train(*QUICK, f"trainer={trainer}", "data=iris")
    if torch.cuda.is_available():
        assert printed["status"] == "complete"
    else:
        assert status == 1
        assert "doctor" in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "bf16-true"])
def test_precisions(runs: Path, precision: str) -> None:
    assert train(*QUICK, "data=digits", f"trainer.precision={precision}")["status"] == "complete"


def test_epochs_instead_of_steps(runs: Path) -> None:
    printed = train(
        "data=digits", "data.batch_size=100", "trainer.max_steps=null", "trainer.max_epochs=2", "logger=none"
    )
    assert printed["summary"]["step"] == 2 * (printed_train_size(printed) // 100)


def printed_train_size(printed: dict) -> int:
    from expkit.build import build

    data = build(Record(Path(printed["path"])).config["data"], "data")
    data.setup()
    return data.n_train


@pytest.mark.parametrize("schedule", ["log", "5", "[0,7,11]"])
def test_evaluation_schedules(runs: Path, schedule: str) -> None:
    printed = train("data=iris", "trainer.max_steps=13", f"trainer.eval_at={schedule}", "logger=none")
    steps = Record(Path(printed["path"])).metrics["step"].to_list()
    assert steps == {"log": [0, 1, 2, 3, 5, 8, 13], "5": [0, 5, 10, 13], "[0,7,11]": [0, 7, 11, 13]}[schedule]
