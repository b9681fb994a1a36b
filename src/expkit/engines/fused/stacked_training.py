"""R trainings of one structure as one: the numbers alone, without anything that is kept or told per run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from expkit.data.base import Split, TensorData
from expkit.engines.evaluation_points import evaluated_splits, evaluation_points
from expkit.engines.fused import dropout
from expkit.engines.fused.batches import Batches
from expkit.engines.fused.blocks import block_size
from expkit.engines.fused.cache_size import cache_size
from expkit.engines.fused.clipping import clip_by_norm
from expkit.engines.fused.device import device_of
from expkit.engines.fused.memory import BytesMade
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.optimizers import BatchedOptimizer, batched_optimizer
from expkit.engines.fused.pace import Pace
from expkit.engines.fused.plateau import BatchedPlateau
from expkit.engines.fused.program import EVALUATED_AT_ONCE, Program, length
from expkit.engines.fused.schedules import is_plateau, learning_rates
from expkit.engines.fused.stack import Stack, Tensors, distinct_objects, stack
from expkit.engines.lightning import LightningEngine
from expkit.engines.precision import convert_data, convert_task
from expkit.memory_error import is_out_of_memory
from expkit.probes.base import StepStatistic
from expkit.tasks.base import Task

Node = Mapping[str, Any]

ALIVE = 0.25
"""Of all that an evaluation makes, the share that is taken to be there at a time."""


class StackedTraining:
    """A stack of runs, and all that changes with its steps.

    Nothing here grows with R but tensors, so that a dense sweep of thousands of runs can use it as it is: `advance`
    makes a step of all runs, `evaluate` gives their metrics, `follow` hands those to plateau schedules, `keep` drops
    runs. A run is known by its place on the leading axis.

    Args:
        settings: the engine that each run has in its configuration; all agree.
        tasks: of each run; runs that start alike may have the same object.
        data: of each run, set up; runs on the same data may have the same object.
        seeds: of each run; batch order and dropout derive from it.
        optimizers, schedulers: the configuration nodes of each run.
        clip: the largest norm of each run's gradient, None for any.
        statistics: of the training loss at every step, the same for all runs.

    Attributes:
        step: optimizer steps made.
        max_steps: of the whole training.
        points: the steps at which to evaluate.
        hyper: the optimizer's numbers, (R,) each, in float64.

    Raises:
        NotFusable: the runs need something that this engine does not do.
    """

    def __init__(
        self,
        settings: LightningEngine,
        tasks: Sequence[Task],
        data: Sequence[TensorData],
        seeds: Sequence[int],
        optimizers: Sequence[Node],
        schedulers: Sequence[Node],
        clip: Sequence[float | None],
        statistics: Sequence[StepStatistic] = (),
    ) -> None:
        self.device = device_of(settings)
        self.settings = settings
        self.optimizer: BatchedOptimizer = batched_optimizer(optimizers)
        if settings.trainer_arguments["precision"] in ("64-true", 64):
            for task in distinct_objects(tasks)[0]:  # runs share them
                convert_task(task, torch.float64)
            for one in distinct_objects(data)[0]:
                convert_data(one, torch.float64)
        self.max_steps = settings.steps(data[0])
        self.points = evaluation_points(settings.eval_at, self.max_steps)
        self.evaluated = frozenset(evaluated_splits(data[0]))
        self.stack: Stack = stack(tasks, data).to(self.device)
        self.batches = Batches(self.stack, data, seeds, settings.overfit_batches)
        self.program = Program(tasks[0], self.stack)
        self.names = {name.removeprefix("model."): name for name in self.stack.parameters}
        self.hyper = {name: values.to(self.device) for name, values in self.optimizer.hyper.items()}
        self.state: Any
        self.reset_optimizer()
        rows = [self.max_steps + 1] * len(tasks)  # after the last update there is a rate for the next one, too
        self.factors = learning_rates(optimizers, schedulers, rows).to(self.device)
        followed = any(node and is_plateau(node) for node in schedulers)
        self.plateau = BatchedPlateau(optimizers, schedulers) if followed else None
        self.limits = _limits(clip, self.device)
        self.statistics = list(statistics)
        self.statistic_states: list[Tensors] | None = None  # before the first step
        self.keys: Tensor | None = None  # of dropout, where there is any
        self.step = 0
        self._bytes_per_example = 0.0  # that an evaluation makes
        self._pace = Pace(self._advanced, self._in_dims(), name=_name(tasks[0], self.optimizer))
        self._try_a_step()

    @property
    def size(self) -> int:
        """R, the number of runs in the stack now."""
        return self.stack.size

    def advance(self) -> None:
        """Makes one optimizer step of every run."""
        self.program.task.train()
        stack = self.stack
        stack.parameters, changed, self.state, self.statistic_states = self._pace.advance(self.max_steps - self.step)(
            *self._arguments()
        )
        stack.buffers = stack.buffers | changed
        self.step += 1

    def evaluate(self) -> dict[str, Tensor]:
        """The task's metrics over every split, `<split>/<metric>`, and step statistics; (R,) each, in float64."""
        metrics = self._evaluated()
        for statistic, state in zip(self.statistics, self.statistic_states or (), strict=False):
            # Tensors that are measured may be those of the state, which the next step overwrites.
            metrics |= {name: value.to(torch.float64, copy=True) for name, value in statistic.measure(state).items()}
        return metrics

    @torch.no_grad()
    def _evaluated(self, examples: int | None = None) -> dict[str, Tensor]:
        """The task's metrics over every split, or over its first few examples."""
        self.program.task.eval()
        return {
            f"{split}/{name}": values
            for split, columns in self.stack.splits.items()
            if split in self.evaluated
            for name, values in self.program.evaluate(
                self.stack, columns, self.stack.shared[split], examples=examples, runs=self._runs_at_once(split)
            ).items()
        }

    def _runs_at_once(self, split: str) -> int | None:
        """How many runs to evaluate at once, of which all that is alive at a time stays in the cache; None: all."""
        if self.device.type != "cpu" or not self._bytes_per_example:
            return None
        examples = min(EVALUATED_AT_ONCE, length(self.stack.splits[split], self.stack.shared[split]))
        return block_size(self.size, int(ALIVE * examples * self._bytes_per_example), cache_size())

    def reset_optimizer(self) -> None:
        """The optimizer starts anew, at the weights that there are."""
        self.state = self.optimizer.init(_by_model_name(self.stack.parameters))

    def learning_rates(self) -> Tensor:
        """(R,), those of the next step."""
        return self.hyper["lr"] * self._factor()

    @property
    def monitors(self) -> list[str | None]:
        """The metric that each run's schedule follows, None where it follows none."""
        return [None] * self.size if self.plateau is None else self.plateau.monitors

    def follow(self, values: Tensor) -> None:
        """Hands each run the value of the metric that its schedule follows, (R,); elsewhere it does not matter."""
        if self.plateau is not None:
            self.plateau.step(values.cpu())

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with some runs only, in the order given."""
        chosen = torch.tensor(places, dtype=torch.long)
        self.batches.keep(places)
        if self.plateau is not None:
            self.plateau.keep(chosen)
        chosen = chosen.to(self.device)
        self.stack.keep(chosen)
        self.state, self.hyper, self.statistic_states = mapped(
            lambda values: values[chosen] if values.ndim else values, (self.state, self.hyper, self.statistic_states)
        )
        self.factors = self.factors[:, chosen]
        self.limits = None if self.limits is None else self.limits[chosen]
        self.keys = None if self.keys is None else self.keys[chosen]

    def state_dict(self) -> dict[str, Any]:
        """All that changes with steps; what does not is made again from the configurations."""
        return {
            "step": self.step,
            "parameters": self.stack.parameters,
            "frozen": self.stack.frozen,  # which runs may copy from each other
            "buffers": self.stack.buffers,
            "optimizer": self.state,
            "hyper": self.hyper,
            "plateau": {} if self.plateau is None else self.plateau.state_dict(),
            "statistics": self.statistic_states,
        }

    def load_state_dict(self, state: Mapping[str, Any], places: Sequence[int]) -> None:
        """Goes on where a training that these runs were part of had its `state_dict` taken.

        Args:
            state: of that training.
            places: that each of these runs had in it.
        """
        chosen = torch.tensor(places, dtype=torch.long)
        state = mapped(lambda values: values[chosen] if values.ndim else values, state)
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])
        here = mapped(lambda values: values.to(self.device), {k: v for k, v in state.items() if k != "plateau"})
        self.stack.parameters, self.stack.frozen, self.stack.buffers = (
            here["parameters"],
            here["frozen"],
            here["buffers"],
        )
        self.state, self.hyper, self.statistic_states = here["optimizer"], here["hyper"], here["statistics"]
        self.step = here["step"]

    def trial(self) -> None:
        """Makes the next step of the first one or two runs, and throws its result away."""
        self.program.task.train()
        self._pace.trial(*self._arguments())

    def _try_a_step(self) -> None:
        """Whether torch can vectorize a step and an evaluation is seen by making them, as small as they can be."""
        try:
            try:
                self.trial()
            except Exception:  # only dropout of their own makes some steps possible, and costs nothing where it is none
                self.keys = dropout.keys(self.batches.seeds).to(self.device)
                self.trial()
            self.program.changing = self._changing_buffers()
            with BytesMade() as made:
                self._evaluated(examples=2)
            self._bytes_per_example = made.bytes / (2 * self.size * len(self.stack.splits))
        except Exception as error:  # whatever it is, a run by itself shows whether it is the user's to mend
            if is_out_of_memory(error):
                raise
            said = str(error).strip().split("\n")[0]
            if "randomness" in said:
                raise NotFusable("model", "it draws at random inside a step, other than by dropout") from error
            where = ", ".join(f"{number.module}.{number.attribute}" for number in self.stack.lifted)
            raise NotFusable(where or "model", f"torch cannot vectorize it: {said}") from error

    def _changing_buffers(self) -> frozenset[str]:
        """Those that a step changes, as running statistics, are seen by making one on buffers that nobody needs.

        Masks, and weights that are only remembered, are as large as the weights: to copy them in each step for nothing
        can take as long as the rest of it.
        """
        own = self.stack.buffers
        if not own:
            return frozenset()
        copies = {name: values.clone() for name, values in own.items()}
        before = {name: values._version for name, values in copies.items()}
        self.program.changing = frozenset()
        self.stack.buffers = copies
        try:
            self.trial()
        finally:
            self.stack.buffers = own
        # Batch norm changes its own without counting it as a version.
        return frozenset(
            name for name, new in copies.items() if new._version != before[name] or not torch.equal(new, own[name])
        )

    def _arguments(self) -> tuple[Any, ...]:
        """What the next step is made from."""
        stack, per_step = self.stack, self.settings.accumulate
        parts = range(self.step * per_step, (self.step + 1) * per_step)
        return (
            stack.parameters,
            stack.frozen,
            stack.buffers,
            [number.values for number in stack.lifted],
            self.state,
            self.statistic_states,
            [self.batches.at(index) for index in parts],
            None if self.keys is None else [dropout.streams(self.keys, index) for index in parts],
            self._factor(),
            self.hyper,
            self.limits,
        )

    def _in_dims(self) -> tuple[Any, ...]:
        """Which of `_arguments` have the runs on a leading axis, 0 for those that do."""
        batch = {name: None if name in self.batches.shared else 0 for name in self.stack.splits["train"]}
        return (*[0] * 6, [batch] * self.settings.accumulate, *[0] * 4)

    def _advanced(
        self,
        parameters: Tensors,
        frozen: Tensors,
        buffers: Tensors,
        numbers: list[Tensor],
        state: Any,
        statistics: list[Tensors] | None,
        batches: list[Split],
        noise: list[Tensor] | None,
        factor: Tensor,
        hyper: Tensors,
        limits: Tensor | None,
    ) -> tuple[Tensors, Tensors, Any, list[Tensors] | None]:
        """One step of all runs; pure, so that it can be compiled."""
        gradients: Tensors = {}
        changed: Tensors = {}
        losses: list[Tensor] = []
        for part, batch in enumerate(batches):
            own, loss, changed = self.program.gradients(
                parameters,
                frozen,
                buffers | changed,
                numbers,
                batch,
                self.batches.shared,
                None if noise is None else noise[part],
            )
            gradients = {name: gradients[name] + own[name] if gradients else own[name] for name in own}
            losses.append(loss)
        if len(batches) > 1:
            gradients = {name: gradient / len(batches) for name, gradient in gradients.items()}
        if limits is not None:
            gradients = clip_by_norm(gradients, limits)
        updated, state = self.optimizer.update(
            _by_model_name(parameters), _by_model_name(gradients), state, factor, hyper
        )
        if self.statistics:
            statistics = self._counted(statistics, torch.stack(losses).mean(0))
        return {self.names[name]: value for name, value in updated.items()}, changed, state, statistics

    def _counted(self, states: list[Tensors] | None, loss: Tensor) -> list[Tensors]:
        """The statistics after a step whose loss was this, (R,)."""
        if states is None:
            return [statistic.begin(loss) for statistic in self.statistics]
        return [statistic.step(state, loss) for statistic, state in zip(self.statistics, states, strict=True)]

    def _factor(self) -> Tensor:
        """(R,), the learning rate of the next update over the optimizer's own."""
        factor = self.factors[min(self.step, len(self.factors) - 1)]
        return factor if self.plateau is None else factor * self.plateau.factor.to(self.device)


def mapped(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """A nest of mappings, lists and tuples with every tensor in it replaced."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(function, value) for value in tree)
    return tree


def _name(task: Task, optimizer: BatchedOptimizer) -> str:
    """What a step computes, as far as the shapes of tensors do not tell."""
    return f"{type(task).__name__} {task.model} {type(optimizer).__name__}"


def _limits(clip: Sequence[float | None], device: torch.device) -> Tensor | None:
    limits = [math.inf if limit is None else float(limit) for limit in clip]
    return None if all(map(math.isinf, limits)) else torch.tensor(limits, dtype=torch.float64, device=device)


def _by_model_name(tensors: Tensors) -> Tensors:
    """By the names that the model itself has for its parameters, as optimizers know them."""
    return {name.removeprefix("model."): value for name, value in tensors.items()}
