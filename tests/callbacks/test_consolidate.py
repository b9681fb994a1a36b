"""A sequence of tasks with anchored weights, in both engines, and what does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.records.record import Record
from support import train, try_train

SEQUENCE = [
    "data=permuted_tasks",
    "data.n_tasks=3",
    "data.epochs_per_task=2",
    "data.of.n_train=60",
    "data.batch_size=20",
]
SEQUENCE += ["model=mlp", "model.width=8", "task=anchored_classification", "task.strength=5", "task.examples=20"]
SEQUENCE += ["optimizer=sgd", "callbacks=consolidate", "probes=task_accuracy", "logger=none", "trainer.max_steps=18"]
SEQUENCE += ["trainer.eval_at=6", "trainer.precision=64-true"]


def test_both_engines_consolidate_alike(runs: Path) -> None:
    shared = ["-m", *SEQUENCE, "data.evaluate_train=false", "callbacks.consolidate.every=6", "seed=0,1"]
    serial, fused = (train(*shared, f"hydra/launcher={way}", f"paths.runs={runs / way}") for way in ("serial", "fused"))
    for one, other in zip(serial, fused, strict=True):
        expected, measured = Record(Path(one["path"])).metrics, Record(Path(other["path"])).metrics
        assert expected.columns == measured.columns
        assert not any(name.startswith("train/") for name in expected.columns)  # of all tasks: not worth its time
        assert expected["test/penalty"].to_list()[:2] == [0.0, 0.0]
        assert expected["test/penalty"].to_list()[-1] > 0
        for name in expected.columns:
            assert measured[name].to_list() == pytest.approx(expected[name].to_list(), rel=1e-9), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("callbacks.consolidate.every=5", "is not the number of steps of a task, which is 6"),
        ("task=classification", "Classification anchors nothing"),
    ],
)
def test_what_does_not_go_together_says_so(
    runs: Path, change: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [a for a in SEQUENCE if not (change.startswith("task=") and a.startswith("task"))]
    assert try_train(*arguments, "callbacks.consolidate.every=6", change)[1] != 0
    assert message in " ".join(capsys.readouterr().err.split())
