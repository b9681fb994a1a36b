"""The `fused` engine: R trainings of one structure as one program, each with its own numbers, data and randomness."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from expkit.data.base import Split, TensorData
from expkit.engines.evaluation_points import evaluation_points
from expkit.engines.fused.clipping import clip_by_norm
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.optimizers import BatchedOptimizer, batched_optimizer
from expkit.engines.fused.pace import Pace
from expkit.engines.fused.plateau import BatchedPlateau
from expkit.engines.fused.program import Program
from expkit.engines.fused.run_view import RunView, require_fusable
from expkit.engines.fused.schedules import is_plateau, learning_rates
from expkit.engines.fused.stack import Stack, Tensors, stack
from expkit.engines.lightning import LightningEngine, State, Training, quiet_lightning
from expkit.errors import UserError
from expkit.records.files import replacing
from expkit.seeding import derive, undisturbed


class FusedEngine:
    """Trains a stack of runs.

    Every run is what the `lightning` engine makes of it, within rounding: the same batches in the same order, the same
    evaluation points, the same metrics. A run whose loss is not finite any more ends there and leaves the others alone.

    Args:
        settings: the engine that each run has in its configuration; all agree.
        optimizers, schedulers: the configuration nodes of each run.

    Raises:
        NotFusable: the runs need something that this engine does not do.
    """

    def __init__(
        self,
        settings: LightningEngine,
        optimizers: Sequence[Mapping[str, Any]],
        schedulers: Sequence[Mapping[str, Any]],
        clip: Sequence[float | None],
    ) -> None:
        _require_plain(settings)
        self.settings = settings
        self.optimizer: BatchedOptimizer = batched_optimizer(optimizers)
        self.optimizer_nodes, self.scheduler_nodes = optimizers, schedulers
        self.clip = clip

    def prepare(self, trainings: Sequence[Training]) -> Fit:
        """Stacks the trainings; raises NotFusable where that cannot be done."""
        return Fit(self, trainings)


class Fit:
    """One fit: the stack, and what belongs to each of its rows."""

    def __init__(self, engine: FusedEngine, trainings: Sequence[Training]) -> None:
        settings = engine.settings
        for training in trainings:
            require_fusable(training.callbacks)
            _require_plain_batches(training.data)
        self.engine = engine
        self.trainings = trainings
        self.max_steps = settings.steps(trainings[0].data)
        self.points = evaluation_points(settings.eval_at, self.max_steps)
        self.accumulate = settings.accumulate
        double = settings.trainer_arguments["precision"] in ("64-true", 64)
        if double:
            for training in trainings:
                _to_double(training)
        self.stack: Stack = stack([t.task for t in trainings], [t.data for t in trainings])
        dtype = torch.float64 if double else torch.float32
        self.program = Program(trainings[0].task, self.stack)
        self.names = {name.removeprefix("model."): name for name in self.stack.parameters}
        self.state = engine.optimizer.init(_by_model_name(self.stack.parameters))
        self.hyper = dict(engine.optimizer.hyper)
        steps = [self.max_steps + 1] * len(trainings)  # after the last update there is a rate for the next one, too
        self.factors = learning_rates(engine.optimizer_nodes, engine.scheduler_nodes, steps)
        followed = any(node and is_plateau(node) for node in engine.scheduler_nodes)
        self.plateau = BatchedPlateau(engine.optimizer_nodes, engine.scheduler_nodes) if followed else None
        limits = [math.inf if limit is None else float(limit) for limit in engine.clip]
        self.limits = None if all(map(math.isinf, limits)) else torch.tensor(limits, dtype=dtype)
        self.rows = list(range(len(trainings)))  # which training each row of the stack is
        self.views = [RunView(t, float(engine.optimizer.hyper["lr"][i])) for i, t in enumerate(trainings)]
        self.states: list[State] = ["complete"] * len(trainings)
        self.orders: tuple[int, Tensor] | None = None
        self.full_batch = trainings[0].data.batch_size == "full"
        self.pace = Pace(self._advance)
        self._try_a_step()

    def run(self) -> list[State]:
        """Trains all to the end (or, when asked to stop, as far as they are); returns how each ended."""
        quiet_lightning()
        with undisturbed():
            return self._run()

    def _run(self) -> list[State]:
        for training in self.trainings:
            training.observer.started(0, self.max_steps)
        self._evaluate(0)
        for step in range(self.max_steps):
            if not self.rows:
                break
            if self.trainings[0].stop.signal is not None:
                return self._interrupted()
            self._step(step)
            if step + 1 in self.points:
                self._evaluate(step + 1)
        for row in list(self.rows):
            self._finish(self.rows.index(row), self.max_steps)
        return self.states

    def _try_a_step(self) -> None:
        """Whether torch can vectorize a step is seen by making one, whose result is thrown away."""
        self.program.task.train()
        stack, numbers = self.stack, [number.values for number in self.stack.lifted]
        try:
            self.program.gradients(stack.parameters, stack.frozen, stack.buffers, numbers, self._batch(0), self.shared)
        except Exception as error:  # whatever it is, a run by itself shows whether it is the user's to mend
            said = str(error).strip().split("\n")[0]
            if "randomness" in said:
                raise NotFusable("model", "it draws at random inside a step, as dropout does") from error
            where = ", ".join(f"{number.module}.{number.attribute}" for number in stack.lifted)
            raise NotFusable(where or "model", f"torch cannot vectorize it: {said}") from error

    def _step(self, step: int) -> None:
        self.program.task.train()
        batches = [self._batch(step * self.accumulate + part) for part in range(self.accumulate)]
        stack = self.stack
        stack.parameters, stack.buffers, self.state = self.pace.advance(self.max_steps - step)(
            stack.parameters,
            stack.frozen,
            stack.buffers,
            [number.values for number in stack.lifted],
            self.state,
            batches,
            self._factor(step),
            self.hyper,
            self.limits,
        )

    def _advance(
        self,
        parameters: Tensors,
        frozen: Tensors,
        buffers: Tensors,
        numbers: list[Tensor],
        state: Any,
        batches: list[Split],
        factor: Tensor,
        hyper: Tensors,
        limits: Tensor | None,
    ) -> tuple[Tensors, Tensors, Any]:
        """One step of all runs; pure, so that it can be compiled."""
        gradients: Tensors = {}
        for batch in batches:
            own, buffers = self.program.gradients(parameters, frozen, buffers, numbers, batch, self.shared)
            gradients = {name: gradients[name] + own[name] if gradients else own[name] for name in own}
        if len(batches) > 1:
            gradients = {name: gradient / len(batches) for name, gradient in gradients.items()}
        if limits is not None:
            gradients = clip_by_norm(gradients, limits)
        updated, state = self.engine.optimizer.update(
            _by_model_name(parameters), _by_model_name(gradients), state, factor, hyper
        )
        return {self.names[name]: value for name, value in updated.items()}, buffers, state

    @property
    def shared(self) -> frozenset[str]:
        """The columns of a batch that all runs share."""
        return self.stack.shared["train"] if self.full_batch else frozenset()

    def _batch(self, index: int) -> Split:
        """Batch number `index` of every run."""
        data = [self.trainings[row].data for row in self.rows]
        train, shared = self.stack.splits["train"], self.stack.shared["train"]
        if self.full_batch:
            return train
        size = int(data[0].batch_size)
        index = index % self.engine.settings.overfit_batches if self.engine.settings.overfit_batches else index
        epoch, position = divmod(index, data[0].batches_per_epoch)
        if self.orders is None or self.orders[0] != epoch:
            orders = [
                own.epoch_order(epoch, self.trainings[row].seed) for own, row in zip(data, self.rows, strict=True)
            ]
            self.orders = (epoch, torch.stack(orders))
        chosen = self.orders[1][:, position * size : (position + 1) * size]
        run = torch.arange(len(chosen)).unsqueeze(1)
        return {name: values[chosen] if name in shared else values[run, chosen] for name, values in train.items()}

    def _evaluate(self, step: int) -> None:
        self.program.task.eval()
        with torch.no_grad():
            columns = {
                f"{split}/{name}": values.tolist()
                for split, columns in self.stack.splits.items()
                for name, values in self.program.evaluate(self.stack, columns, self.stack.shared[split]).items()
            }
        if step in self.trainings[self.rows[0]].log:
            return
        metrics = [{name: values[place] for name, values in columns.items()} for place in range(len(self.rows))]
        ended = [place for place, row in enumerate(self.rows) if self._evaluate_run(place, row, step, metrics[place])]
        self._step_plateau(metrics)
        if ended:
            for place in ended:
                self._finish(place, step)
            self._keep([place for place in range(len(self.rows)) if place not in ended])

    def _evaluate_run(self, place: int, row: int, step: int, metrics: dict[str, float]) -> bool:
        """Records one run's metrics; whether the run ends here."""
        training, view = self.trainings[row], self.views[row]
        view.global_step = step
        view.optimizers[0].param_groups[0]["lr"] = float(self._factor(step)[place] * self.hyper["lr"][place])
        view.fire("on_validation_start", "on_validation_epoch_start")
        metrics |= self._measure(place, training, step)
        view.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
        view.fire("on_validation_epoch_end", "on_validation_end")
        training.log.add(step, metrics)
        for logger in training.loggers:
            logger.log_metrics(metrics, step)
        training.observer.evaluated(step, metrics)
        if not all(math.isfinite(value) for name, value in metrics.items() if name.endswith("/loss")):
            self.states[row] = "diverged"
        return view.should_stop or self.states[row] == "diverged"

    def _factor(self, step: int) -> Tensor:
        """(R,), the learning rate of update number `step` over the optimizer's own."""
        factor = self.factors[min(step, len(self.factors) - 1)]
        return factor if self.plateau is None else factor * self.plateau.factor

    def _step_plateau(self, metrics: Sequence[Mapping[str, float]]) -> None:
        """Hands each run's metric to its scheduler, where that follows one."""
        if self.plateau is None:
            return
        values = []
        for own, monitor in zip(metrics, self.plateau.monitors, strict=True):
            if monitor is not None and monitor not in own:
                raise UserError(
                    f"scheduler.monitor={monitor}: there is no such metric.", f"There are: {', '.join(own)}."
                )
            values.append(0.0 if monitor is None else own[monitor])
        self.plateau.step(torch.tensor(values, dtype=torch.float64))

    def _measure(self, place: int, training: Training, step: int) -> dict[str, float]:
        measuring = [callback for callback in training.callbacks if hasattr(callback, "measure")]
        metrics: dict[str, float] = {}
        if measuring:
            self._load(place)
            training.task.eval()
            with torch.no_grad():
                for callback in measuring:
                    torch.manual_seed(derive(training.seed, f"{type(callback).__name__}/{step}"))
                    metrics |= callback.measure(training.task, training.data)
        return metrics

    def _finish(self, place: int, step: int) -> None:
        """A run's last state goes to its own task, and to its record."""
        row = self.rows[place]
        training = self.trainings[row]
        self._load(place)
        self.views[row].fire("on_train_end")
        training.log.flush()
        training.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with replacing(training.checkpoint) as aside:
            torch.save({"state_dict": training.task.state_dict(), "global_step": step}, aside)

    @torch.no_grad()
    def _load(self, place: int) -> None:
        """One run's weights into its own task. The first task serves the program too, which never reads its weights."""
        task = self.trainings[self.rows[place]].task
        tensors = self.stack.parameters | self.stack.buffers
        own = dict(task.named_parameters()) | dict(task.named_buffers())
        for name, values in tensors.items():
            own[name].copy_(values[place])

    def _keep(self, places: list[int]) -> None:
        """Goes on with some runs only."""
        chosen = torch.tensor(places, dtype=torch.long)
        self.rows = [self.rows[place] for place in places]
        self.stack.keep(chosen)
        self.state = _map(lambda values: values[chosen] if values.ndim else values, self.state)
        self.hyper = {name: values[chosen] for name, values in self.hyper.items()}
        self.factors = self.factors[:, chosen]
        if self.plateau is not None:
            self.plateau.keep(chosen)
        self.limits = None if self.limits is None else self.limits[chosen]
        self.orders = None
        self.pace = Pace(self._advance)

    def _interrupted(self) -> list[State]:
        for row in self.rows:
            self.states[row] = "interrupted"
            self.trainings[row].log.flush()
        return self.states


