"""Searches by Optuna: what they find, what is left of them when they are killed, and the runs that they stop early."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.test_utils import TSweepRunner
from hydra.version import _UNSPECIFIED_, VersionBase
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from expkit import compose
from expkit.errors import ConfigError, UserError
from expkit.records.record import Record
from expkit.sweeps.pruning import TrialReporter, forget
from expkit.sweeps.search import Search, Settings, Trial, claim
from expkit.sweeps.search_space import search_space
from hydra_plugins.expkit_plugins.optuna import OptunaSweeper
from support import train, try_train

Objective = Callable[..., Any]


def new_search(folder: Path, *overrides: str, n_trials: int | None = None, batch: int = 8, **settings: Any) -> Search:
    own = Settings(**{"monitor": [], "direction": ["minimize"], **settings})
    own.check()
    return Search(folder, own, search_space({}, overrides, None), n_trials, batch)


def values(trial: Trial) -> dict[str, Any]:
    """What a trial's overrides set, as Hydra reads them."""
    parsed = OverridesParser.create().parse_overrides(trial.overrides)
    return {override.key_or_group: override.value() for override in parsed}


def work(search: Search, objective: Objective) -> Search:
    for batch in search:
        for trial in batch:
            told = objective(**values(trial))
            search.complete(trial, told if isinstance(told, Sequence) else [told])
    return search


def study_of(folder: Path) -> optuna.Study:
    (file,) = folder.rglob("optuna.db")
    return optuna.load_study(study_name="study", storage=f"sqlite:///{file}")


# What is searched


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("key=1,2", CategoricalDistribution([1, 2])),
        ("key=choice(true,false)", CategoricalDistribution([True, False])),
        ("key=choice('hello', world)", CategoricalDistribution(["hello", "world"])),
        ("key=[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("key=1,true", CategoricalDistribution(["1", "True"])),
        ("key=0.1,null", CategoricalDistribution([0.1, None])),
        ("key=range(1,3)", IntDistribution(1, 2)),
        ("key=range(8,65,8)", IntDistribution(8, 64, step=8)),
        ("key=range(0,6,4)", IntDistribution(0, 4, step=4)),
        ("key=range(0.5,5.5,step=1)", FloatDistribution(0.5, 4.5, step=1)),
        ("key=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("key=shuffle(range(1,3))", IntDistribution(1, 2)),
        ("key=interval(1,5)", FloatDistribution(1, 5)),
        ("key=int(interval(1,5))", IntDistribution(1, 5)),
        ("key=tag(log,interval(1,5))", FloatDistribution(1, 5, log=True)),
        ("key=tag(log,int(interval(1,5)))", IntDistribution(1, 5, log=True)),
    ],
)
def test_overrides_are_distributions(override: str, expected: Any) -> None:
    assert search_space({}, [override], None).distributions == {"key": expected}


@pytest.mark.parametrize("override", ["key='a,b',c", "key=[1,2],{a: 3}", "key='x=1',null,true,1e-05", "+key=a,b"])
def test_each_choice_is_written_as_it_was_given(override: str) -> None:
    space = search_space({}, [override], None)
    (parameter,) = space.parameters.values()
    (parsed,) = OverridesParser.create().parse_overrides([override])
    expected = [f"{parsed.get_key_element()}={text}" for text in parsed.sweep_string_iterator()]
    assert [parameter.override(value) for value in parameter.distribution.choices] == expected  # type: ignore[attr-defined]


def test_a_group_can_be_searched_by_a_pattern() -> None:
    space = search_space({}, ["optimizer=glob(ad*)"], compose.loader())
    options = {name for name in compose.options("optimizer") if name.startswith("ad")}
    assert set(space.distributions["optimizer"].choices) == options  # type: ignore[attr-defined]


def test_the_command_line_wins_over_params() -> None:
    space = search_space({"x": "interval(0,1)", "y": "range(0,3)", "z": 5}, ["x=3", "~w"], None)
    assert list(space.parameters) == ["y"]
    assert space.fixed == ["z=5", "x=3", "~w"]


@pytest.mark.parametrize("override", ["key=range(5,5)", "key=tag(log,range(1,9,2))", "key=tag(log,interval(0,1))"])
def test_a_space_that_cannot_be_searched_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="key"):
        search_space({}, [override], None)


