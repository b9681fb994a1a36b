"""The `fused` engine: R trainings of one structure as one program, each with its own numbers, data and randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from expkit.engines.conclusion import conclude
from expkit.engines.fused.memory import recognized_out_of_memory
from expkit.engines.fused.population import Population, StackView
from expkit.engines.fused.run_view import RunView, require_fusable
from expkit.engines.fused.stack import Tensors
from expkit.engines.fused.stack_checkpoint import StackCheckpoint
from expkit.engines.fused.stacked_training import StackedTraining
from expkit.engines.lightning import LightningEngine, is_finite, quiet_lightning
from expkit.engines.stages import Stages
from expkit.engines.training import State, Training
from expkit.errors import UserError
from expkit.probes.base import StepStatistic
from expkit.records.files import replacing
from expkit.seeding import derive, undisturbed


class FusedEngine:
    """Trains a stack of runs.

    Every run is what the `lightning` engine makes of it, within rounding: the same batches in the same order, the same
    evaluation points, the same metrics. (Dropout is the exception: it drops as many, but others.) A run whose loss is
    not finite any more ends there and leaves the others alone.

    Args:
        settings: the engine that each run has in its configuration; all agree.
        optimizers, schedulers: the configuration nodes of each run.
        clip: the largest norm of each run's gradient, None for any.
    """

    def __init__(
        self,
        settings: LightningEngine,
        optimizers: Sequence[Mapping[str, Any]],
        schedulers: Sequence[Mapping[str, Any]],
        clip: Sequence[float | None],
    ) -> None:
        self.settings = settings
        self.optimizers, self.schedulers, self.clip = optimizers, schedulers, clip

    def prepare(
        self, trainings: Sequence[Training], checkpoint: Path | None = None, population: Population | None = None
    ) -> Fit:
        """Stacks the trainings.

        Args:
            trainings: runs that start alike may share a task, and runs on the same data a data set, as objects.
            checkpoint: the file that the stack is saved to as often as the settings say, and taken up from.
            population: acts on the runs between evaluation points.

        Raises:
            NotFusable: the runs need something that this engine does not do.
            OutOfMemory: they are too many at once.
        """
        return Fit(self, trainings, checkpoint, population)


class Fit:
    """One fit: a stack, and what is kept and told of each run in it."""

    def __init__(
        self, engine: FusedEngine, trainings: Sequence[Training], checkpoint: Path | None, population: Population | None
    ) -> None:
        settings = engine.settings
        for training in trainings:
            require_fusable(training.callbacks)
        with recognized_out_of_memory(len(trainings)):
            self.core = StackedTraining(
                settings,
                tasks=[training.task for training in trainings],
                data=[training.data for training in trainings],
                seeds=[training.seed for training in trainings],
                optimizers=engine.optimizers,
                schedulers=engine.schedulers,
                clip=engine.clip,
                statistics=[one for one in trainings[0].callbacks if isinstance(one, StepStatistic)],
            )
        self.trainings = trainings
        self.stages = Stages(trainings[0].callbacks, self.core.max_steps)
        self._changed: dict[int, Tensors] = {}  # by interventions at this step
        self.core.points |= self.stages.evaluated
        self.allow_divergence = settings.allow_divergence
        self.population = population
        self.checkpoint: StackCheckpoint | None = None
        if checkpoint is not None:
            self.checkpoint = StackCheckpoint(checkpoint, settings.checkpoint_seconds, settings.checkpoint_steps)
        self.rows = list(range(len(trainings)))  # which training is at each place of the stack
        rates = self.core.learning_rates().tolist()
        self.views = [RunView(training, rate) for training, rate in zip(trainings, rates, strict=True)]
        self.states: dict[int, State] = {}  # of the runs that have ended
        self.ended: Callable[[int, State], None] = _ignore

    def run(self, ended: Callable[[int, State], None] | None = None) -> list[State]:
        """Trains all to the end, or, when asked to stop, as far as they are.

        Args:
            ended: is told the number of a run and how it ended, as soon as it has, while others may go on. Its metrics
                and its weights are written by then. Runs that are interrupted do not count.

        Returns:
            How each run ended.

        Raises:
            OutOfMemory: the runs are too many at once.
        """
        self.ended = ended or _ignore
        quiet_lightning()
        with undisturbed(), recognized_out_of_memory(len(self.rows)):
            self._run()
        return [self.states.get(row, "interrupted") for row in range(len(self.trainings))]

    def _run(self) -> None:
        core = self.core
        self._take_up()
        for row in self.rows:
            self.trainings[row].observer.started(core.step, core.max_steps)
        if core.step == 0:
            self._evaluate()
        while self.rows and core.step < core.max_steps:
            if self.trainings[0].stop.signal is not None:
                self._save()
                return
            core.advance()
            self.trainings[self.rows[0]].observer.advanced(core.step)  # for all: they advance together
            if core.step in core.points:
                self._evaluate()
            elif core.step in self.stages.points:
                for place in range(len(self.rows)):
                    self._act(place)
                self._take_changes()
            if self.checkpoint is not None and self.checkpoint.due(core.step):
                self._save()
        if self.rows:
            self._end_runs(["complete"] * len(self.rows))
        if self.checkpoint is not None:
            self.checkpoint.remove()

    def _evaluate(self) -> None:
        columns = {name: values.tolist() for name, values in self.core.evaluate().items()}
        metrics = [{name: values[place] for name, values in columns.items()} for place in range(len(self.rows))]
        rates = self.core.learning_rates().tolist()
        ending = [self._evaluate_run(place, rates[place], metrics[place]) for place in range(len(self.rows))]
        self._follow(metrics)
        self._take_changes()
        if self.population is not None:
            self.population.between(self.core.step, StackView(self.core, self.rows), metrics)
        if any(ending):
            self._end_runs(ending)

    def _end_runs(self, ending: Sequence[State | None]) -> None:
        """Ends those runs that have a state, and goes on with the others.

        The stack is saved before. Who is killed on the way finds some of the ending runs on record, and must not train
        the others again without them: rounding depends on how many there are.
        """
        self._save(ending)
        self._leave(ending)

    def _leave(self, ending: Sequence[State | None]) -> None:
        for place, state in enumerate(ending):
            if state is not None:
                self._finish(place, state)
        places = [place for place, state in enumerate(ending) if state is None]
        self.rows = [self.rows[place] for place in places]
        if places:
            self.core.keep(places)

    def _evaluate_run(self, place: int, learning_rate: float, metrics: dict[str, float]) -> State | None:
        """Records one run's metrics; how the run ends here, or None if it goes on."""
        row, step = self.rows[place], self.core.step
        training, view = self.trainings[row], self.views[row]
        view.global_step = step
        view.optimizers[0].param_groups[0]["lr"] = learning_rate
        view.fire("on_validation_start", "on_validation_epoch_start")
        metrics |= self._measure(place)
        if self.population is not None:
            metrics |= self.population.facts(row, {name: float(own[place]) for name, own in self.core.hyper.items()})
        view.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
        view.fire("on_validation_epoch_end", "on_validation_end")
        if step in self.stages.points and not view.should_stop:
            metrics |= self._act(place)
        training.log.add(step, metrics)
        for logger in training.loggers:
            logger.log_metrics(metrics, step)
        training.observer.evaluated(step, metrics)
        if not self.allow_divergence and not is_finite(metrics):
            return "diverged"
        if training.prune is not None and training.prune(step, metrics) and step < self.core.max_steps:
            return "pruned"
        return "complete" if view.should_stop else None

    def _follow(self, metrics: Sequence[Mapping[str, float]]) -> None:
        """Hands each run's metric to its scheduler, where that follows one."""
        values = []
        for own, monitor in zip(metrics, self.core.monitors, strict=True):
            if monitor is not None and monitor not in own:
                raise UserError(
                    f"scheduler.monitor={monitor}: there is no such metric.", f"There are: {', '.join(own)}."
                )
            values.append(0.0 if monitor is None else own[monitor])
        self.core.follow(torch.tensor(values, dtype=torch.float64))

    def _measure(self, place: int) -> dict[str, float]:
        """What the run's probes measure on its own weights."""
        training = self.trainings[self.rows[place]]
        measuring = [
            callback
            for callback in training.callbacks
            if hasattr(callback, "measure") and not isinstance(callback, StepStatistic)
        ]
        metrics: dict[str, float] = {}
        if measuring:
            self._load(place)
            training.task.eval()
            with torch.no_grad():
                for callback in measuring:
                    torch.manual_seed(derive(training.seed, f"{type(callback).__name__}/{self.core.step}"))
                    metrics |= callback.measure(training.task, training.data)
        return metrics

    def _act(self, place: int) -> dict[str, float]:
        """Lets interventions change a run's weights; the stack is given all changes at once, by `_take_changes`."""
        training = self.trainings[self.rows[place]]
        self._load(place)
        training.task.eval()
        with torch.no_grad():
            metrics = self.stages.act(training.task, training.data, training.seed, self.core.step)
        own = dict(training.task.named_parameters()) | dict(training.task.named_buffers())
        self._changed[place] = {name: values.detach().clone() for name, values in own.items()}
        return metrics

    def _take_changes(self) -> None:
        """Puts what interventions have made of runs into the stack; runs that they left out stay as they are."""
        if not self._changed:
            return
        stack = self.core.stack
        for tensors in (stack.parameters, stack.frozen, stack.buffers):
            for name, values in tensors.items():
                rows = [self._changed.get(place, {}).get(name, own) for place, own in enumerate(values)]
                tensors[name] = torch.stack(rows)  # a new tensor: compiled steps keep theirs
        if self.stages.fresh_optimizer(self.core.step):
            self.core.reset_optimizer()
        self._changed = {}

    def _finish(self, place: int, state: State) -> None:
        """A run's last weights go to its task, and to its record."""
        row = self.rows[place]
        training = self.trainings[row]
        self._load(place)
        self.views[row].fire("on_train_end")
        if state == "complete":
            training.task.eval()
            conclude(training)
        training.log.flush()
        if state != "pruned":  # which may be taken up one day, and from weights alone it cannot be
            training.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            with replacing(training.checkpoint) as aside:
                torch.save({"state_dict": training.task.state_dict(), "global_step": self.core.step}, aside)
        self._end(row, state)

    def _end(self, row: int, state: State) -> None:
        self.states[row] = state
        self.ended(row, state)

    @torch.no_grad()
    def _load(self, place: int) -> None:
        """One run's weights into its task, which may be that of others too.

        The program computes with one of the tasks as well, but never reads its weights.
        """
        task = self.trainings[self.rows[place]].task
        self.views[self.rows[place]].attach()
        tensors = self.core.stack.parameters | self.core.stack.frozen | self.core.stack.buffers
        own = dict(task.named_parameters()) | dict(task.named_buffers())
        for name, values in tensors.items():
            own[name].copy_(values[place])

    def _save(self, ending: Sequence[State | None] = ()) -> None:
        """Writes the stack where it is, so that it can be taken up; with the states of those runs that end here."""
        # Metrics first: rows after a checkpoint's step are dropped on resuming, missing ones could not be made up.
        for row in self.rows:
            self.trainings[row].log.flush()
        if self.checkpoint is not None and self.core.step:
            self.checkpoint.save(
                {
                    "runs": [self._name(row) for row in self.rows],
                    "ending": list(ending) or [None] * len(self.rows),
                    "ended": {
                        self._name(row): [state, self.views[row].global_step] for row, state in self.states.items()
                    },
                    "callbacks": [self.views[row].state_dict() for row in self.rows],
                    "stack": self.core.state_dict(),
                    "population": self.population.state_dict() if self.population is not None else {},
                }
            )

    def _take_up(self) -> None:
        """Goes on where a stack of these runs was saved, if one was."""
        names = {self._name(row): row for row in self.rows}
        saved = self.checkpoint.load(names.keys()) if self.checkpoint is not None else None
        if saved is None:
            return
        ended = {name: own for name, own in saved["ended"].items() if name in names}
        going = [name for name in saved["runs"] if name in names]
        steps = dict.fromkeys(going, saved["stack"]["step"]) | {name: step for name, (_, step) in ended.items()}
        if not all(self.trainings[names[name]].log.resume(step) for name, step in steps.items()):
            for training in self.trainings:  # the metrics of some are lost: all begin anew
                training.log.rows = []
            return
        for name, (state, _) in ended.items():
            self._end(names[name], state)
        places = [place for place, name in enumerate(saved["runs"]) if name in names]
        self.rows = [names[name] for name in going]
        self.core.keep(self.rows)
        self.core.load_state_dict(saved["stack"], places)
        if self.population is not None:
            self.population.load_state_dict(saved["population"])
        for row, place in zip(self.rows, places, strict=True):
            self.views[row].load_state_dict(saved["callbacks"][place])
        self._leave([saved["ending"][place] for place in places])

    def _name(self, row: int) -> str:
        return self.trainings[row].folder.name


def _ignore(row: int, state: State) -> None:
    """Nobody waits to be told."""
