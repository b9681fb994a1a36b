"""Data sets as their YAML describes them."""

from collections.abc import Callable
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from expkit.data.base import TensorData

CONFIGS = Path(__file__).parents[2] / "conf" / "data"


@pytest.fixture
def build() -> Callable[..., TensorData]:
    """build(name, seed=0, key=value, ...): the data set of conf/data/<name>.yaml with these keys changed, and drawn."""
    return lambda name, seed=0, **changes: _build(name, seed, changes)


def _build(name: str, seed: int, changes: dict[str, Any]) -> TensorData:
    OmegaConf.register_new_resolver("product", lambda numbers: prod(numbers), replace=True)
    OmegaConf.register_new_resolver("sum", lambda numbers: sum(numbers), replace=True)
    node = OmegaConf.load(CONFIGS / f"{name}.yaml")
    del node["defaults"]
    config = OmegaConf.create({"seed": seed, "data": OmegaConf.merge(node, changes)})
    arguments = OmegaConf.to_container(config.data, resolve=True)
    module, _, cls = arguments.pop("_target_").rpartition(".")
    data = getattr(import_module(module), cls)(**arguments)
    data.setup()
    return data