# What is found


def bowl(x: float, y: float, z: float) -> float:
    return (x - 0.3) ** 2 + (y + 0.6) ** 2 + (math.log10(z) + 1) ** 2


BOWL = ("x=interval(-1,1)", "y=interval(-1,1)", "z=tag(log,interval(1e-3,1e2))")


def test_samplers_are_better_than_chance(tmp_path: Path) -> None:
    logs: dict[str, list[float]] = {}
    for sampler, seed in itertools.product(("random", "tpe", "cmaes"), range(5)):
        search = new_search(tmp_path / f"{sampler}{seed}", *BOWL, n_trials=32, sampler=sampler, seed=seed)
        logs.setdefault(sampler, []).append(math.log(work(search, bowl).best[0].values[0]))
    mean = {sampler: fmean(own) for sampler, own in logs.items()}
    for sampler in ("tpe", "cmaes"):  # logarithms of the best of 32, five seeds each
        error = math.sqrt((variance(logs[sampler]) + variance(logs["random"])) / 5)
        assert mean["random"] - mean[sampler] > 2 * error


def test_a_grid_is_every_point_once(tmp_path: Path) -> None:
    axes = ("a=range(0,4)", "b=range(0.0,0.3,0.1)", "c=x,y")
    search = new_search(tmp_path, *axes, sampler="grid", batch=5)
    seen = [tuple(values(trial).values()) for batch in search for trial in batch if not search.complete(trial, [0])]
    assert sorted(seen) == sorted(itertools.product(range(4), (0.0, 0.1, 0.2), ("x", "y")))


def test_a_grid_of_an_interval_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="x: an interval"):
        new_search(tmp_path, "x=interval(0,1)", sampler="grid")


@pytest.mark.parametrize("sampler", ["grid", "nsgaii", "tpe"])
def test_the_pareto_front_is_that_of_brute_force(tmp_path: Path, sampler: str) -> None:
    def objective(a: int, b: int) -> tuple[float, float]:
        return (a - 3) ** 2 + b, (a + 1) * (b - 2) ** 2

    search = new_search(
        tmp_path, "a=range(0,6)", "b=range(0,5)", direction=["minimize", "maximize"], sampler=sampler, n_trials=30
    )
    work(search, objective)
    done = [tuple(trial.values) for trial in search.study.trials]
    assert done == [objective(**trial.params) for trial in search.study.trials]
    front = {(f, g) for f, g in done if not any((u <= f and v >= g) and (u < f or v > g) for u, v in done)}
    assert {tuple(trial.values) for trial in search.best} == front


def test_what_diverges_is_worst_and_is_avoided(tmp_path: Path) -> None:
    def objective(x: float) -> float:
        return math.nan if x > 1 else (math.log10(x) + 2) ** 2

    search = work(new_search(tmp_path, "x=tag(log,interval(1e-4,1e4))", n_trials=40), objective)
    diverged = [trial.number for trial in search.study.trials if trial.params["x"] > 1]
    assert {search.study.trials[number].value for number in diverged} == {math.inf}
    assert search.best[0].value == min(trial.value for trial in search.study.trials)
    assert sum(number >= 20 for number in diverged) < 10  # chance: half of 20


# What is left of a search that was killed


def test_a_search_goes_on_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    whole = work(new_search(tmp_path / "whole", *BOWL, n_trials=30), bowl)

    def killed() -> Iterator[Search]:
        for stop in (11, 11, 12, 20, 100):  # trials that a process tells before it is killed; the batch has 8
            yield (search := new_search(tmp_path / "killed", *BOWL, n_trials=30))
            for told, trial in enumerate(itertools.chain.from_iterable(search)):
                if told == stop:
                    break
                search.complete(trial, [bowl(**values(trial))])

    *_, last = killed()
    assert [(t.number, t.params, t.values) for t in last.study.trials] == [
        (t.number, t.params, t.values) for t in whole.study.trials
    ]


