"""The first experiment: the paper's finding at its default size, and its probes against closed forms."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import polars
import pytest
import torch

from expkit.data.xor_clusters import XorClusters
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.probes.grouped_metric import GroupedMetric
from expkit.probes.linearity import Linearity
from expkit.probes.neuron_cluster_alignment import NeuronClusterAlignment
from expkit.records.record import Record
from expkit.tasks.supervised import BinaryClassification
from support import Run, train


@pytest.fixture
def data() -> XorClusters:
    clusters = XorClusters(
        dim=30, n_train=100, n_test=50, mean_norm=5.0, noise_rate=0.2, spec={"shape": [30], "classes": 2}, seed=3
    )
    clusters.setup()
    return clusters


def network(hidden: torch.Tensor, readout: torch.Tensor) -> BinaryClassification:
    model = TwoLayerReLU([hidden.shape[1]], width=len(hidden))
    model.hidden.data, model.readout.data = hidden, readout
    return BinaryClassification(model, 1)


@pytest.mark.slow
def test_the_default_reproduces_the_finding(runs: Path) -> None:
    printed = train("+experiment=grokking_xor", "logger=none", "trainer.max_steps=100")
    metrics = Record(Path(printed["path"])).metrics
    step_one = metrics.row(by_predicate=polars.col("step") == 1, named=True)
    assert step_one["train/acc"] >= 0.99
    assert step_one["test/acc"] <= 0.60
    assert step_one["linearity/share"] >= 0.95
    end = metrics.row(-1, named=True)
    assert end["train/acc"] == 1.0
    assert end["train/acc_flipped"] == 1.0
    assert end["test/acc"] >= 0.95
    assert metrics["step"].to_list()[:7] == [0, 1, 2, 3, 5, 8, 13]
    assert (Path(printed["path"]) / "figures" / "learning_curves.png").stat().st_size > 10_000


def test_the_wandb_run_holds_config_metrics_and_figure(expkit: Run, runs: Path) -> None:
    done = expkit("train", "+experiment=grokking_xor", "scale=smoke", "tags=[first]")
    assert done.returncode == 0, done.stderr
    (folder,) = runs.glob("grokking_xor/*/wandb/offline-run-*")
    wandb = Path(sys.executable).parent / "wandb"
    read = subprocess.run([wandb, "leet", "inspect", "--summary", folder], capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    said = " ".join(read.stdout.split())
    run_id = folder.parents[1].name
    summary = Record(folder.parents[1]).summary
    for part in (
        "state finished (exit code 0)",
        f"grokking_xor-{run_id} ({run_id})",
        "project expkit",
        "data.noise_rate 0.1",
        "optimizer.lr 0.1",
        "figures/learning_curves image-file",
        "expkit/status complete",
    ):
        assert part in said, part
    for name in ("train/loss", "test/acc", "alignment/own"):
        value = float(said.split(f" {name} ")[1].split()[0])
        assert value == pytest.approx(summary[name], rel=1e-6)
    assert "`expkit sync`" in done.stdout


def test_a_linear_network_has_all_its_output_in_the_odd_part(data: XorClusters) -> None:
    # relu(z) - relu(-z) = z: two neurons of opposite weights and readouts are a linear function
    weights = torch.randn(4, 30)
    task = network(torch.cat([weights, -weights]), torch.cat([torch.ones(4), -torch.ones(4)]))
    measured = Linearity().measure(task, data)
    assert measured["linearity/share"] == pytest.approx(1.0, abs=1e-6)
    assert measured["linearity/agreement"] == 1.0


def test_an_even_network_has_none_of_it(data: XorClusters) -> None:
    weights = torch.randn(4, 30)  # relu(z) + relu(-z) = |z|
    measured = Linearity().measure(network(torch.cat([weights, -weights]), torch.ones(8)), data)
    assert measured["linearity/share"] == pytest.approx(0.0, abs=1e-6)


def test_the_odd_part_is_the_linear_map_with_half_the_weights(data: XorClusters) -> None:
    hidden, readout = torch.randn(6, 30), torch.randn(6)
    task = network(hidden, readout)
    inputs = data.splits["test"]["input"]
    linear = inputs @ (hidden.T @ readout) / 2
    output = task.model(inputs).squeeze(1).detach()
    share = float(linear.square().mean() / (linear.square().mean() + (output - linear).square().mean()))
    assert Linearity().measure(task, data)["linearity/share"] == pytest.approx(share, rel=1e-5)


def test_alignment_of_neurons_that_point_along_a_mean_or_between(data: XorClusters) -> None:
    hidden = torch.zeros(4, 30)
    hidden[0, 0] = 2.0  # votes for label 1 and points along mu_1
    hidden[1, 0] = -1.0  # the same, at the cluster on the other side
    hidden[2, 0] = 3.0  # votes for label 0, but points along mu_1
    hidden[3, 0] = hidden[3, 1] = 1.0  # votes for label 0 and points between the means
    measured = NeuronClusterAlignment().measure(network(hidden, torch.tensor([1.0, 1.0, -1.0, -1.0])), data)
    assert measured["alignment/own"] == pytest.approx((1 + 1 + 0 + math.sqrt(0.5)) / 4)
    assert measured["alignment/other"] == pytest.approx((0 + 0 + 1 + math.sqrt(0.5)) / 4)


def test_random_neurons_are_aligned_as_a_random_direction_is(data: XorClusters) -> None:
    torch.manual_seed(0)
    task = network(torch.randn(20_000, 30), torch.ones(20_000))
    expected = math.gamma(15) / (math.sqrt(math.pi) * math.gamma(15.5))  # E|cos| in 30 dimensions
    assert NeuronClusterAlignment().measure(task, data)["alignment/own"] == pytest.approx(expected, rel=0.02)


def test_grouped_accuracies_average_to_the_accuracy_of_all(data: XorClusters) -> None:
    torch.manual_seed(0)
    task = network(torch.randn(10, 30), torch.randn(10))
    train_split = data.splits["train"]
    measured = GroupedMetric("flipped", {"clean": 0, "flipped": 1}, ["acc"]).measure(task, data)
    flipped = train_split["flipped"].float().mean().item()
    together = (1 - flipped) * measured["train/acc_clean"] + flipped * measured["train/acc_flipped"]
    assert together == pytest.approx(task.evaluate(train_split)["acc"], abs=1e-6)


def test_without_noise_there_is_no_flipped_group(runs: Path) -> None:
    summary = train("+experiment=grokking_xor", "scale=smoke", "logger=none", "data.noise_rate=0")["summary"]
    assert "train/acc_flipped" not in summary
    assert summary["train/acc_clean"] == summary["train/acc"]
