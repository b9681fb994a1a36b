"""The `lightning` engine: one training by Lightning's Trainer, on any hardware.

Training is a single epoch of `max_steps` batches, whatever an epoch of the data is: Lightning's work at the ends of
epochs and its logging cost several times a small network's step. Everything is measured at evaluation points instead.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as lightning
import torch
from lightning.pytorch import profilers
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor, nn

from expkit.data.base import Split, TensorData
from expkit.engines.compiler import as_written, compiled_model
from expkit.engines.conclusion import conclude
from expkit.engines.evaluation_points import evaluated_splits, evaluation_points
from expkit.engines.ranks import all_ranks, lightning_environment
from expkit.engines.stages import Stages
from expkit.engines.training import State, Training
from expkit.errors import ConfigError, UserError
from expkit.optim.plateau import ReduceLROnPlateau
from expkit.probes.base import StepStatistic
from expkit.records.files import replacing
from expkit.seeding import derive, undisturbed
from expkit.tasks.base import Task


class LightningEngine:
    """Trains with Lightning's Trainer.

    Args:
        max_steps: optimizer steps; or give `max_epochs`.
        max_epochs: passes over the training data, converted to steps.
        eval_at: when to evaluate: 'log' (steps 0, 1, 2, 3, 5, 8, ...), every n steps, or a list of steps. Step 0 and
            the last step are always evaluated.
        accelerator, devices, num_nodes, strategy, precision, gradient_clip_val, accumulate_grad_batches, deterministic,
            profiler, detect_anomaly: as for Lightning's Trainer.
        checkpoint_minutes: time between two checkpoints; the last state is always saved.
        checkpoint_steps: optimizer steps between two checkpoints, in addition.
        overfit_batches: trains on the first n batches only, again and again; 0 trains on all.
        allow_divergence: whether a run whose loss is not finite goes on to its end, and is complete.
        compile: whether torch.compile compiles the model for training steps. Evaluation runs it as it is written.
    """

    def __init__(
        self,
        max_steps: int | None = 1000,
        max_epochs: float | None = None,
        eval_at: Literal["log"] | int | Sequence[int] = "log",
        accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto",
        devices: int | str | Sequence[int] = 1,
        num_nodes: int = 1,
        strategy: str = "auto",
        precision: int | str = "32-true",
        gradient_clip_val: float | None = None,
        accumulate_grad_batches: int = 1,
        deterministic: bool | Literal["warn"] = "warn",
        checkpoint_minutes: float | None = 5.0,
        checkpoint_steps: int | None = None,
        overfit_batches: int = 0,
        profiler: Literal["simple", "advanced", "pytorch"] | None = None,
        detect_anomaly: bool = False,
        allow_divergence: bool = False,
        compile: bool = False,
    ) -> None:
        if (max_steps is None) == (max_epochs is None):
            raise ValueError("give one of max_steps and max_epochs (and set the other to null)")
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps is at least 1, got {max_steps}")
        self.max_steps = max_steps
        self.max_epochs = max_epochs
        self.eval_at = eval_at
        self.checkpoint_seconds = math.inf if checkpoint_minutes is None else 60 * checkpoint_minutes
        self.checkpoint_steps = checkpoint_steps
        self.overfit_batches = overfit_batches
        self.accumulate = accumulate_grad_batches
        self.profiler = profiler
        self.allow_divergence = allow_divergence
        self.compile = compile
        self.trainer_arguments: dict[str, Any] = {
            "accelerator": accelerator,
            "devices": devices,
            "num_nodes": num_nodes,
            "strategy": strategy,
            "precision": precision,
            "gradient_clip_val": gradient_clip_val,
            "accumulate_grad_batches": accumulate_grad_batches,
            "deterministic": deterministic,
            "detect_anomaly": detect_anomaly,
        }

    def steps(self, data: TensorData) -> int:
        """Optimizer steps of the whole training."""
        if self.max_steps is not None:
            return self.max_steps
        assert self.max_epochs is not None
        return math.ceil(self.max_epochs * data.batches_per_epoch / self.accumulate)

    def fit(self, training: Training) -> State:
        """Trains to the end, or until asked to stop; leaves the last state in `checkpoints/last.ckpt`."""
        if not isinstance(training.task, Task):
            raise ConfigError(f"{type(training.task).__name__} computes and does not train.", "Use trainer=compute.")
        if self._on_cpu and "fsdp" in (strategy := self.trainer_arguments["strategy"]):
            raise UserError(
                f"trainer.strategy={strategy} divides a model among GPUs, and there is none to train on here.",
                "trainer=ddp_cpu divides the batches among processes on the CPU; `expkit doctor` shows what there is.",
            )
        quiet_lightning()
        max_steps = self.steps(training.data)
        with self._processes(training), self._compiled(training):
            trainer = self._trainer(training, max_steps)
            _check_shares(training, trainer.world_size)
            _leave_signals_alone(trainer)
            training.data.to(trainer.strategy.root_device)
            training.data.splits = trainer.precision_plugin.convert_input(training.data.splits)
            # Lightning does so as well, but only after it has read a checkpoint's weights, which would be rounded.
            trainer.precision_plugin.convert_module(training.task)
            training.observer.started(training.log.last.get("step", 0), max_steps)
            keeper = next(callback for callback in trainer.callbacks if isinstance(callback, _Keeper))  # type: ignore[attr-defined]
            with undisturbed(), _restored_determinism():
                try:
                    trainer.fit(
                        training.task,
                        train_dataloaders=_Batches(training, trainer, self.overfit_batches, self.accumulate, max_steps),
                        ckpt_path=training.resume,
                        weights_only=True,
                    )
                except (
                    SystemExit
                ) as error:  # Lightning's answer to a second Ctrl-C is to end the process, with status 1
                    raise KeyboardInterrupt from error
        training.log.flush()
        if keeper.diverged:
            return "diverged"
        if keeper.pruned:
            return "pruned"
        return "interrupted" if keeper.interrupted else "complete"

    def _compiled(self, training: Training) -> AbstractContextManager[None]:
        return compiled_model(training.task.model, training.observer.warn) if self.compile else nullcontext()

    def _trainer(self, training: Training, max_steps: int) -> lightning.Trainer:
        points = evaluation_points(self.eval_at, max_steps)
        stages = Stages(training.callbacks, max_steps)
        checkpoints = any(isinstance(callback, ModelCheckpoint) for callback in training.callbacks)
        try:
            return lightning.Trainer(
                **self.trainer_arguments,
                plugins=lightning_environment(),
                max_steps=max_steps,
                max_epochs=1,
                callbacks=[
                    _StepRandomness(training.seed),
                    *training.callbacks,
                    *_step_statistics(training.callbacks),
                    # Last: evaluates and saves what the other callbacks have made of the step.
                    _Keeper(
                        training, points, stages, self.checkpoint_seconds, self.checkpoint_steps, self.allow_divergence
                    ),
                ],
                logger=list(training.loggers) or False,
                profiler=self._profiler(training.folder),
                default_root_dir=training.folder,
                enable_checkpointing=checkpoints,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                limit_val_batches=0,
            )
        except (lightning.utilities.exceptions.MisconfigurationException, ValueError, RuntimeError) as error:
            wanted = ", ".join(f"{key}={self.trainer_arguments[key]}" for key in ("accelerator", "devices", "strategy"))
            raise UserError(
                f"This machine cannot train with {wanted}: {str(error).strip().splitlines()[0]}",
                "`expkit doctor` shows what it has; trainer=cpu works everywhere.",
            ) from error

    def _profiler(self, folder: Path) -> profilers.Profiler:
        kinds = {
            "simple": profilers.SimpleProfiler,
            "advanced": profilers.AdvancedProfiler,
            "pytorch": profilers.PyTorchProfiler,
        }
        return _NoProfiler() if self.profiler is None else kinds[self.profiler](dirpath=folder, filename="profile")

    def _processes(self, training: Training) -> AbstractContextManager[None]:
        """The other processes of a training on several devices."""
        devices, nodes = self.trainer_arguments["devices"], self.trainer_arguments["num_nodes"]
        count = devices if isinstance(devices, int) else len(devices) if not isinstance(devices, str) else None
        if count is None or count == -1:
            count = 1 if self._on_cpu else torch.cuda.device_count()
        if count * nodes == 1 or not training.rank_command:
            return nullcontext()
        return all_ranks(count, nodes, training.rank_command, share_cores=self._on_cpu)

    @property
    def _on_cpu(self) -> bool:
        return self.trainer_arguments["accelerator"] == "cpu" or not torch.cuda.is_available()


def is_finite(metrics: Mapping[str, float]) -> bool:
    """Whether every loss among the metrics is a finite number; where one is not, a run counts as diverged."""
    return all(math.isfinite(value) for name, value in metrics.items() if name.endswith("/loss"))


@contextmanager
def _restored_determinism() -> Iterator[None]:
    """Lightning chooses deterministic algorithms for the whole process."""
    before = torch.get_deterministic_debug_mode()
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def _leave_signals_alone(trainer: lightning.Trainer) -> None:
    """A stop is asked for by `training.stop`. Lightning's own answer to SIGTERM speaks to the other processes at once,
    whatever they are about, and both may then wait for each other for ever."""
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def quiet_lightning() -> None:
    """Silences Lightning's banners and its advice about choices that are made on purpose here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\.(pytorch|fabric)\..*")
    warnings.filterwarnings("ignore", message=r".*resuming from a checkpoint that ended before the epoch.*")


