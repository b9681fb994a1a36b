"""Many jobs composed at once are exactly the jobs composed one by one."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from expkit import compose as composition
from expkit import source
from expkit.compose import Composed, compose
from expkit.errors import ConfigError
from expkit.identity import NOT_HASHED, run_id, run_ids, targets
from expkit.sweeps.frame import absolute, references
from expkit.sweeps.jobs import compose_jobs

GROKKING = "+experiment=grokking_xor"
SWEEPS = {
    "seeds and learning rates": [[GROKKING, f"seed={s}", f"optimizer.lr={lr}"] for s in (0, 3) for lr in (0.1, 1e-05)],
    "forms of numbers": [
        ["data=iris", f"optimizer.lr={text}"]
        for text in ("1", "+1", "-0", "1.", ".5", "1e-3", "1_0", "1e5", "007", "inf", "nan", "0x1", "1.5e+2", "1e999")
    ],
    "text, quoted or not": [
        ["data=iris", f"logger.wandb.notes={text}"]
        for text in ("word", "'a, b'", '"1"', r"'it\'s'", "null", "'null'", "true", "'${seed}'", "a:b", "")
    ],
    "lists and null": [
        ["data=iris", f"trainer.eval_at={at}", f"trainer.gradient_clip_val={clip}"]
        for at in ("log", "5", "[1,2,3]", "[1, 10]")
        for clip in ("null", "1.0")
    ],
    "words of a run": [["data=iris", f"tags={tags}", "seed=2"] for tags in ("[a]", "[a,'b c']", "[]", "a", "null")],
    "a key that shapes depend on": [[GROKKING, f"data.dim={dim}", "data.n_test=10"] for dim in (50, 60, 60, "wide", 0)],
    "a length that the schedule copies": [
        ["data=iris", f"scheduler={scheduler}", f"trainer.max_steps={steps}", f"optimizer.lr={lr}"]
        for scheduler in ("cosine", "one_cycle", "none")
        for steps in (10, 20)
        for lr in (0.1, 0.2)
    ],
    "products and sums": [
        ["data=modular_addition", "model=gpt", f"data.p={p}", f"model.width={w}"] for p in (7, 11) for w in (8, 16)
    ],
    "reconstruction": [
        ["data=mnist1d", "task=reconstruction", "model=autoencoder", f"data.length={length}"] for length in (40, 60)
    ],
    "a scale under overrides": [
        [GROKKING, "scale=smoke", f"model.width={width}", *more]
        for width in (3, 4)
        for more in ([], ["data.dim=70"], ["trainer.max_steps=2"])
    ],
    "a scale spelled out, as the sweeper does": [
        ["data.dim=500", "model.width=20", "experiment=grokking_xor", "scale=smoke", f"seed={seed}"] for seed in (1, 2)
    ],
    "groups": [
        [f"data={data}", f"optimizer={optimizer}", f"seed={seed}"]
        for data in ("digits", "diabetes")
        for optimizer in ("sgd", "adamw")
        for seed in (0, 1)
    ],
    "several options of a group": [["callbacks=[ema,best]", "logger=[csv]", f"seed={s}"] for s in (0, 1)],
    "nested keys": [[GROKKING, f"probes.clean_and_flipped.split={split}"] for split in ("train", "test", "all", "3")],
    "added, deleted and merged": [
        [GROKKING, *more, f"optimizer.lr={lr}"]
        for lr in (0.1, 0.2)
        for more in (
            ["+optimizer.dampening=0.1"],
            ["~optimizer.momentum"],
            ["optimizer={momentum: 0.5}"],
            ["optimizer={lr: 5}"],
            ["++seed=9"],
            ["+paper.note=x"],
        )
    ],
    "one key twice": [["data=iris", "seed=1", f"seed={seed}", "optimizer.lr=1", "optimizer.lr=[2]"] for seed in (2, 3)],
    "a later mapping wins": [["data=iris", f"optimizer.lr={lr}", "optimizer={lr: 0.7}"] for lr in (0.1, 0.2)],
    "a key and one inside it": [
        [GROKKING, "data.spec=null", "data.spec.shape=[3]"],
        [GROKKING, "data.spec=3"],
        [GROKKING, "data.spec={classes: 3}"],
        [GROKKING, "data.spec.classes=3"],
        [GROKKING, "data.spec.shape=[3]"],
        [GROKKING, "data.spec.shape.0=3"],
    ],
    "interpolations that are given": [
        ["data=xor_clusters", given, f"seed={seed}", f"data.n_train={n}"]
        for given in (
            "data.n_test=${data.n_train}",
            "data.n_test=${.n_train}",
            "data.n_test=${sum:[${data.n_train},${seed}]}",
            "model.width=${oc.decode:${seed}}",
            "model.width=${data.${oc.env:NOWHERE,n_train}}",
            "model.width=${nowhere.else}",
        )
        for seed in (1, 2)
        for n in (20, 30)
    ],
    "interpolations in lists and below keys with points": [
        [GROKKING, "+paper.values=[1,'${seed}',{optimizer.lr: '${optimizer.lr}', 3: '${seed}'}]", f"seed={s}"]
        for s in (1, 2)
    ],
    "names": [["data=iris", f"name={name}", "seed=1"] for name in ("a", "b", "null", "..")],
    "one bad value among good ones": [
        [GROKKING, f"model.width={width}", f"seed={s}"] for width in ("wide", 3, 1.5, 4) for s in (0, "first", 1)
    ],
    # Hydra composes the first.
    "good values before bad ones": [
        [GROKKING, f"data.dim={d}", f"seed={s}"] for d in (9, "wide") for s in (1, "first")
    ],
    "wrong in two places": [[GROKKING, f"model.width={w}", f"optimizer.lr={lr}"] for w in (1.5, 2) for lr in ("x", 1)],
    "unknown keys": [
        [GROKKING, *more, f"seed={seed}"]
        for seed in (0, 1)
        for more in (["model.widht=3"], [f"seed.in={seed}"], ["modle=mlp"], ["model=mpl"], ["+mdel=1"], ["seed=1,2"])
    ],
    "not an override": [["data=iris", "nonsense"], ["data=iris", "seed="], ["data=iris", "seed=[1"]],
    "what does not go together": [["model=gpt", f"seed={seed}"] for seed in (0, 1)]
    + [["data=mnist1d", "task=binary_classification", f"seed={seed}"] for seed in (0, 1)],
    "shape and outputs by hand": [
        ["data=mnist1d", "model=mlp", f"model.{key}={value}", f"seed={s}"]
        for key, value in (("input_shape", "[1,39]"), ("input_shape", "[1,40]"), ("n_outputs", "3"))
        for s in (0, 1)
    ],
    "a target": [["data=iris", f"optimizer._target_={name}", "seed=1"] for name in ("torch.optim.SGD", "os.system")],
    "a missing value": [["data=mnist", "seed=1"], ["data=mnist", "data.root=x", "seed=1"], ["seed='???'"]],
}


@pytest.mark.parametrize("name", SWEEPS)
def test_each_job_is_what_composing_it_alone_gives(name: str) -> None:
    jobs = SWEEPS[name]
    for job, made in zip(jobs, compose_jobs([], jobs), strict=True):
        assert told(made) == told(alone(job)), job


def alone(overrides: list[str]) -> Composed | ConfigError:
    try:
        return compose(overrides)
    except ConfigError as error:
        return error


def told(result: Composed | ConfigError) -> object:
    """With the order of keys and the types of numbers, which == does not tell apart, and nan, which it does."""
    if isinstance(result, ConfigError):
        return str(result), result.exit_code
    return json.dumps(result.config), result.choices, result.overrides, run_id(result.config)


def test_overrides_of_all_jobs_come_first() -> None:
    (made,) = compose_jobs([GROKKING, "seed=4", "optimizer.lr=1"], [["seed=5"]])
    assert made == compose([GROKKING, "seed=4", "optimizer.lr=1", "seed=5"])


def test_hydra_composes_what_jobs_share_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compositions = []
    load = composition.load
    monkeypatch.setattr(composition, "load", lambda overrides: compositions.append(overrides) or load(overrides))
    jobs = [[GROKKING, f"seed={s}", f"optimizer.lr={lr / 100}"] for s, lr in itertools.product(range(100), range(100))]
    made = compose_jobs([], jobs)
    assert len(compositions) == 1
    for index in random.Random(0).sample(range(len(jobs)), 10):
        assert made[index] == compose(jobs[index])


def test_a_mistake_in_all_jobs_is_looked_into_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compositions = []
    load = composition.load
    monkeypatch.setattr(composition, "load", lambda overrides: compositions.append(overrides) or load(overrides))
    for wrong in ("model.widht=3", "model=gpt"):
        compositions.clear()
        errors = compose_jobs([], [[wrong, f"seed={seed}"] for seed in range(500)])
        assert len(compositions) == 1
        assert {str(error) for error in errors} == {str(alone([wrong]))}


def test_jobs_share_what_does_not_differ() -> None:
    made = compose_jobs([], [[GROKKING, f"seed={s}", f"optimizer.lr={lr}"] for s in (0, 1) for lr in (0.1, 0.2)])
    one, faster, other, _ = (job.config for job in made if isinstance(job, Composed))
    assert one["model"] is faster["model"] is other["model"]
    assert one["optimizer"] is other["optimizer"]
    assert one["data"] is faster["data"]
    assert (one["data"]["seed"], other["data"]["seed"]) == (0, 1)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("${seed}", ["seed"]),
        ("${ a.b_2.0 }", ["a.b_2.0"]),
        ("${a}-${b.c}", ["a", "b.c"]),
        ("${oc.env:HOME,runs}", []),
        ("${oc.select:data.spec.vocab,null}", ["data.spec.vocab"]),
        ("${oc.select:data.spec.vocab,${seed}}", ["seed", "data.spec.vocab"]),
        ("${sum:[${data.p},1]}", ["data.p"]),
        ("${.sibling}", None),
        ("${..aunt}", None),
        ("${a.${b}}", None),
        ("${a[0]}", None),
        ("${oc.decode:'${a}'}", None),
        ("${own:x}", None),
        ("${oc.select:'a.b'}", None),
    ],
)
def test_what_an_interpolation_reads_is_told_or_is_said_to_be_anything(text: str, read: list[str] | None) -> None:
    assert references(text) == read


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("${...dim}", "${data.dim}"),
        ("${.name}", "${data.spec.shape.name}"),
        ("${sum:[${...a},${..b}]}", "${sum:[${data.a},${data.spec.b}]}"),
        ("${oc.select:...x,null}", "${oc.select:data.x,null}"),
        ("${seed}", "${seed}"),
    ],
)
def test_relative_keys_stand_for_absolute_ones(text: str, meant: str) -> None:
    assert absolute(text, ("data", "spec", "shape", 0)) == meant


def test_run_ids_are_the_run_id_of_each() -> None:
    jobs = [
        *([GROKKING, f"seed={s}", f"optimizer.lr={lr}", f"tags=[{s}x]"] for s in range(5) for lr in (0.1, 0.2)),
        *(["data=iris", f"optimizer={name}", "callbacks=[ema]"] for name in ("sgd", "adamw", "lion")),
        ["data=iris", "trainer=ddp_cpu"],
        ["data=iris", "optimizer.lr=nan", "logger=none"],
    ]
    configs = [job.config for job in compose_jobs([], jobs) if isinstance(job, Composed)]
    assert len(configs) == len(jobs)
    ids = run_ids(configs)
    assert ids == [run_id(config) for config in configs]
    assert len(set(ids)) == len(jobs)


def test_run_ids_hash_the_source_of_each_set_of_pieces_once(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [compose([GROKKING, f"seed={seed}"]).config for seed in range(3)]
    expected = {t for key, value in configs[0].items() if key not in (*NOT_HASHED, "trainer") for t in targets(value)}
    asked = []
    monkeypatch.setattr(source, "closure_hash", lambda names: asked.append(set(names)) or "code")
    run_ids(configs)
    assert asked == [expected]
