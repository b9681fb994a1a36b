"""Optimizers and schedules, built from the library's own YAML files as a run builds them, and a problem to solve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

CONF = Path(__file__).parents[2] / "conf"


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`optimizer_name` and `scheduler_name` go through every option of the group (of a schedule: but `none`)."""
    for group in ("optimizer", "scheduler"):
        if f"{group}_name" in metafunc.fixturenames:
            metafunc.parametrize(f"{group}_name", [name for name in options(group) if name != "none"])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def from_yaml() -> Callable[..., Any]:
    """Builds conf/<group>/<name>.yaml; `max_steps` and `lr` stand for what the rest of a configuration says."""

    def build(group: str, name: str, argument: Any, *, max_steps: int = 100, lr: float = 0.1, **changes: Any) -> Any:
        node = OmegaConf.merge(OmegaConf.load(CONF / group / f"{name}.yaml"), changes)
        root = OmegaConf.create({"trainer": {"max_steps": max_steps}, "optimizer": {"lr": lr}, "built": node})
        keys: Any = OmegaConf.to_container(root, resolve=True)
        constructor = hydra.utils.get_class(keys["built"].pop("_target_"))
        return constructor(argument, **keys["built"])

    return build


class LeastSquares:
    """Linear regression of 4 targets on 8 inputs; the solution lies 0.05 from the start in every weight."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.model = nn.Linear(8, 4)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
            self.input = torch.randn(64, 8, generator=random)
            solution = [
                p + 0.05 * (2 * torch.randint(2, p.shape, generator=random) - 1) for p in self.model.parameters()
            ]
            self.target = self.input @ solution[0].T + solution[1]

    def loss(self) -> torch.Tensor:
        return (self.model(self.input) - self.target).square().mean()

    def train(self, optimizer: torch.optim.Optimizer, steps: int, after_step: Callable[[], None] | None = None) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)  # type: ignore[arg-type]
            if after_step is not None:
                after_step()


@pytest.fixture
def problem() -> LeastSquares:
    return LeastSquares()


@pytest.fixture
def same_problem() -> LeastSquares:
    return LeastSquares()