class _NoProfiler(profilers.PassThroughProfiler):
    """Lightning's own makes a new context for each of a step's many actions; this one has one that does nothing."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        return self._nothing


class _Batches:
    """The batches of a training from where it stands, one after another, each a function of the seed and its number."""

    def __init__(
        self, training: Training, trainer: lightning.Trainer, overfit: int, accumulate: int, max_steps: int
    ) -> None:
        self.training = training
        self.trainer = trainer
        self.overfit = overfit
        self.accumulate = accumulate
        self.length = max_steps * accumulate

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Split]:
        data, seed, trainer = self.training.data, self.training.seed, self.trainer
        first = trainer.global_step * self.accumulate
        for index in range(first, self.length):
            chosen = index % self.overfit if self.overfit else index
            yield data.batch(chosen, seed, trainer.global_rank, trainer.world_size)


class _StepRandomness(lightning.Callback):
    """Makes what a batch's step draws (dropout) a function of the seed, the batch's number and the process.

    So a resumed training draws as an uninterrupted one, and nothing else that draws can disturb it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed = derive(self.seed, f"step/{batch_idx}/{trainer.global_rank}")
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)


class _Statistics(lightning.Callback):
    """Keeps the states of step statistics, and shows them every step's loss as one over all batches and processes."""

    def __init__(self, statistics: Sequence[StepStatistic]) -> None:
        self.statistics = statistics
        self.states: list[dict[str, Tensor]] | None = None
        self._loss: Tensor | None = None
        self._step = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._step = trainer.global_step
        if self.states is not None:  # from a checkpoint, which is read to the CPU
            self.states = [{key: value.to(pl_module.device) for key, value in state.items()} for state in self.states]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning has divided the loss by the number of batches per step, and `Task` has weighed it by their sizes.
        loss = outputs["loss"] if self._loss is None else self._loss + outputs["loss"]
        if trainer.global_step == self._step:  # gradients are still being accumulated
            self._loss = loss
            return
        self._step, self._loss = trainer.global_step, None
        loss = trainer.strategy.reduce(loss, reduce_op="mean") if trainer.world_size > 1 else loss
        if self.states is None:
            self.states = [statistic.begin(loss) for statistic in self.statistics]
        else:
            self.states = [one.step(state, loss) for one, state in zip(self.statistics, self.states, strict=True)]

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        measured = [one.measure(state) for one, state in zip(self.statistics, self.states or (), strict=False)]
        return {name: float(value) for own in measured for name, value in own.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"states": self.states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.states = state_dict["states"]


def _step_statistics(callbacks: Sequence[lightning.Callback]) -> list[_Statistics]:
    statistics = [callback for callback in callbacks if isinstance(callback, StepStatistic)]
    return [_Statistics(statistics)] if statistics else []


class _Keeper(lightning.Callback):
    """Evaluates at evaluation points, saves checkpoints, and stops when asked to."""

    def __init__(
        self,
        training: Training,
        points: frozenset[int],
        stages: Stages,
        checkpoint_seconds: float,
        checkpoint_steps: int | None,
        allow_divergence: bool,
    ) -> None:
        self.training = training
        self.points = points | stages.evaluated
        self.stages = stages
        self.checkpoint_seconds = checkpoint_seconds
        self.checkpoint_steps = checkpoint_steps
        self.allow_divergence = allow_divergence
        self.interrupted = False
        self.diverged = False
        self.pruned = False
        self._saved_at = time.monotonic()
        self._step = -1

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        training = self.training
        training.task.examples_per_step = (
            training.data.n_train if training.data.batch_size == "full" else training.data.batch_size
        )
        self._step = trainer.global_step
        if (first := trainer.strategy.broadcast(self._step)) != self._step:
            raise UserError(
                f"This process is at step {self._step} of the training, and the first one at step {first}.",
                "They see different records: all machines need the same run store, on a file system that they share.",
            )
        if trainer.global_step == 0:
            self._evaluate(trainer)
        self._save_or_stop(trainer)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._step:  # gradients are still being accumulated
            return
        self._step = step
        self.training.observer.advanced(step)
        if step in self.points:
            self._evaluate(trainer)
        elif step in self.stages.points:
            self._act(trainer)
        self._save_or_stop(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.interrupted or self.pruned:  # saved where it can go on, which at the end of Lightning's epoch it cannot
            return
        self._evaluate(trainer)  # a callback may have ended the training between two evaluation points
        if not self.diverged:
            self._conclude(trainer)
        self._save(trainer)

    def _evaluate(self, trainer: lightning.Trainer) -> None:
        step, training = trainer.global_step, self.training
        if step in training.log:
            return
        self._fire(trainer, "on_validation_start", "on_validation_epoch_start")
        # What the metrics decide (a stop, a learning rate), they decide in all processes alike.
        metrics = trainer.strategy.broadcast(self._measure(trainer))
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in metrics.items()})
        self._fire(trainer, "on_validation_epoch_end", "on_validation_end")
        if step in self.stages.points and not trainer.should_stop:
            metrics |= self._act(trainer)
        training.log.add(step, metrics)
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step)
        training.observer.evaluated(step, metrics)
        self._step_plateau_schedulers(trainer, metrics)
        if not self.allow_divergence and not is_finite(metrics):
            self.diverged = trainer.should_stop = True
        if self._is_to_be_pruned(trainer, metrics):
            self.pruned = trainer.should_stop = True

    def _is_to_be_pruned(self, trainer: lightning.Trainer, metrics: dict[str, float]) -> bool:
        """Asked of the first process, which alone reports to a search. A run at its end is not stopped early."""
        prune, step = self.training.prune, trainer.global_step
        prunes = prune is not None and prune(step, metrics)
        if trainer.world_size > 1:
            prunes = trainer.strategy.reduce_boolean_decision(prunes, all=False)
        return prunes and step < trainer.max_steps

    def _act(self, trainer: lightning.Trainer) -> dict[str, float]:
        """Lets interventions change the model; the optimizer forgets what it knows of it, if they say so."""
        if isinstance(trainer.strategy, FSDPStrategy):
            raise UserError("Stages need whole parameters, of which FSDP keeps parts.", "Use trainer.strategy=ddp.")
        training, step = self.training, trainer.global_step
        with torch.no_grad(), _evaluating(training.task):
            metrics = self.stages.act(training.task, training.data, training.seed, step)
            if trainer.world_size > 1:
                _as_in_first_process(training.task)
        if self.stages.fresh_optimizer(step):
            for optimizer in trainer.optimizers:
                optimizer.state.clear()
        return metrics

    def _conclude(self, trainer: lightning.Trainer) -> None:
        """What is measured once; the first process alone keeps it."""
        with trainer.precision_plugin.forward_context(), _whole_parameters(trainer), _evaluating(self.training.task):
            conclude(self.training, writes=trainer.is_global_zero)

    def _measure(self, trainer: lightning.Trainer) -> dict[str, float]:
        training, step = self.training, trainer.global_step
        metrics: dict[str, float] = {}
        with (
            torch.no_grad(),
            trainer.precision_plugin.forward_context(),
            _whole_parameters(trainer),
            _evaluating(training.task),
        ):
            for split, values in evaluated_splits(training.data).items():
                metrics |= {f"{split}/{name}": value for name, value in training.task.evaluate(values).items()}
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if (measure := getattr(callback, "measure", None)) and not isinstance(callback, StepStatistic):
                    torch.manual_seed(derive(training.seed, f"{type(callback).__name__}/{step}"))
                    metrics |= measure(training.task, training.data)
        return metrics

    def _fire(self, trainer: lightning.Trainer, *hooks: str) -> None:
        """Lets Lightning's own callbacks (early stopping, averaging, best checkpoint) work at evaluation points."""
        for hook in hooks:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if callback is not self:
                    getattr(callback, hook)(trainer, trainer.lightning_module)

    def _step_plateau_schedulers(self, trainer: lightning.Trainer, metrics: dict[str, float]) -> None:
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                monitor = config.scheduler.monitor
                if monitor not in metrics:
                    raise UserError(
                        f"scheduler.monitor={monitor}: there is no such metric.", f"There are: {', '.join(metrics)}."
                    )
                config.scheduler.step(metrics[monitor])

    def _save_or_stop(self, trainer: lightning.Trainer) -> None:
        stop = self.training.stop.signal is not None
        due = time.monotonic() - self._saved_at > self.checkpoint_seconds
        if trainer.world_size > 1:  # a signal or a clock may say so to some processes only
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
            due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if self.checkpoint_steps and trainer.global_step and trainer.global_step % self.checkpoint_steps == 0:
            due = True
        if stop:
            self.interrupted = trainer.should_stop = True
        # Before the first step there is nothing to save that a fresh start does not make again.
        if (stop or due or self.pruned) and trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        # Metrics first: rows after a checkpoint's step are dropped on resuming, missing ones could not be made up.
        self.training.log.flush()
        path = self.training.checkpoint
        if trainer.is_global_zero:
            path.parent.mkdir(exist_ok=True)
        with replacing(path) if trainer.is_global_zero else nullcontext(path) as target:
            trainer.save_checkpoint(target)
        self._saved_at = time.monotonic()