def test_more_trials_may_be_asked_for_later(tmp_path: Path) -> None:
    work(new_search(tmp_path, *BOWL, n_trials=5), bowl)
    assert next(iter(new_search(tmp_path, *BOWL, n_trials=5)), None) is None
    assert len(work(new_search(tmp_path, *BOWL, n_trials=9), bowl).study.trials) == 9


@pytest.mark.parametrize(
    ("overrides", "settings", "named"),
    [
        (("x=interval(0,2)",), {}, '"high": 2.0'),
        (("x=interval(0,1)", "y=1,2"), {}, "search space"),
        (("x=interval(0,1)", "data=wine"), {}, "data=wine"),
        (("x=interval(0,1)",), {"direction": ["maximize"]}, "direction: .*minimize.* there, .*maximize.* here"),
        (("x=interval(0,1)",), {"direction": ["minimize", "minimize"]}, "direction"),
        (("x=interval(0,1)",), {"sampler": "random"}, "sampler: tpe there, random here"),
    ],
)
def test_another_search_in_the_same_place_is_refused(
    tmp_path: Path, overrides: tuple[str, ...], settings: dict[str, Any], named: str
) -> None:
    first = new_search(tmp_path, "x=interval(0,1)", "logger=none", n_trials=3)
    first.complete(next(iter(first))[0], [1.0])
    with pytest.raises(ConfigError, match=named):
        new_search(tmp_path, *overrides, **settings)
    new_search(tmp_path, "x=interval(0,1)", "logger=csv", n_trials=7)  # the same search, recorded elsewhere


def test_a_study_without_results_gives_way(tmp_path: Path) -> None:
    next(iter(new_search(tmp_path, "x=interval(0,1)")))
    search = work(new_search(tmp_path, "x=interval(2,3)", n_trials=4), lambda x: x)
    assert [trial.params["x"] > 2 for trial in search.study.trials] == [True] * 4


