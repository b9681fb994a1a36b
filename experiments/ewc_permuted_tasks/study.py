"""What is checked of arXiv 1612.00796; README.md says where the thresholds come from."""

import numpy as np
import polars

from expkit.metrics.continual import average_accuracy, backward_transfer
from expkit.studies import band, claim, figure, holds

TUNING = polars.col("seed") < 5
"""Seeds that choose the strength of each anchor, as the paper's random search does; claims are about the others."""
LABELS = {"ewc": "EWC", "l2": "L2 anchor", "sgd": "SGD", "replay": "replay of all old data"}


def matrix(run):
    """[tasks, tasks]: accuracy on task j after task i has been trained, in row i and column j."""
    tasks = sum(name.removeprefix("task_accuracy/").isdigit() for name in run.metrics.columns)
    return np.stack([run.line(f"task_accuracy/{task}")[1][1:] for task in range(tasks)], axis=1)


def best(runs, arm):
    """The runs of an arm, at the strength that is best for the tuning seeds, of the other seeds."""
    by_strength = runs.arm(arm).by("task.strength").values()
    return max(by_strength, key=_tuned).where(~TUNING)


def _tuned(runs):
    """What a strength is chosen by; the largest ones are too stiff for the step size, and diverge."""
    mean = runs.where(TUNING)["task_accuracy/mean"].mean
    return mean if np.isfinite(mean) else -1


def of_best(runs, arm, name, function):
    """A number made of each run's matrix, of an arm at its best strength."""
    own = best(runs, arm)
    strength = own["task.strength"].values[0]
    label = LABELS[arm] if arm in ("sgd", "replay") else f"{LABELS[arm]} at λ = {strength:g}"
    return own.each(name, lambda run: function(matrix(run))).named(f"{name}, {label}")


def average(runs, arm):
    return of_best(runs, arm, "average accuracy", average_accuracy)


def drop_of_first(accuracies):
    """By how much the first task is worse at the end than right after it was trained."""
    return accuracies[0, 0] - accuracies[-1, 0]


@claim(
    "After ten tasks, elastic weight consolidation is at least 15 points above gradient descent, averaged over tasks",
    paper="figure 2B: SGD's average falls with every task, that of EWC hardly does",
)
def better_than_descent(runs):
    return holds(average(runs, "ewc") - average(runs, "sgd") >= 0.15)


@claim(
    "It is above an anchor that pulls all weights alike",
    paper="figure 2A: with L2 the first task is remembered less, and later tasks are not learned",
)
def better_than_identity(runs):
    return holds(average(runs, "ewc") > average(runs, "l2"))


@claim(
    "The first task loses at most 10 points over the nine that follow",
    paper="figure 2A: the first task's accuracy hardly falls with EWC, and falls with SGD",
)
def first_task_is_kept(runs):
    return holds(of_best(runs, "ewc", "drop of the first task", drop_of_first) <= 0.10)


@claim(
    "Old tasks are forgotten less than by gradient descent",
    paper="EWC slows down learning on weights that old tasks need",
)
def forgets_less(runs):
    kept, lost = (of_best(runs, arm, "backward transfer", backward_transfer) for arm in ("ewc", "sgd"))
    return holds(kept > lost)


@figure
def first_task(runs, axes):
    for arm, label in LABELS.items():
        band(axes, best(runs, arm).curve("task_accuracy/0").since(1), label)
    axes.set(xscale="linear", ylabel="test accuracy", ylim=(0, 1.18), title="the first of ten tasks")
    axes.legend(loc="upper right", ncols=2)


@figure
def tasks_so_far(runs, axes):
    for arm, label in LABELS.items():
        matrices = np.stack([matrix(run) for run in best(runs, arm).single])
        seen = np.stack([matrices[:, row, : row + 1].mean(-1) for row in range(matrices.shape[1])], axis=1)
        axes.errorbar(range(1, seen.shape[1] + 1), seen.mean(0), seen.std(0), label=label, capsize=2)
    axes.set(xlabel="tasks trained", ylabel="mean test accuracy of these", ylim=(0, 1.02), title="all tasks so far")


@figure
def strengths(runs, axes):
    for arm in ("ewc", "l2"):
        by_strength = runs.arm(arm).by("task.strength")
        samples = [own["task_accuracy/mean"] for own in by_strength.values()]
        axes.plot(list(by_strength), [sample.mean for sample in samples], marker="o", label=LABELS[arm])
    axes.axhline(runs.arm("sgd")["task_accuracy/mean"].mean, color="0.5", linestyle=":", label="SGD")
    axes.set(xscale="log", xlabel="strength λ", ylabel="mean accuracy after ten tasks", ylim=(0, 1.02))
    axes.set_title("the strength of the anchor")
    axes.legend(loc="upper right")
