"""Grouping, ordering and what is concluded, on runs whose results are known."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars
import pytest
from scipy import stats

from expkit.comparing.conclusion import conclusion
from expkit.comparing.directions import chosen_metrics, metric
from expkit.comparing.groups import grouped, smallest_set
from expkit.comparing.report import report
from expkit.comparing.sparkline import BLOCKS, interval_bar, sparkline
from expkit.comparing.statistics import Interval
from expkit.errors import ConfigError, UserError
from expkit.records import runs
from record_files import write_curve, write_record

OPTIMIZERS = {
    "sgd": {"name": "sgd", "lr": 0.1, "momentum": 0},
    "adam": {"name": "adam", "lr": 0.001, "betas": [0.9, 0.99]},
}


def write_runs(root: Path, means: dict[str, float], seeds: int = 10, noise: float = 0.01, **more: object) -> np.ndarray:
    """Runs of several optimizers; the results of one seed have the same deviation. Returns all results."""
    draw = np.random.default_rng(0)
    common = draw.normal(0, 0.1, seeds)
    values = np.array([mean + common + draw.normal(0, noise, seeds) for mean in means.values()])
    for name, own in zip(means, values, strict=True):
        for seed in range(seeds):
            config = {
                "seed": seed,
                "data": {"seed": seed, "n": 5},
                "optimizer": OPTIMIZERS.get(name, {"name": name}),
                **more,
            }
            summary = {"step": 20, "test/acc": own[seed], "test/loss": 1 - own[seed]}
            folder = write_record(root, f"e/{name}{seed}", config=config, summary=summary)
            accuracy = [0.1, own[seed] + 0.2, own[seed]]
            write_curve(folder, step=[0, 10, 20], test_acc=accuracy, test_loss=[1 - a for a in accuracy])
    return values


def test_runs_that_differ_by_seed_are_one_group(tmp_path: Path) -> None:
    write_runs(tmp_path, {"sgd": 0.5, "adam": 0.6})
    groups = grouped(runs(root=tmp_path))
    assert groups.count == 2
    assert groups.labels == ["optimizer.name"]
    assert set(groups.differing) == {"optimizer.name", "optimizer.lr", "optimizer.momentum", "optimizer.betas"}
    assert groups.frame.group_by("_group").agg(polars.col("seed").n_unique())["seed"].to_list() == [10, 10]


@pytest.mark.parametrize("seed", range(20))
def test_labels_tell_all_groups_apart_and_none_can_be_left_out(seed: int) -> None:
    draw = random.Random(seed)
    keys = ["a.name", "b", "c.d", "e", "f._target_"]
    table = polars.DataFrame({key: [draw.randrange(3) for _ in range(12)] for key in keys}).unique(maintain_order=True)
    labels = smallest_set(table, keys)
    assert table.select(labels).n_unique() == len(table)
    for key in labels:
        others = [one for one in labels if one != key]
        assert not others or table.select(others).n_unique() < len(table)


def test_two_groups_are_compared_by_the_paired_test(tmp_path: Path) -> None:
    # The spread over seeds is far larger than the difference, which only pairs of seeds show.
    sgd, adam = write_runs(tmp_path, {"sgd": 0.50, "adam": 0.53})
    found = report(runs(root=tmp_path))
    expected = stats.ttest_rel(adam, sgd)
    assert stats.ttest_ind(adam, sgd).pvalue > 0.2
    accuracy = found.metrics[0]
    assert accuracy.metric.name == "test/acc"
    assert [found.labels[group.group] for group in accuracy.groups] == ["adam", "sgd"]
    other = accuracy.groups[1]
    assert other.against_best is not None
    assert other.against_best.p == pytest.approx(expected.pvalue)
    said = conclusion(accuracy, found.labels)
    assert said is not None
    assert said.startswith("adam is significantly better than sgd in test/acc (+0.0")
    assert "paired over 10 seeds" in said
    loss = found.metrics[1]
    assert [found.labels[group.group] for group in loss.groups] == ["adam", "sgd"]
    assert loss.groups[0].measures["final"].mean == pytest.approx(1 - adam.mean())


def test_equal_groups_are_not_told_apart(tmp_path: Path) -> None:
    write_runs(tmp_path, {"sgd": 0.5, "adam": 0.5}, noise=0.05)
    found = report(runs(root=tmp_path), metrics=["test/acc"])
    assert found.conclusions()[0].startswith("No significant difference in test/acc between ")
    assert found.metrics[0].groups[1].is_not_worse


def test_of_many_groups_those_not_significantly_worse_are_marked(tmp_path: Path) -> None:
    values = write_runs(tmp_path, {"sgd": 0.5, "adam": 0.6, "lion": 0.6, "muon": 0.2, "adagrad": 0.598}, noise=0.02)
    found = report(runs(root=tmp_path), metrics=["test/acc"])
    groups = found.metrics[0].groups
    names = [found.labels[group.group] for group in groups]
    best = ["sgd", "adam", "lion", "muon", "adagrad"].index(names[0])
    raw = {
        n: stats.ttest_rel(values[best], v).pvalue
        for n, v in zip(["sgd", "adam", "lion", "muon", "adagrad"], values, strict=True)
    }
    ordered = sorted(p for n, p in raw.items() if n != names[0])
    for name, group in list(zip(names, groups, strict=True))[1:]:
        place = ordered.index(raw[name])
        assert group.p == pytest.approx(max(min(1, (4 - i) * ordered[i]) for i in range(place + 1)))
    assert {n for n, g in zip(names, groups, strict=True) if g.is_not_worse} | {names[0]} == {"adam", "lion", "adagrad"}
    assert "2 others are not significantly worse, 2 are" in found.conclusions()[0]


def test_best_and_at_a_step(tmp_path: Path) -> None:
    values = write_runs(tmp_path, {"sgd": 0.5, "adam": 0.6})
    found = report(runs(root=tmp_path), metrics=["test/acc", "test/loss:max", "test/loss"], step=15)
    accuracy, largest, smallest = found.metrics
    group = next(group for group in accuracy.groups if found.labels[group.group] == "adam")
    assert group.measures["best"].mean == pytest.approx(values[1].mean() + 0.2)
    assert group.measures["step"].mean == pytest.approx(values[1].mean() + 0.2)  # what was logged at step 10
    assert group.measures["final"].mean == pytest.approx(values[1].mean())
    assert largest.groups[0].measures["best"].mean == pytest.approx(0.9)
    assert smallest.groups[0].measures["best"].mean == pytest.approx(1 - values[1].mean() - 0.2)
    assert "No run was evaluated at step 15" in " ".join(found.notes)


def test_grouping_by_a_key_pairs_by_all_others(tmp_path: Path) -> None:
    for width in (8, 16):
        for seed in range(4):
            for lr in (0.1, 0.2):
                config = {"seed": seed, "model": {"width": width}, "optimizer": {"lr": lr}}
                summary = {"step": 1, "test/acc": width + 10 * lr + seed / 7 + (lr > 0.15) * seed * 0.01}
                write_record(tmp_path, f"e/{width}-{seed}-{lr}", config=config, summary=summary)
    found = report(runs(root=tmp_path), by=["lr"])
    assert found.groups.labels == ["optimizer.lr"]
    worse = found.metrics[0].groups[1]
    assert worse.against_best is not None
    assert (worse.against_best.paired, worse.against_best.interval.n) == (True, 8)
    assert worse.against_best.interval.mean == pytest.approx(1 + 0.015)
    assert "paired over 8 seeds and settings" in found.conclusions()[0]
    with pytest.raises(ConfigError, match=r"Did you mean 'model\.width'"):
        report(runs(root=tmp_path), by=["model.widht"])


def test_order(tmp_path: Path) -> None:
    for place, lr in enumerate([0.3, 0.1, 0.2]):
        write_record(
            tmp_path, f"e/{place}", config={"seed": 0, "optimizer": {"lr": lr}}, summary={"step": 1, "test/acc": place}
        )
    frame = runs(root=tmp_path)

    def order(sort: str | None) -> list[str]:
        found = report(frame, sort=sort)
        return [found.labels[group.group] for group in found.metrics[0].groups]

    assert order(None) == ["lr=0.2", "lr=0.1", "lr=0.3"]
    assert order("lr") == ["lr=0.1", "lr=0.2", "lr=0.3"]
    assert order("test/acc") == order(None)
    assert report(frame, sort="lr").conclusions()[0].startswith("lr=0.2 is best in test/acc, but one run of each")


def test_only_runs_that_are_done_count(tmp_path: Path) -> None:
    write_runs(tmp_path, {"sgd": 0.5}, seeds=3)
    write_record(tmp_path, "e/x", "failed", summary={"step": 1, "test/acc": 0.0})
    write_record(tmp_path, "e/y", "interrupted", summary={})
    found = report(runs(root=tmp_path))
    assert found.left_out == {"failed": 1, "interrupted": 1}
    assert found.metrics[0].groups[0].measures["final"].n == 3
    with pytest.raises(UserError, match="no complete runs to compare: 1 failed"):
        report(runs(root=tmp_path, where="experiment==e").filter(polars.col("state") == "failed"))


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("test/loss", "min"),
        ("test/acc_clean", "max"),
        ("val/rmse", "min"),
        ("probe/sharpness", None),
        ("x/acc:min", "min"),
    ],
)
def test_the_direction_of_a_metric(name: str, best: str | None) -> None:
    assert metric(name).best == best


def test_default_metrics_are_those_of_the_test_data() -> None:
    assert [m.name for m in chosen_metrics([], ["train/acc", "test/loss", "test/acc", "test/acc_clean"])] == [
        "test/acc",
        "test/loss",
    ]
    assert [m.name for m in chosen_metrics([], ["train/mse", "probe/x"])] == ["train/mse"]
    with pytest.raises(ConfigError, match="Did you mean 'test/acc'"):
        chosen_metrics(["test/ac"], ["test/acc"])


def test_small_curves() -> None:
    assert sparkline(list(range(8)), 0, 7, 8, utf8=True) == BLOCKS
    assert sparkline([0, 1, float("nan")], 0, 1, 8, utf8=False) == "_@x"
    assert len(sparkline(list(range(500)), 0, 499, 20, utf8=True)) == 20
    assert sparkline(list(range(500)), 0, 499, 20, utf8=True)[-1] == "█"
    assert interval_bar(Interval(0.5, 0.25, 0.75, 3), 0, 1, 9, utf8=True) == "  ├─●─┤  "
    assert interval_bar(Interval(0.5, 0.25, 0.75, 3), 0, 1, 9, utf8=False).isascii()


def test_a_metric_of_runs_may_have_any_name() -> None:
    assert [one.name for one in chosen_metrics([], ["test/a:b", "test/c:min"])] == ["test/a:b", "test/c:min"]
