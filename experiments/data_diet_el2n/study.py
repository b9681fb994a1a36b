"""What is checked of arXiv 2107.07075; README.md says where the thresholds come from."""

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from expkit.studies import Sample, claim, figure, holds
from expkit.studies.drawing import COLOURS

ACCURACY = "test/acc"
FRACTIONS = (30, 50, 70)


@claim(
    "The harder half of the examples, by EL2N after a tenth of training, is worth more than a random half, "
    "and almost as much as all",
    paper="half of CIFAR-10 can be pruned by EL2N with slightly better accuracy; a random half loses",
)
def the_harder_half_suffices(runs):
    hardest, random, full = (accuracy(runs, arm) for arm in ("hardest_50", "random_50", "full"))
    return holds(
        (hardest - random).named("accuracy, hardest half - random half") > 0,
        (hardest - full).named("accuracy, hardest half - all") >= -0.005,
    )


@claim(
    "Scores do not depend on the network: those of an MLP and of a convolutional network rank the examples alike",
    paper="scores from one architecture or configuration carry over to others",
)
def scores_transfer(runs):
    return holds(correlation_with_cnn(runs) > 0.6)


@claim(
    "The scores flag wrong labels: with a tenth of the labels flipped, the hardest half without the very hardest tenth "
    "is better than with it",
    paper="with 10 % wrong labels, leaving out the examples of highest score helps",
)
def scores_flag_wrong_labels(runs):
    flags = runs.arm("noisy_full").each("area under the ROC curve of EL2N for wrong labels", flagging)
    window, hardest = accuracy(runs, "noisy_window_50"), accuracy(runs, "noisy_hardest_50")
    return holds(flags >= 0.8, (window - hardest).named("accuracy, hardest half without the first tenth - with it") > 0)


@figure
def fractions(runs, axes):
    for number, (kind, label) in enumerate((("hardest", "hardest by EL2N"), ("random", "random"))):
        points = [accuracy(runs, f"{kind}_{share}").estimate for share in FRACTIONS]
        points.append(accuracy(runs, "full").estimate)
        values = 100 * np.array([point.value for point in points])
        bars = np.abs(100 * np.array([point.interval for point in points]).T - values)
        shares = [*FRACTIONS, 100]
        axes.errorbar(shares, values, bars, fmt="os"[number] + "-", color=COLOURS[number], capsize=3, label=label)
    others = (
        ("easiest_50", "easiest by EL2N", "v"),
        ("grand_50", "hardest by GraNd", "^"),
        ("forgetting_50", "most forgotten", "D"),
    )
    for number, (arm, label, marker) in enumerate(others):
        point = accuracy(runs, arm).estimate
        bars = np.abs(100 * np.array(point.interval) - 100 * point.value).reshape(2, 1)
        place = 50 + 2 * (number - 1)
        axes.errorbar(place, 100 * point.value, bars, fmt=marker, color=COLOURS[2 + number], capsize=3, label=label)
    axes.set(xlabel="training examples kept (%)", ylabel="test accuracy (%)", title="which examples are kept")
    axes.legend(loc="lower right")


@figure
def two_networks(runs, axes):
    first, second = scores(runs, "full")[0], scores(runs, "cnn_scores")[0]
    axes.hexbin(first, second, gridsize=40, cmap="Greys", bins="log", linewidths=0.1)
    axes.set(xlabel="EL2N, multilayer perceptrons", ylabel="EL2N, convolutional networks")
    rank = correlation_with_cnn(runs).mean
    axes.set_title(f"two architectures: Spearman {rank:.2f}")


@figure
def wrong_labels(runs, axes):
    run = runs.arm("noisy_full").single[0]
    score, flipped = run.arrays["data/train_score"], run.arrays["data/train_flipped"]
    bins = np.linspace(0, np.sqrt(2), 40)
    for number, (kind, label) in enumerate(((False, "right label"), (True, "wrong label"))):
        chosen = score[flipped == kind]
        axes.hist(chosen, bins, density=True, color=COLOURS[number], alpha=0.5, label=label)
    axes.set(xlabel="EL2N", ylabel="density", title="scores of wrong labels")
    axes.legend(loc="upper left", title="10 % wrong, seed 0", title_fontsize=8)


@figure
def noisy_halves(runs, axes):
    rows = (
        ("noisy_full", "all"),
        ("noisy_random_50", "random\nhalf"),
        ("noisy_hardest_50", "hardest\nhalf"),
        ("noisy_window_50", "half without\nhardest tenth"),
    )
    points = [accuracy(runs, arm).estimate for arm, _ in rows]
    values = 100 * np.array([point.value for point in points])
    bars = np.abs(100 * np.array([point.interval for point in points]).T - values)
    axes.errorbar(range(len(rows)), values, bars, fmt="o", color=COLOURS[0], capsize=4, linestyle="none")
    axes.set_xticks(range(len(rows)), [name for _, name in rows])
    axes.set(xlim=(-0.5, len(rows) - 0.5), ylabel="test accuracy (%)", title="10 % wrong labels; mean, 95 % interval")


def accuracy(runs, arm):
    return runs.arm(arm).last()[ACCURACY].named(f"accuracy, {arm}")


def scores(runs, arm):
    """Of every example, [runs, examples]."""
    return runs.arm(arm).arrays("data/train_score")


def correlation_with_cnn(runs):
    """Spearman's, of both architectures' scores of the same examples, for each seed that has both."""
    mlp, cnn = (
        {run.keys["unit"]: run.arrays["data/train_score"] for run in runs.arm(arm).single}
        for arm in ("full", "cnn_scores")
    )
    values = tuple(float(stats.spearmanr(mlp[unit], cnn[unit]).statistic) for unit in cnn)
    return Sample("Spearman correlation of the scores of two architectures", values, tuple(cnn), len(cnn))


def flagging(run):
    """The chance that a wrong label has a higher score than a right one."""
    return roc_auc_score(run.arrays["data/train_flipped"], run.arrays["data/train_score"])
