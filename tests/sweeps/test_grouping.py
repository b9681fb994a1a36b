"""Jobs are grouped by everything but the numbers that one vectorized program can vary."""

from __future__ import annotations

import pytest

from expkit.compose import Composed
from expkit.sweeps.grouping import Group, group, why_not
from expkit.sweeps.jobs import compose_jobs

GROKKING = "+experiment=grokking_xor"


def configs(*jobs: str) -> list[dict]:
    made = compose_jobs([GROKKING], [job.split() for job in jobs])
    assert all(isinstance(each, Composed) for each in made), made
    return [each.config for each in made if isinstance(each, Composed)]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("seed", [0, 1]),
        ("data.seed", [0, 1]),
        ("optimizer.lr", [0.1, 1]),
        ("optimizer.momentum", [0, 0.9]),
        ("trainer.gradient_clip_val", [1, 2.5]),
        ("data.noise_rate", [0, 0.1]),  # 0 is written without a point, but is a rate
        ("data.mean_norm", [3, 17.32]),
        ("model.init_scale", [1, 0.5]),
    ],
)
def test_numbers_that_change_no_shape_may_differ(key: str, values: list[float]) -> None:
    (found,) = group(configs(*(f"{key}={value}" for value in values)))
    assert found.indices == [0, 1]
    assert found.varying[key] == values


@pytest.mark.parametrize(
    ("one", "other", "because"),
    [
        ("model.width=10", "model.width=20", ["model.width"]),
        ("data.dim=50", "data.dim=60", ["data.dim", "data.spec.shape[0]", "model.input_shape[0]"]),
        ("data.n_train=50", "data.n_train=60", ["data.n_train"]),
        ("data.batch_size=full", "data.batch_size=20", ["data.batch_size"]),
        ("trainer.max_steps=10", "trainer.max_steps=20", ["trainer.max_steps"]),
        ("trainer.gradient_clip_val=null", "trainer.gradient_clip_val=1", ["trainer.gradient_clip_val"]),
        ("trainer.eval_at=[1,2]", "trainer.eval_at=[1]", ["trainer.eval_at"]),
        ("trainer.deterministic=true", "trainer.deterministic=warn", ["trainer.deterministic"]),
        ("optimizer.nesterov=true", "optimizer.nesterov=false", ["optimizer.nesterov"]),
        ("optimizer=sgd", "optimizer=adam", ["optimizer._target_"]),
        ("scheduler=none", "scheduler=cosine", ["scheduler._target_"]),
        ("probes=none", "probes=linearity", ["probes.linearity"]),
        ("model.train_readout=true", "model.train_readout=false", ["model.train_readout"]),
        ("model.width=10 optimizer=adam", "model.width=20", ["model.width", "optimizer._target_"]),
    ],
)
def test_what_changes_structure_splits_and_is_named(one: str, other: str, because: list[str]) -> None:
    a, b = configs(one, other)
    assert [found.indices for found in group([a, b])] == [[0], [1]]
    assert why_not(a, b) == because
    assert why_not(b, a) == because


def test_where_a_run_goes_and_what_it_is_called_does_not_matter() -> None:
    a, b = configs("name=a tags=[x] logger=none", "name=b paths.runs=elsewhere")
    assert group([a, b]) == [Group([0, 1], {})]
    assert why_not(a, b) == []


def test_lists_of_numbers_may_differ_in_the_optimizer_alone() -> None:
    jobs = configs("optimizer=adam optimizer.betas=[0.9,0.99]", "optimizer=adam optimizer.betas=[0.8,0.99]")
    assert group(jobs) == [Group([0, 1], {"optimizer.betas[0]": [0.9, 0.8]})]
    a, b = ({"model": {"_target_": "expkit.models.mlp.MLP", "rates": [rate, 0.5]}} for rate in (0.1, 0.2))
    assert why_not(a, b) == ["model.rates[0]"]


def test_true_and_1_are_not_the_same_and_a_length_in_the_schedule_may_differ() -> None:
    assert why_not({"callbacks": {"a": True}}, {"callbacks": {"a": 1}}) == ["callbacks.a"]
    assert why_not({"callbacks": {"a": 1.0}}, {"callbacks": {"a": 1}}) == ["callbacks.a"]
    jobs = configs("scheduler=cosine scheduler.max_steps=100", "scheduler=cosine scheduler.max_steps=200")
    assert group(jobs) == [Group([0, 1], {"scheduler.max_steps": [100, 200]})]


def test_an_object_that_is_another_class_is_named_alone() -> None:
    a = {"task": {"loss": {"_target_": "x.A", "scale": 1, "inner": {"k": 1}}, "n": 1}}
    b = {"task": {"loss": {"_target_": "x.B", "other": 2, "inner": {"k": 2}}, "n": 2}}
    assert why_not(a, b) == ["task.loss._target_", "task.n"]


def test_groups_keep_the_order_of_the_sweep_and_every_job() -> None:
    jobs = configs(*(f"seed={s} model.width={w} optimizer.lr={lr}" for s in (0, 1) for w in (5, 6) for lr in (1, 2)))
    found = group(jobs)
    assert [each.indices for each in found] == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert found[1].varying == {
        "seed": [0, 0, 1, 1],
        "data.seed": [0, 0, 1, 1],
        "optimizer.lr": [1, 2, 1, 2],
    }


def test_jobs_that_share_nothing_are_grouped_like_jobs_that_do() -> None:
    import copy

    jobs = configs(*(f"seed={s} model.width={w}" for s in range(4) for w in (5, 6)))
    assert group(jobs) == group(copy.deepcopy(jobs))


def test_ten_thousand_jobs_are_one_group() -> None:
    jobs = configs(*(f"seed={s} optimizer.lr={lr / 100}" for s in range(100) for lr in range(1, 101)))
    (found,) = group(jobs)
    assert found.indices == list(range(10_000))
    assert set(found.varying) == {"seed", "data.seed", "optimizer.lr"}
    assert found.varying["optimizer.lr"] == [job["optimizer"]["lr"] for job in jobs]
    assert found.varying["data.seed"] == [job["data"]["seed"] for job in jobs]