def _to_double(training: Training) -> None:
    training.task.double()
    training.data.splits = {
        name: {column: values.double() if values.is_floating_point() else values for column, values in split.items()}
        for name, split in training.data.splits.items()
    }


def _by_model_name(tensors: Tensors) -> Tensors:
    """By the names that the model itself has for its parameters, as optimizers know them."""
    return {name.removeprefix("model."): value for name, value in tensors.items()}


def _map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _map(function, value) for key, value in tree.items()}
    return tree


def _require_plain(settings: LightningEngine) -> None:
    arguments = settings.trainer_arguments
    for key, fine in {
        "accelerator": ("auto", "cpu"),
        "devices": (1, "1", "auto"),
        "strategy": ("auto",),
        "num_nodes": (1,),
        "precision": ("32-true", "64-true", 32, 64),
        "detect_anomaly": (False,),
    }.items():
        if arguments[key] not in fine:
            raise NotFusable(f"trainer.{key}", f"{arguments[key]} needs the lightning engine")
    if settings.profiler is not None:
        raise NotFusable("trainer.profiler", "a profile needs the lightning engine")


def _require_plain_batches(data: TensorData) -> None:
    if type(data).batch is not TensorData.batch:
        raise NotFusable("data", f"{type(data).__name__} makes its batches itself")