@contextmanager
def _evaluating(task: Task) -> Iterator[None]:
    """Evaluation mode, after which every module is in the mode that it was in."""
    modes = {module: module.training for module in task.modules()}
    task.eval()
    try:
        with as_written(task.model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check_shares(training: Training, processes: int) -> None:
    """Whether every process has a share of every batch, and whether that is all that a step needs to know."""
    if processes == 1:
        return
    data = training.data
    size = data.n_train if data.batch_size == "full" else data.batch_size
    if size < processes:
        raise UserError(
            f"A batch of {size} cannot be divided among {processes} processes.",
            "Choose a larger data.batch_size, or fewer trainer.devices.",
        )
    if any(isinstance(getattr(module, "running_mean", None), Tensor) for module in training.task.modules()):
        training.observer.warn(
            f"batch normalization sees a process's share of the batch, {size / processes:.4g} of {size} examples, "
            "so results differ from those of one process"
        )


def _as_in_first_process(task: Task) -> None:
    """Parameters and buffers of all processes become those of the first, should they differ by rounding."""
    for tensor in task.state_dict().values():
        whole = tensor.contiguous()
        torch.distributed.broadcast(whole, src=0)
        tensor.copy_(whole)


def _whole_parameters(trainer: lightning.Trainer) -> AbstractContextManager[Any]:
    """Under FSDP each process holds a part of every parameter; an evaluation outside of training gathers them."""
    if isinstance(trainer.strategy, FSDPStrategy):
        from torch.distributed.fsdp import FullyShardedDataParallel

        assert isinstance(trainer.strategy.model, nn.Module)
        return FullyShardedDataParallel.summon_full_params(trainer.strategy.model, writeback=False)
    return nullcontext()
