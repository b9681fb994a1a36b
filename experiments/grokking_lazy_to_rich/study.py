"""What is checked of arXiv 2310.06110; README.md says where the thresholds come from."""

import math
from itertools import pairwise

import numpy as np
from scipy import stats

from expkit.studies import Curve, band, claim, crosses, figure, holds
from expkit.studies.drawing import COLOURS

LEVEL = 0.1
"""The loss at which training and test data count as fitted; targets have a variance of 0.5."""
ALPHAS = (0.25, 0.5, 1, 2)
ALIGNMENT = "ntk/centered_alignment"


def arm_of(alpha):
    return f"alpha={alpha:g}"


def first_below(run, metric):
    """The step at which a run's loss crosses LEVEL; infinite where it does not."""
    return crosses(Curve(metric, (run.line(metric),), (0,), 1), LEVEL).values[0]


def delay(run):
    """How many times as long test data take as training data."""
    return first_below(run, "test/mse") / first_below(run, "train/mse")


def lag(run):
    """How many steps later than training data test data are fitted."""
    return first_below(run, "test/mse") - first_below(run, "train/mse")


def never_generalizes(run):
    return float(math.isinf(first_below(run, "test/mse")))


def delays(runs, arm):
    return runs.arm(arm).each("steps until test loss < 0.1 over steps until train loss < 0.1", delay).median


def lags(runs, arm):
    return runs.arm(arm).each("steps from train loss < 0.1 to test loss < 0.1", lag).median


def rank_correlation(run):
    """Of test loss and kernel alignment over the steps at which training data are fitted already."""
    steps, loss = run.line("test/mse")
    fitted = steps >= first_below(run, "train/mse")
    return stats.spearmanr(loss[fitted], run.line(ALIGNMENT)[1][fitted]).statistic


@claim(
    "Test data are fitted later than training data, and the larger the output scale alpha, the more times as late",
    paper="a larger alpha, lazier training, makes the delay larger",
)
def delay_grows_with_alpha(runs):
    ratios = [delays(runs, arm_of(alpha)) for alpha in ALPHAS]
    return holds(ratios[0] > 1, *(more > less for less, more in pairwise(ratios)))


@claim(
    "The tangent kernel aligns with the targets while the test loss falls, after the training data are fitted",
    paper="test loss falls as the alignment of the NTK with the targets rises",
)
def kernel_aligns_as_test_loss_falls(runs):
    own = runs.arm("alpha=1")
    correlation = own.each("rank correlation of test loss and alignment once train loss < 0.1", rank_correlation)
    return holds(own.last()[ALIGNMENT] > own.at(step=0)[ALIGNMENT], correlation < 0)


@claim(
    "The linearized network fits the training data and never generalizes",
    paper="the test loss of the linearized model stays high",
)
def linearized_never_generalizes(runs):
    own = runs.arm("linearized")
    end, never = own.last(), own.each(f"share of runs whose test loss stays above {LEVEL:g}", never_generalizes)
    return holds(end["test/mse"] > LEVEL, never >= 1, given=[end["train/mse"] <= LEVEL])


@claim(
    "The less curvature epsilon there is in the activation, the worse the initial kernel suits the quadratic target, "
    "and the more steps lie between the fit of training and of test data",
    paper="grokking grows as the alignment of the initial kernel, set by epsilon, falls",
)
def delay_grows_with_misalignment(runs):
    steps = [lags(runs, arm) for arm in ("alpha=1", "epsilon=0.1", "epsilon=0.02")]
    start = [runs.arm(arm).at(step=0)[ALIGNMENT] for arm in ("alpha=1", "epsilon=0.02")]
    return holds(*(more > less for less, more in pairwise(steps)), start[0] > start[1])


@claim(
    "Grokking needs an intermediate number of examples: with half as many test data are never fitted, with four times "
    "as many they are fitted soon after training data",
    paper="large enough to generalize eventually, not so large that train loss tracks test loss",
)
def intermediate_sample_size(runs):
    few = runs.arm("P=110")
    return holds(
        few.last()["test/mse"] > LEVEL,
        delays(runs, "P=880") < delays(runs, "alpha=1"),
        given=[few.last()["train/mse"] <= LEVEL],
    )


def both_losses(axes, runs, label, colour):
    band(axes, runs.curve("train/mse"), f"{label}, train", color=colour, linestyle="--")
    band(axes, runs.curve("test/mse"), f"{label}, test", color=colour, linestyle="-")


@figure
def losses(runs, axes):
    both_losses(axes, runs.arm("alpha=1"), "network", COLOURS[0])
    both_losses(axes, runs.arm("linearized"), "linearized", COLOURS[1])
    axes.axhline(LEVEL, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(ylabel="mean squared error", ylim=(0, None), title="the linearized network never generalizes")
    axes.legend(loc="upper right", title=f"mean, 95 % interval, {len(runs.arm('alpha=1'))} seeds", title_fontsize=8)


@figure
def alignment(runs, axes):
    for number, alpha in enumerate(ALPHAS):
        style = {"color": COLOURS[number], "linestyle": ("-", "--", "-.", ":")[number]}
        band(axes, runs.arm(arm_of(alpha)).curve(ALIGNMENT), rf"$\alpha$ = {alpha:g}", **style)
    band(axes, runs.arm("linearized").curve(ALIGNMENT), "linearized", color="0.4", linestyle="-")
    axes.set(ylabel="alignment of kernel and targets", ylim=(0, None), title="the kernel turns to the target")
    axes.legend(loc="upper left")


@figure
def test_loss_by_alpha(runs, axes):
    for number, alpha in enumerate(ALPHAS):
        own, colour = runs.arm(arm_of(alpha)), COLOURS[number]
        band(axes, own.curve("train/mse"), "_" if number else "train", color=colour, linestyle="--")
        band(axes, own.curve("test/mse"), rf"$\alpha$ = {alpha:g}, test", color=colour, linestyle="-")
    axes.axhline(LEVEL, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(ylabel="mean squared error", ylim=(0, None), title="the lazier, the later")
    axes.legend(loc="upper right")


@figure
def delay_by_setting(runs, axes):
    arms = [*map(arm_of, ALPHAS), "epsilon=0.1", "epsilon=0.02", "P=110", "P=880"]
    labels = [
        *(rf"$\alpha$ = {alpha:g}" for alpha in ALPHAS),
        r"$\epsilon$ = 0.1",
        r"$\epsilon$ = 0.02",
        "P = 110",
        "P = 880",
    ]
    last = max(runs.arm("alpha=1").curve("test/mse").lines[0][0])
    for metric, marker, colour, name in (
        ("train/mse", "s", COLOURS[0], "train"),
        ("test/mse", "o", COLOURS[1], "test"),
    ):
        steps = [np.array([first_below(run, metric) for run in runs.arm(arm).single]) for arm in arms]
        for place, own in enumerate(steps):
            reached = own[np.isfinite(own)]
            axes.plot([place] * len(reached), reached, marker, color=colour, markersize=4, alpha=0.7, linestyle="none")
            if missing := int(np.isinf(own).sum()):
                axes.annotate(f"{missing} never", (place, last), ha="center", va="bottom", fontsize=7, color=colour)
        axes.plot([], [], marker, color=colour, label=f"{name}, a point a seed", linestyle="none")
    axes.set_yscale("log")
    axes.set_xticks(range(len(arms)), labels, rotation=45, ha="right")
    axes.set(ylabel="step at which the loss is 0.1", ylim=(None, last * 2), title="when data are fitted")
    axes.set_ylim(top=6e4)  # room for the legend
    axes.legend(loc="upper left")
