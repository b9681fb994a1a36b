"""Two processes that divide every batch, over gloo, against one that has all of it."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import trainings
from torch import nn

from expkit.engines.lightning import _check_shares, _Keeper
from expkit.engines.stages import Stages
from expkit.errors import UserError
from expkit.records.metrics import Row

TOLERANCE = {"double precision": 1e-13, "bfloat16": 2e-2}
"""Of |a - b| / max(1, |a|); in single precision 1e-5."""


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """Rows of metrics of every training, as the first of two processes has them."""
    folder = tmp_path_factory.mktemp("two")
    ports = free_ports(len(trainings.TRAININGS))
    place = {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "0", "WORLD_SIZE": "2"}
    second = subprocess.Popen(
        [sys.executable, trainings.__file__, str(folder), *ports], env={**os.environ, **place}, stderr=subprocess.PIPE
    )
    rows = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**place, "LOCAL_RANK": "0"}.items():
            patch.setenv(name, value)
        for port, (name, arguments) in zip(ports, trainings.TRAININGS.items(), strict=True):
            patch.setenv("MASTER_PORT", port)
            patch.setenv("WORLD_SIZE", "2")  # Lightning takes it away in the end
            rows[name] = trainings.fit(folder, **arguments, **trainings.SHARED)
    assert second.wait(timeout=300) == 0, second.stderr.read().decode()  # type: ignore[union-attr]
    return rows


def free_ports(count: int) -> list[str]:
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [str(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.mark.parametrize("name", trainings.TRAININGS)
def test_they_measure_what_one_process_does(of_two: dict[str, list[Row]], name: str, tmp_path: Path) -> None:
    alone = trainings.fit(tmp_path, **trainings.TRAININGS[name])
    assert [row.keys() for row in of_two[name]] == [row.keys() for row in alone]
    for ours, theirs in zip(of_two[name], alone, strict=True):
        for metric, value in theirs.items():
            assert math.isclose(ours[metric], value, rel_tol=0, abs_tol=TOLERANCE.get(name, 1e-5) * max(1, abs(value)))
    assert alone[-1]["train/loss"] < 0.9 * alone[0]["train/loss"] or name == "a schedule that follows a metric"


def test_a_batch_with_fewer_examples_than_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(UserError, match="A batch of 1 cannot be divided among 2 processes"):
        trainings.fit(tmp_path, batch_size=1, **trainings.SHARED)


def test_batch_normalization_over_a_share_is_warned_of(tmp_path: Path) -> None:
    warnings: list[str] = []
    for model in (nn.Linear(5, 3), nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3))):
        training = trainings.training(tmp_path, batch_size=33, model=lambda model=model: model, warnings=warnings)
        _check_shares(training, processes=2)
    assert len(warnings) == 1
    assert "16.5 of 33 examples" in warnings[0]


def test_processes_that_see_different_checkpoints_do_not_train(tmp_path: Path) -> None:
    training = trainings.training(tmp_path)
    keeper = _Keeper(training, frozenset(), Stages((), 12), math.inf, None, False)
    first = SimpleNamespace(broadcast=lambda step: 9)
    with pytest.raises(UserError, match="at step 6 of the training, and the first one at step 9"):
        keeper.on_train_start(SimpleNamespace(global_step=6, strategy=first), training.task)  # type: ignore[arg-type]


def test_fsdp_without_a_gpu_is_refused_in_words(tmp_path: Path) -> None:
    for accelerator in ("cpu", "auto") if not torch.cuda.is_available() else ("cpu",):
        with pytest.raises(UserError, match="divides a model among GPUs"):
            trainings.fit(tmp_path, strategy="fsdp", accelerator=accelerator, devices=2)


def test_several_machines_have_to_know_where_they_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(UserError, match="num_nodes=2, but MASTER_PORT, NODE_RANK are not set"):
        trainings.fit(tmp_path, num_nodes=2, **trainings.SHARED)
