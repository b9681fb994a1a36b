"""Stages, conclusions and computations: what an engine does besides making steps, in a project of a user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from expkit.build import build
from expkit.compose import compose
from expkit.engines.observer import Observer
from expkit.records.record import Record
from expkit.run import run
from support import train, try_train
from tiny_project import Project, tiny_project

LAB = '''
import torch
from torch import nn

from expkit.callbacks.intervention import Intervention
from expkit.probes.base import Probe
from expkit.tasks.computation import Computation


class Shrink(Intervention):
    """Halves all weights and adds noise."""

    fresh_optimizer = True

    def __init__(self, at: list[int], noise: float = 0.0) -> None:
        self.at, self.noise = at, noise

    def steps(self, max_steps):
        return self.at

    def act(self, task, data, step):
        for parameter in task.parameters():
            parameter.mul_(0.5).add_(self.noise * torch.randn_like(parameter))
        return {"shrink/norm": float(sum(p.square().sum() for p in task.parameters()))}


class Often(Shrink):
    """Does so without an evaluation before."""

    frequent = True


class Weights(Probe):
    """Keeps the weights at the end."""

    def conclude(self, task, data):
        weight = task.model.layer.weight
        return {"weights/first": float(weight[0, 0]), "weights/all": weight}


class Doubled(nn.Module):
    """Twice what a model puts out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layer = model.layer
        self.model = model

    def forward(self, inputs):
        return 2 * self.model(inputs)


class Sums(Computation):
    """Sums of the inputs' columns."""

    rows = 3

    def compute(self, data):
        inputs = data.splits["train"]["input"]
        for power in range(3):
            yield {"sum/value": float((inputs**power).sum()), "sum/noise": torch.rand(2)}


class TwoInputs(nn.Module):
    """A model that wants a column that the data do not have."""

    accepts = ("vector",)
    columns = ("input", "time")

    def __init__(self, input_shape: list[int], n_outputs: int) -> None:
        super().__init__()
