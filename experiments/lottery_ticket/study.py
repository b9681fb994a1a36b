"""What is checked of arXiv 1803.03635; README.md says where the thresholds come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from expkit.studies import Estimate, Runs, Sample, band, claim, figure, holds

STAGE = 800
ROUNDS = 12
WITH_CONTROLS = (3, 6, 9, 12)
SMALL = (8, 9, 10, 11, 12)
"""Rounds whose tickets have at most 20 % of the weights."""
LARGE = (1, 2, 3, 4, 5, 6, 7)

KINDS = {"ticket": "winning ticket", "reinit": "its structure, other weights", "mask": "other structure, its weights"}

ROUNDS_OF = {"ticket": tuple(range(1, ROUNDS + 1)), "reinit": WITH_CONTROLS, "mask": WITH_CONTROLS}


def stages() -> dict[tuple[str, int], int]:
    """The step at which each stage ends, by what is trained in it and its round; ("dense", 0) is the first."""
    order = [("dense", 0)]
    for number in range(1, ROUNDS + 1):
        controls = [("reinit", number), ("mask", number)] if number in WITH_CONTROLS else []
        order += [*controls, ("ticket", number)]
    return {stage: STAGE * place for place, stage in enumerate(order, start=1)}


ENDS = stages()


@claim(
    "Winning tickets with at most 20 % of the weights are as accurate as the dense network",
    paper="tickets below 10 to 20 % of the size match the full network's accuracy",
)
def tickets_match(runs):
    return holds(over_dense(runs, SMALL).named("test/acc, tickets - dense") >= -0.005)


@claim(
    "Tickets of that size are more accurate than their structure with other weights, or as many random weights",
    paper="randomly reinitialized tickets do not match the accuracy",
)
def initialization_matters(runs):
    small = [number for number in WITH_CONTROLS if number in SMALL]
    tickets = mean_accuracy(runs, "ticket", small)
    return holds(
        (tickets - mean_accuracy(runs, "reinit", small)).named("test/acc, tickets - reinitialized") > 0,
        (tickets - mean_accuracy(runs, "mask", small)).named("test/acc, tickets - random mask") > 0,
    )


@claim(
    "Tickets of that size reach their least test loss no later than the dense network",
    paper="in a similar number of iterations, by early stopping",
)
def no_later(runs):
    return holds(sooner_than_dense(runs, SMALL).named("early-stop step, tickets - dense") <= 0)


@claim(
    "Larger tickets learn faster than the dense network and reach a higher accuracy",
    paper="above 10 to 20 % of the size they learn faster and reach higher test accuracy",
)
def larger_are_better(runs):
    return holds(
        sooner_than_dense(runs, LARGE).named("early-stop step, tickets - dense") < 0,
        over_dense(runs, LARGE).named("test/acc, tickets - dense") > 0,
    )


@figure
def accuracies(runs, axes):
    dense = accuracy(runs, "dense", 0)
    for kind, numbers in ROUNDS_OF.items():
        samples = [dense, *(accuracy(runs, kind, number) for number in numbers)]
        _points(axes, [1.0, *(density(runs, number) for number in numbers)], samples, KINDS[kind])
    axes.axhline(dense.mean, color="0.5", linewidth=0.8, linestyle=":")
    _size_axis(axes)
    axes.set(title="what is left, and what it reaches", ylabel="test accuracy")
    axes.legend(loc="lower left", title=f"mean and 95 % interval, {len(runs)} seeds", title_fontsize=8)


@figure
def early_stopping(runs, axes):
    dense = early_stop(runs, "dense", 0)
    for kind, numbers in ROUNDS_OF.items():
        samples = [dense, *(early_stop(runs, kind, number) for number in numbers)]
        _points(axes, [1.0, *(density(runs, number) for number in numbers)], samples, KINDS[kind])
    axes.axhline(dense.mean, color="0.5", linewidth=0.8, linestyle=":")
    axes.axhline(STAGE, color="0.5", linewidth=0.8)
    _size_axis(axes)
    axes.set(title="how soon", ylabel="step of the least test loss (of 800)", ylim=(0, STAGE * 1.05))


@figure
def learning(runs, axes):
    curve = runs.curve("test/loss")
    shown = {("ticket", 9): "winning ticket", ("reinit", 9): "other weights", ("mask", 9): "other structure"}
    for (kind, number), label in {**shown, ("dense", 0): "dense network"}.items():
        start = ENDS[kind, number] - STAGE
        lines = tuple((at[part] - start, loss[part]) for at, loss in curve.lines for part in [_stage(at, start)])
        style = {"color": "0.3", "linestyle": ":"} if kind == "dense" else {}
        band(axes, replace(curve, lines=lines), label, log_steps=False, **style)
    axes.set(title="with 13 % of the weights", xlabel="step of the stage", ylabel="test loss, nats", yscale="log")
    axes.legend(loc="upper right")


def over_dense(runs: Runs, numbers: Sequence[int]) -> Sample | Estimate:
    """The mean accuracy of some rounds' tickets less that of the dense network."""
    return mean_accuracy(runs, "ticket", numbers) - accuracy(runs, "dense", 0)


def sooner_than_dense(runs: Runs, numbers: Sequence[int]) -> Sample | Estimate:
    """The mean early-stop step of some rounds' tickets less that of the dense network."""
    return mean_of([early_stop(runs, "ticket", number) for number in numbers]) - early_stop(runs, "dense", 0)


def accuracy(runs: Runs, kind: str, number: int) -> Sample:
    """Test accuracy at the end of a stage."""
    return runs.at(step=ENDS[kind, number])["test/acc"]


def mean_accuracy(runs: Runs, kind: str, numbers: Sequence[int]) -> Sample:
    """The mean over rounds."""
    return mean_of([accuracy(runs, kind, number) for number in numbers])


def early_stop(runs: Runs, kind: str, number: int) -> Sample:
    """The step within a stage at which the test loss is least, among its evaluation points."""
    curve, end = runs.curve("test/loss"), ENDS[kind, number]
    steps = []
    for at, loss in curve.lines:
        within = _stage(at, end - STAGE)
        steps.append(float(at[within][loss[within].argmin()] - (end - STAGE)) if within.any() else math.nan)
    return Sample(f"early-stop step of {kind} {number}", tuple(steps), curve.seeds, curve.expected)


def mean_of(samples: list[Sample]) -> Sample:
    """For each run, the mean of several of its numbers."""
    values = tuple(sum(own) / len(own) for own in zip(*(sample.values for sample in samples), strict=True))
    return Sample(f"mean of {samples[0].name} to {samples[-1].name}", values, samples[0].seeds, samples[0].expected)


def density(runs: Runs, number: int) -> float:
    """The share of weights that is left in a round."""
    return 1 - runs.at(step=ENDS["ticket" if number else "dense", number])["sparsity/global"].mean


def _stage(steps: Any, start: int) -> Any:
    """Which of some steps belong to the stage after `start`; what is measured at `start` is of the one before."""
    return (steps > start) & (steps <= start + STAGE)


def _points(axes: Any, sizes: list[float], samples: list[Sample], label: str) -> None:
    means = [sample.mean for sample in samples]
    low, high = zip(*(sample.interval for sample in samples), strict=True)
    (line,) = axes.plot(sizes, means, marker="o", markersize=3, label=label)
    axes.fill_between(sizes, low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def _size_axis(axes: Any) -> None:
    axes.set_xscale("log")
    axes.invert_xaxis()
    ticks = [1.0, 0.5, 0.2, 0.1]
    axes.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("weights left")
