"""A population acts on the runs of a stack between evaluation points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from fits import configs, fit
from torch import Tensor

from expkit.engines.fused.engine import Fit
from expkit.engines.fused.population import StackView

OVERRIDES = ["data=wine", "data.seed=0", "model.width=5", "trainer.eval_at=4", "trainer.max_steps=12"]
OVERRIDES += ["trainer.precision=64-true"]


class Once:
    """Does something at one evaluation point, and notes what it sees at all of them."""

    def __init__(self, step: int, action: Callable[[StackView], None]) -> None:
        self.step, self.action = step, action
        self.seen: list[tuple[int, list[int], list[float]]] = []

    def between(self, step: int, view: StackView, metrics: list[dict[str, float]]) -> None:
        self.seen.append((step, view.runs, [own["train/loss"] for own in metrics]))
        if step == self.step:
            self.action(view)

    def facts(self, run: int, hyper: Mapping[str, float]) -> dict[str, float]:
        return {"member/number": float(run), "member/lr": hyper["lr"]}


def weights(fitted: Fit, place: int) -> Tensor:
    return torch.cat([values[place].flatten() for values in fitted.core.stack.parameters.values()])


@pytest.mark.parametrize("optimizer", ["adam", "momentum", "muon", "asgd"])
def test_a_copy_is_the_same_run_from_there_on(optimizer: str, tmp_path: Path) -> None:
    runs = configs(*OVERRIDES, f"optimizer={optimizer}", "model.norm=batchnorm", sweep=["seed=0", "seed=1"])
    population = Once(8, lambda view: view.copy(0, 1))
    copied, plain = fit(runs, tmp_path / "a", population=population), fit(runs, tmp_path / "b")
    copied.run()
    plain.run()
    assert [step for step, *_ in population.seen] == [0, 4, 8, 12]
    losses = [seen[2] for seen in population.seen]
    assert losses[2][0] != losses[2][1]
    # Weights and all that the optimizer keeps are the same: so are the steps that follow.
    assert losses[3][0] == pytest.approx(losses[3][1], rel=1e-12)
    torch.testing.assert_close(weights(copied, 0), weights(copied, 1))
    torch.testing.assert_close(weights(copied, 0), weights(plain, 0))


def test_another_learning_rate_acts_from_the_next_step_on(tmp_path: Path) -> None:
    # Full-batch gradient descent: w - w' = lr * gradient, so that a tenfold rate makes a tenfold difference.
    overrides = [*OVERRIDES, "optimizer=sgd", "optimizer.lr=0.01", "trainer.eval_at=1"]
    runs = configs(*overrides, sweep=["seed=0", "seed=0 optimizer.weight_decay=1e-300"])
    steps: list[tuple[Tensor, Tensor]] = []

    class Watch:
        def between(self, step: int, view: StackView, metrics: list[dict[str, float]]) -> None:
            steps.append((weights(fitted, 0), weights(fitted, 1)))
            if step == 7:
                assert view.hyper["lr"].tolist() == [0.01, 0.01]
                view.set_hyper(1, "lr", 0.1)
                view.hyper["lr"][0] = 5.0  # a copy: nothing comes of it

        def facts(self, run: int, hyper: Mapping[str, float]) -> dict[str, float]:
            return {}

    fitted = fit(runs, tmp_path, population=Watch())
    fitted.run()
    torch.testing.assert_close(steps[7][0], steps[7][1])
    (before, after), (_, changed) = (steps[7][0], steps[8][0]), steps[8]
    torch.testing.assert_close(changed - before, 10 * (after - before))


def test_runs_keep_their_numbers_when_others_have_left(tmp_path: Path) -> None:
    early = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "optimizer=sgd"]
    runs = configs(*OVERRIDES, *early, sweep=["optimizer.lr=0.0", "optimizer.lr=0.1", "optimizer.lr=0.2"])
    population = Once(8, lambda view: view.copy(2, 1))
    fitted = fit(runs, tmp_path, population=population)
    fitted.run()
    assert [numbers for _, numbers, _ in population.seen] == [[0, 1, 2], [0, 1, 2], [1, 2], [1, 2]]
    assert [training.log.rows[-1]["step"] for training in fitted.trainings] == [4, 12, 12]
    assert [training.log.rows[-1]["member/number"] for training in fitted.trainings] == [0, 1, 2]
    assert [training.log.rows[-1]["member/lr"] for training in fitted.trainings] == [0.0, 0.1, 0.2]


def test_numbers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    runs = configs(*OVERRIDES, "optimizer=sgd", sweep=["seed=0", "seed=1"])
    view = StackView(fit(runs, tmp_path).core, [0, 1])
    with pytest.raises(ValueError, match="no 'beta1'; it has lr"):
        view.set_hyper(0, "beta1", 0.5)
    with pytest.raises(ValueError, match="0 in all runs"):
        view.set_hyper(0, "momentum", 0.9)
    view.set_hyper(1, "lr", 0.25)
    assert view.hyper["lr"][1] == 0.25