'''
FILES = {
    "tiny_lab/stages.py": LAB,
    "conf/callbacks/shrink.yaml": "shrink: {_target_: tiny_lab.stages.Shrink, at: [0, 4, 8], noise: 0.0}",
    "conf/callbacks/often.yaml": "often: {_target_: tiny_lab.stages.Often, at: [2, 4], noise: 0.0}",
    "conf/probes/weights.yaml": "weights: {_target_: tiny_lab.stages.Weights}",
    "conf/transforms/doubled.yaml": "doubled: {_target_: tiny_lab.stages.Doubled}",
    "conf/task/sums.yaml": "_target_: tiny_lab.stages.Sums",
    "conf/model/two_inputs.yaml": "{_target_: tiny_lab.stages.TwoInputs, input_shape: '${data.spec.shape}', "
    "n_outputs: '${task.n_outputs}'}",
}
TRAINING = ["data=iris", "model=net", "optimizer=momentum", "optimizer.lr=0.1", "logger=none", "trainer=cpu"]
TRAINING += ["callbacks=shrink", "probes=weights", "trainer.max_steps=8", "trainer.eval_at=4"]
DOUBLE = "trainer.precision=64-true"


@pytest.fixture
def project(runs: Path, tmp_path: Path) -> Iterator[Project]:
    for name, text in FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with tiny_project(tmp_path / "project") as made:
        yield made


def by_hand(stages: list[int], scale: float = 1.0) -> tuple[float, torch.Tensor]:
    """The loss and the weights at the end of a loop that knows nothing of stages but where they are."""
    data = build(compose(TRAINING).config["data"], "data")
    data.setup()
    inputs, target = data.splits["train"]["input"].double(), data.splits["train"]["target"]
    size = data.batch_size
    layer = nn.Linear(4, 3).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    for step in range(8):
        if step in stages:
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.mul_(0.5)
            optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
        chosen = slice(None)
        if size != "full":
            batches = data.n_train // size
            chosen = data.epoch_order(step // batches, 0)[step % batches * size :][:size]
        optimizer.zero_grad()
        nn.functional.cross_entropy(scale * layer(inputs[chosen]), target[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(scale * layer(inputs), target)), layer.weight.detach()


@pytest.mark.parametrize("way", ["serial", "fused"])
def test_a_stage_changes_the_weights_and_starts_the_optimizer_anew(project: Project, way: str) -> None:
    own = train("-m", *TRAINING, DOUBLE, "seed=0,1", f"hydra/launcher={way}")[0]
    record = Record(Path(own["path"]))
    loss, weights = by_hand([4])
    assert record.summary["train/loss"] == pytest.approx(loss, rel=1e-10)
    assert record.arrays["weights/all"] == pytest.approx(weights.numpy(), rel=1e-9)
    assert record.summary["weights/first"] == pytest.approx(float(weights[0, 0]), rel=1e-9)
    metrics = record.metrics
    assert metrics["step"].to_list() == [0, 4, 8]
    assert metrics["shrink/norm"].is_null().to_list() == [False, False, True]  # the last step has nothing after it
    assert metrics["weights/first"].is_null().to_list() == [True, True, False]
    assert by_hand([])[0] != pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("way", ["serial", "fused"])
def test_what_acts_often_costs_no_evaluation(project: Project, way: str) -> None:
    own = train("-m", *TRAINING, DOUBLE, "callbacks=often", "seed=0,1", f"hydra/launcher={way}")[0]
    loss, weights = by_hand([2, 4])
    record = Record(Path(own["path"]))
    assert record.summary["train/loss"] == pytest.approx(loss, rel=1e-10)
    assert record.arrays["weights/all"] == pytest.approx(weights.numpy(), rel=1e-9)
    assert record.metrics["step"].to_list() == [0, 4, 8]
    assert record.metrics["shrink/norm"].is_null().to_list() == [True, False, True]


@pytest.mark.parametrize("stages", [[], ["callbacks=often", "callbacks.often.at=[3,5]"]], ids=["evaluated", "frequent"])
def test_a_run_that_goes_on_behind_a_stage_does_not_repeat_it(project: Project, stages: list[str]) -> None:
    class Stops(Observer):
        def advanced(self, step: int) -> None:
            if step == 6:
                raise KeyboardInterrupt

    stages = [*stages, f"callbacks.{'often' if stages else 'shrink'}.noise=0.1"]
    arguments = [*TRAINING, *stages, "trainer.checkpoint_steps=1"]
    whole = train(*arguments, f"paths.runs={project.folder / 'whole'}")
    with pytest.raises(KeyboardInterrupt):
        run(compose(arguments), Stops())
    taken_up = train(*arguments)
    record = Record(Path(taken_up["path"]))
    assert record.status["attempts"] == 2
    assert record.metrics.equals(Record(Path(whole["path"])).metrics)


def test_a_transform_makes_another_model(project: Project) -> None:
    own = train(*TRAINING, DOUBLE, "transforms=doubled")
    assert own["summary"]["train/loss"] == pytest.approx(by_hand([4], scale=2.0)[0], rel=1e-10)


def test_what_computes_has_a_record_like_any_other(project: Project) -> None:
    arguments = ["data=iris", "model=none", "task=sums", "trainer=compute", "logger=none"]
    one, other = train("-m", *arguments, "seed=0,1")
    record = Record(Path(one["path"]))
    data = build(compose(arguments).config["data"], "data")
    data.setup()
    inputs = data.splits["train"]["input"]
    assert record.metrics["step"].to_list() == [0, 1, 2]
    expected = [float((inputs**power).sum()) for power in range(3)]
    assert record.metrics["sum/value"].to_list() == pytest.approx(expected)
    assert not np.array_equal(record.arrays["sum/noise"], Record(Path(other["path"])).arrays["sum/noise"])
    again = train(*arguments, f"paths.runs={project.folder / 'again'}")
    assert np.array_equal(record.arrays["sum/noise"], Record(Path(again["path"])).arrays["sum/noise"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=iris", "model=none", "task=sums"], "Use trainer=compute"),
        (["data=iris", "model=net", "trainer=compute"], "is a task to train"),
        (["data=iris", "model=two_inputs"], "needs the columns time"),
    ],
)
def test_what_does_not_go_together_says_so(
    project: Project, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_train(*arguments, "logger=none")[1] != 0
    assert message in " ".join(capsys.readouterr().err.split())