def test_one_process_searches_at_a_time(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(ConfigError, match="Another process"), claim(tmp_path):
        pass


SMALL = ["-m", "hydra/sweeper=optuna", "data=wine", "model=linear", "optimizer.lr=tag(log,interval(1e-3,1))"]
SMALL += ["logger=none", "hydra.sweeper.monitor=test/loss"]


def test_a_command_that_was_killed_is_taken_up_by_the_same_command(runs: Path, tmp_path: Path) -> None:
    command = [*SMALL, "trainer.max_steps=1500", "trainer.eval_at=500", "hydra/launcher=serial"]
    command += ["hydra.sweeper.n_trials=6", "hydra.sweeper.batch=3", "hydra.sweeper.sampler_options.n_startup_trials=2"]
    command[-1] = "+" + command[-1]
    process = subprocess.Popen([sys.executable, "-m", "expkit", "train", *command], cwd=tmp_path, env={**os.environ})
    deadline = time.monotonic() + 100
    while len(list(runs.glob("*/*/status.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = study_of(runs).trials
    assert [trial.state.name for trial in before] == ["COMPLETE"] * 3 + ["RUNNING"] * 3

    train(*command)
    study = study_of(runs)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 6
    assert [trial.params for trial in study.trials] == [trial.params for trial in before]
    records = list(runs.glob("wine-linear/*"))
    assert {trial.user_attrs["run"] for trial in study.trials} == {folder.name for folder in records}
    for trial in study.trials:
        assert trial.value == Record(runs / "wine-linear" / trial.user_attrs["run"]).summary["test/loss"]
    (file,) = runs.rglob("optimization_results.yaml")
    written: Any = OmegaConf.load(file)
    assert (written.best_value, written.number) == (study.best_value, study.best_trial.number)
    assert train(*command) == []  # enough trials are finished


# expkit's runs


def test_the_best_value_on_the_way_can_count(runs: Path) -> None:
    printed = train(
        *SMALL, "trainer.max_steps=60", "trainer.eval_at=5", "hydra.sweeper.n_trials=4", "hydra.sweeper.at=best",
        "hydra.sweeper.direction=maximize", "hydra/launcher=fused",
    )  # fmt: skip
    highest = [Record(Path(run["path"])).metrics["test/loss"].max() for run in printed]
    assert [trial.value for trial in study_of(runs).trials] == highest
    assert highest != [run["summary"]["test/loss"] for run in printed]


@pytest.mark.parametrize("launcher", ["fused", "serial"])
@pytest.mark.parametrize("pruner", ["median", "asha"])
def test_bad_trials_are_stopped_early(runs: Path, launcher: str, pruner: str) -> None:
    sweep = [*SMALL, "trainer.max_steps=60", "trainer.eval_at=5", f"hydra/launcher={launcher}", "sweep.name=s"]
    sweep += [f"hydra.sweeper.pruner={pruner}", "hydra.sweeper.n_trials=16", "hydra.sweeper.batch=8"]
    if pruner == "asha":
        sweep += ["+hydra.sweeper.pruner_options.min_resource=10"]
    printed = train(*sweep)
    trials = study_of(runs).trials
    assert len(printed) == len(trials) == 16
    steps: dict[str, list[int]] = {"COMPLETE": [], "PRUNED": []}
    for trial, run in zip(trials, printed, strict=True):
        record = Record(Path(run["path"]))
        assert trial.user_attrs["run"] == record.run_id
        assert (trial.state.name, record.state) in {("COMPLETE", "complete"), ("PRUNED", "pruned")}
        steps[trial.state.name].append(record.metrics["step"].max())  # type: ignore[arg-type]
        seen = {step: value for step, value in record.metrics.select("step", "test/loss").iter_rows() if step > 0}
        assert trial.intermediate_values == seen
    assert steps["PRUNED"]
    assert max(steps["PRUNED"]) < 60
    assert set(steps["COMPLETE"]) == {60}
    _check_verdicts(trials, pruner)

    stopped = next(trial for trial in trials if trial.state.name == "PRUNED")
    own = f"optimizer.lr={stopped.params['optimizer.lr']!r}"
    alone = train("data=wine", "model=linear", own, "logger=none", "trainer.max_steps=60", "trainer.eval_at=5")
    assert alone["run_id"] == stopped.user_attrs["run"]
    assert (alone["status"], alone["summary"]["step"]) == ("complete", 60)


def _check_verdicts(trials: list[optuna.trial.FrozenTrial], pruner: str) -> None:
    """What was stopped is what the pruner's rule says, applied by hand."""
    if pruner == "asha":
        assert any(trial.state.name == "PRUNED" for trial in trials[:8])  # of the very first batch
        _check_halving(trials)
        return
    first, second = trials[:8], trials[8:]
    assert all(trial.state.name == "COMPLETE" for trial in first)
    for trial in second:
        for step in trial.intermediate_values:
            so_far = min(value for at, value in trial.intermediate_values.items() if at <= step)
            others = sorted(other.intermediate_values[step] for other in first)
            worse = so_far > (others[3] + others[4]) / 2
            assert worse == (trial.state.name == "PRUNED" and step == trial.last_step) or step == 60


def _check_halving(trials: list[optuna.trial.FrozenTrial]) -> None:
    """At a rung, a trial goes on if it is in the best quarter of those that have come so far, itself among them."""
    came: dict[int, list[float]] = {10: [], 40: []}
    for trial in trials:
        end = 60
        for rung, others in came.items():
            value = trial.intermediate_values[rung]
            others.append(value)
            if value > sorted(others)[max(len(others) // 4 - 1, 0)]:
                end = rung
                break
        assert trial.last_step == end


def test_a_trial_of_a_finished_search_is_an_ordinary_run(tmp_path: Path) -> None:
    search = new_search(tmp_path, "x=interval(0,1)", n_trials=1, monitor=["m"], pruner="median")
    work(search, lambda x: x)
    forget()
    reporter = TrialReporter(str(search.file), 0, "m")
    assert not reporter(5, {"m": 1e9})
    assert study_of(tmp_path).trials[0].intermediate_values == {}
    with pytest.raises(ConfigError, match="no such metric"):
        reporter(5, {"n": 1.0})
    with pytest.raises(UserError, match="no such trial"):
        TrialReporter(str(search.file), 7, "m")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hydra.sweeper.monitor=test/lose", "Did you mean 'test/loss'"),
        ("hydra.sweeper.monitor=null", "needs a metric"),
        ("hydra.sweeper.sampler=tqe", "Did you mean 'tpe'"),
        ("+hydra.sweeper.sampler_options.n_startup=3", "optuna.samplers.TPESampler does not take"),
        ("hydra.sweeper.pruner=medan", "Did you mean 'median'"),
        ("hydra.sweeper.direction=down", "minimize or maximize"),
        ("model.widht=1,2", "model.widht"),
    ],
)
def test_mistakes_are_said(runs: Path, override: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    printed, status = try_train(*SMALL, "trainer.max_steps=2", "hydra.sweeper.n_trials=2", override)
    assert (printed, status) == (None, 2)
    assert said in capfd.readouterr().err


def test_several_metrics_cannot_be_pruned(runs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    several = ["hydra.sweeper.monitor=[test/loss,test/acc]", "hydra.sweeper.direction=[minimize,maximize]"]
    _, status = try_train(*SMALL, *several, "hydra.sweeper.pruner=median")
    assert status == 2
    assert "with several metrics no trial" in capfd.readouterr().err
    assert not runs.exists() or not list(runs.rglob("optuna.db"))


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    sweeper = OptunaSweeper(monitor="test/loss")
    sweeper.hydra_context = object()  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"pip install 'expkit\[optuna\]'"):
        sweeper.sweep(["x=1,2"])


# Other Hydra applications


@pytest.fixture
def unspecified_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


@contextmanager
def plain(runner: TSweepRunner, folder: Path, function: Any, *overrides: str) -> Iterator[Any]:
    """What a search of another application returns; its folder is there until the end."""
    with runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        config_path="configs",
        config_name="compose.yaml",
        task_function=function,
        temp_dir=folder,
        overrides=["hydra/sweeper=optuna", "hydra/launcher=basic", *overrides],
    ) as sweep:
        yield sweep.returns


def test_hydra_finds_the_sweeper() -> None:
    assert OptunaSweeper.__name__ in [sweeper.__name__ for sweeper in Plugins.instance().discover(Sweeper)]


@pytest.mark.usefixtures("unspecified_version_base")
def test_a_plain_function(hydra_sweep_runner: TSweepRunner, tmp_path: Path) -> None:
    def function(config: DictConfig) -> float:
        return (config.x - 2) ** 2 + config.foo

    options = ["hydra.sweeper.n_trials=20", "hydra.sweeper.batch=3"]
    with plain(hydra_sweep_runner, tmp_path, function, "+x=interval(-5,5)", "foo=10,20", *options) as returned:
        study = study_of(tmp_path)
        trials = study.trials
        best = study.best_trial
        written: Any = OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert [job.return_value for batch in returned for job in batch] == [trial.value for trial in trials]
    assert len(trials) == 20
    assert best.value == min(trial.value for trial in trials)
    assert (written.name, written.best_value, dict(written.best_params)) == ("optuna", best.value, best.params)


@pytest.mark.usefixtures("unspecified_version_base")
def test_a_plain_function_with_two_values(
    hydra_sweep_runner: TSweepRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def function(config: DictConfig) -> tuple[float, float]:
        return config.foo, -config.foo

    options = ["hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.sampler=grid"]
    with plain(hydra_sweep_runner, tmp_path, function, "foo=range(0,4)", *options):
        written: Any = OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert [list(one["values"]) for one in written.solutions] == [[0, 0], [1, -1], [2, -2], [3, -3]]
    shown = capsys.readouterr().out
    assert "Pareto front" in shown
    assert all(f"foo={value}" in shown for value in range(4))


@pytest.mark.usefixtures("unspecified_version_base")
def test_a_plain_function_that_fails_stops_the_search(hydra_sweep_runner: TSweepRunner, tmp_path: Path) -> None:
    def function(config: DictConfig) -> float:
        if config.foo == 2:
            raise ZeroDivisionError("of the function")
        return float(config.foo)

    options = ["hydra.sweeper.sampler=grid", "hydra.sweeper.batch=3"]
    with (
        pytest.raises(ZeroDivisionError, match="of the function"),
        plain(hydra_sweep_runner, tmp_path, function, "foo=range(0,3)", *options),
    ):
        pass
    states = {trial.params["foo"]: trial.state.name for trial in study_of(tmp_path).trials}
    assert states == {0: "COMPLETE", 1: "COMPLETE", 2: "FAIL"}
