"""The runs that a study consists of, from its YAML."""

from __future__ import annotations

import pytest

from expkit import compose
from expkit.compose import Composed
from expkit.errors import ConfigError
from expkit.identity import run_id
from expkit.studies.claims import study_file
from expkit.studies.plan import Arm, config_files, ids, plan


def test_the_first_experiments_study_is_its_ten_seeds() -> None:
    (arm,) = plan("grokking_xor")
    assert len(arm.jobs) == 10
    alone = [run_id(compose.compose(["experiment=grokking_xor", f"seed={seed}"]).config) for seed in range(10)]
    assert ids(arm) == alone


@pytest.mark.parametrize("experiment", sorted(filter(study_file, compose.experiments())))
def test_every_arm_has_what_a_scale_sets(experiment: str) -> None:
    """An arm may have another model or data set than the experiment, and so lack a key."""
    for scale in compose.experiment_config(experiment).get("scales") or {}:
        arms = {
            tuple(o for o in arm.overrides if "." not in o.partition("=")[0]): arm for arm in plan(experiment, scale)
        }
        for arm in arms.values():  # one of each choice of pieces
            (one,) = arm.composed([0])
            assert isinstance(one, Composed), f"scale={scale}, arm {arm.name}: {one}"


def test_an_arm_of_a_large_sweep_is_told_by_runs_that_are_spread_evenly() -> None:
    arms = {arm.name: arm for arm in plan("trainability_fractal")}
    tanh, relu = arms["tanh"], arms["relu"]
    assert len(tanh.jobs) == len(relu.jobs) == 256 * 256
    assert len(relu.looked_at) == 1000
    assert (relu.looked_at[0], relu.looked_at[-1]) == (0, 256 * 256 - 1)
    first, last = relu.composed([0, 256 * 256 - 1])
    assert first.config["model"]["activation"] == "relu"
    assert first.config["optimizer"]["lr"] == pytest.approx(10**0.5)
    assert last.config["optimizer"]["lr"] == pytest.approx(10**3.5)
    offset = arms["init_offset"].composed([77])[0].config["optimizer"]
    assert offset["lr"] == offset["lr_output"]  # an interpolation, which the YAML has to escape


def test_files_of_all_options_that_an_arm_names() -> None:
    arm = Arm("x", ("experiment=grokking_xor", "optimizer=sgd,adam", "seed=0,1"), ("optimizer", "seed"))
    assert len(arm.jobs) == 4
    assert {"optimizer/sgd", "optimizer/adam", "train", "experiment/grokking_xor", "data/xor_clusters"} <= config_files(
        arm
    )


@pytest.mark.parametrize(
    ("study", "jobs"),
    [
        ({"sweep": {"seed": [3, 4]}}, {("seed=3",), ("seed=4",)}),
        ({"sweep": {"seed": "1,2"}}, {("seed=1",), ("seed=2",)}),
        ({"sweep": {"seed": 7}, "arms": {"a": None}}, {("seed=7",)}),
        ({"sweep": {"seed": "range(0,2)"}, "arms": {"a": {"seed": 5}}}, {("seed=5",)}),
        ({"sweep": {"optimizer.lr": "logspace(-1,0,2)"}}, {("optimizer.lr=0.1",), ("optimizer.lr=1.0",)}),
        ({"arms": {"a": {"tags": ["x", "y"]}}}, {("tags=[x,y]",)}),
        ({}, {()}),
    ],
)
def test_what_a_study_may_say(monkeypatch: pytest.MonkeyPatch, study: dict, jobs: set) -> None:
    monkeypatch.setattr(compose, "experiment_config", lambda name: {"study": study})
    (arm,) = plan("grokking_xor")
    assert {tuple(o for o in job if not o.startswith("experiment=")) for job in arm.jobs} == jobs


@pytest.mark.parametrize("study", [[1], {"seeds": 3}, {"sweep": 3}, {"arms": {"a": 3}}])
def test_what_is_no_study(monkeypatch: pytest.MonkeyPatch, study: object) -> None:
    monkeypatch.setattr(compose, "experiment_config", lambda name: {"study": study})
    with pytest.raises(ConfigError, match="study"):
        plan("grokking_xor")
