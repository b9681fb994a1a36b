"""Data sets that several stacks of a sweep need are drawn once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from expkit.data.base import Split, TensorData
from expkit.data.xor_clusters import XorClusters
from expkit.engines.fused import data_sets
from expkit.engines.fused.data_sets import DataSets
from expkit.engines.precision import convert_data
from support import train


class Noise(TensorData):
    """1,000 bytes."""

    def draw(self) -> dict[str, Split]:
        return {"train": {"input": torch.randn(125, 2, generator=self.generator("train"))}}


class Shelf(DataSets):
    """Notes down what is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[str] = []

    def take(self, name: str) -> TensorData:
        def draw() -> TensorData:
            self.drawn.append(name)
            data = Noise({"shape": [2]})
            data.setup()
            return data

        return self.get(name, draw)


def test_what_was_used_last_is_kept_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, "KEPT", 2_500)
    shelf = Shelf()
    for name in ["a", "b", "a", "c", "a", "b"]:
        shelf.take(name)
    assert shelf.drawn == ["a", "b", "c", "b"]  # c took the place of b, of which a was the newer


def test_what_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, "KEPT", 900)
    shelf = Shelf()
    assert shelf.take("a").n_train == shelf.take("a").n_train == 125
    assert shelf.drawn == ["a", "a"]


def test_a_stack_in_double_precision_leaves_the_next_one_its_floats() -> None:
    shelf = Shelf()
    convert_data(shelf.take("a"), torch.float64)
    assert shelf.take("a").splits["train"]["input"].dtype == torch.float32


def test_what_a_stack_does_to_its_columns_stays_with_it() -> None:
    shelf = Shelf()
    shelf.take("a").splits["train"].clear()
    assert shelf.take("a").n_train == 125


def test_another_process_begins_without_any() -> None:
    shelf = DataSets()
    shelf.get("a", lambda: Shelf().take("a"))
    assert len(pickle.dumps(shelf)) < 100
    assert pickle.loads(pickle.dumps(shelf))._kept == {}


def test_a_sweep_over_models_draws_each_data_set_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    draw = XorClusters.draw
    monkeypatch.setattr(XorClusters, "draw", lambda self: seeds.append(self.seed) or draw(self))
    overrides = ["data=xor_clusters", "trainer.max_steps=2", "logger=none", f"paths.runs={runs}"]
    train("-m", *overrides, "model=mlp,linear", "seed=1,2,3", "hydra/launcher=fused")
    assert sorted(seeds) == [1, 2, 3]
