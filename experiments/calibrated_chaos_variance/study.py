"""What is checked of arXiv 2304.01910; README.md says where the thresholds come from."""

import math
from functools import cache

import numpy as np
import torch
from scipy import stats

from expkit.metrics.calibration import top_label_error
from expkit.studies import Estimate, claim, figure, holds
from expkit.studies.drawing import COLOURS

SPLITS = ("test", "test2")
CLASSES = 10
RESAMPLES = 1999
ARMS = {"both": "both", "init": "initial weights alone", "order": "order alone"}


@claim(
    "Accuracy varies between runs on a test set of 4,000, but hardly on the distribution that it is drawn from",
    paper="CIFAR-10 and ImageNet: significant variance on the test set, very little on its distribution",
)
def varies_on_the_test_set_alone(runs):
    std = deviations(runs, "both")
    return holds(
        estimate(runs, "std on the distribution / std on a test set", std["distribution"] / std["test"]) <= 0.5
    )


@claim(
    "The variance is that of errors made independently, each example with a probability of its own",
    paper="independent errors closely approximate the distribution of accuracies on the test set",
)
def errors_are_independent(runs):
    std = deviations(runs, "both")
    ratio = estimate(runs, "std from independent errors / std on a test set", std["predicted"] / std["test"])
    return holds(ratio.within(0.8, 1.25))


@claim(
    "No source of randomness is needed: initial weights alone, or the order alone, cause as much variance as both",
    paper="sensitivity to initial conditions causes the variance, rather than any specific source of randomness",
)
def any_source_does_it(runs):
    both = deviations(runs, "both")["test"]
    ratios = {arm: deviations(runs, arm)["test"] / both for arm in ("init", "order")}
    return holds(*(estimate(runs, f"std, {ARMS[arm]} / std, both", ratio) >= 0.8 for arm, ratio in ratios.items()))


@claim(
    "The ensemble of all runs is calibrated, and so two runs disagree as often as one errs: variance cannot be avoided",
    paper="variance is unavoidable, given that ensembles of trained networks are well-calibrated",
)
def calibration_makes_it_inevitable(runs):
    error, disagreement = over_examples(runs, ensemble_error), over_examples(runs, disagreement_over_error)
    how = "95 % bootstrap interval over test examples"
    return holds(
        estimate(runs, "calibration error of the ensemble's votes", error, how) <= 0.05,
        estimate(runs, "disagreement of two runs / error", disagreement, how).within(0.8, 1.25),
    )


@figure
def accuracies(runs, axes):
    correct = correctness(runs, "both")[0]
    accuracy, chance = 100 * correct.mean(1), correct.mean(0)
    predicted = 100 * math.sqrt((chance * (1 - chance)).sum()) / len(chance)
    axes.hist(accuracy, bins=20, density=True, color=COLOURS[0], alpha=0.45, label=f"{len(accuracy)} runs")
    grid = np.linspace(accuracy.min() - 0.5, accuracy.max() + 0.5, 200)
    axes.plot(grid, stats.norm.pdf(grid, accuracy.mean(), predicted), color=COLOURS[1], label="independent errors")
    axes.set(xlabel="accuracy on the test set (%)", ylabel="density (1 / %)", title="accuracy of runs")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(loc="upper left")


@figure
def two_test_sets(runs, axes):
    first, second = (100 * own.mean(1) for own in correctness(runs, "both"))
    axes.plot(first, second, ".", color=COLOURS[0], alpha=0.6, markersize=5)
    correlation = np.corrcoef(first, second)[0, 1]
    axes.set(xlabel="accuracy on one test set (%)", ylabel="accuracy on another (%)")
    axes.set_title(f"two test sets of one distribution (r = {correlation:.2f})")


@figure
def sources(runs, axes):
    kinds = (
        ("on a test set", "test", "o"),
        ("on a test set, from independent errors", "predicted", "s"),
        ("on the distribution", "distribution", "^"),
    )
    for number, (label, kind, marker) in enumerate(kinds):
        points = [estimate(runs, label, 100 * deviations(runs, arm)[kind]) for arm in ARMS]
        values = np.array([point.value for point in points])
        bars = np.abs(np.array([point.interval for point in points]).T - values)
        places = np.arange(len(ARMS)) + 0.2 * (number - 1)
        axes.errorbar(places, values, bars, fmt=marker, color=COLOURS[number], capsize=3, linestyle="none", label=label)
    axes.set_xticks(range(len(ARMS)), ["both", "initial\nweights", "order of\nbatches"])
    axes.set(ylabel="std of accuracy between runs (%)", xlabel="what differs between runs")
    axes.set_title("sources of randomness")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.5)
    axes.legend(loc="upper right", title="with 95 % interval", title_fontsize=8)


@figure
def reliability(runs, axes):
    votes, target = ensemble(runs)
    confidence, right = votes.max(1), votes.argmax(1) == target
    bins = np.minimum((confidence * 10).astype(int), 9)
    filled = [number for number in range(10) if (bins == number).sum() >= 20]
    share = np.array([right[bins == number].mean() for number in filled])
    mean = np.array([confidence[bins == number].mean() for number in filled])
    half = np.array([1.96 * math.sqrt(s * (1 - s) / (bins == n).sum()) for s, n in zip(share, filled, strict=True)])
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, linestyle=":")
    axes.errorbar(
        mean, share, half, fmt="o-", color=COLOURS[0], capsize=3, label=f"{len(runs.arm('both'))} runs' votes"
    )
    axes.set(xlabel="share of runs that agree on a class", ylabel="how often it is the right one")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), title="calibration of the ensemble")
    axes.legend(loc="upper left")


@cache
def correctness(runs, arm):
    """Whether each run of an arm is right on each example of both test sets: [2, runs, examples], float32."""
    own = runs.arm(arm)
    right = [own.arrays(f"predictions/{split}_class") == own.arrays(f"predictions/{split}_target") for split in SPLITS]
    return np.stack(right).astype(np.float32)


@cache
def deviations(runs, arm):
    """Standard deviations of accuracy over an arm's runs: of all runs first, then of each bootstrap sample.

    test: on one test set; the root of the mean of both sets' variances.
    distribution: on the distribution; the root of the covariance of the accuracies on disjoint test sets, or 0.
    predicted: on one test set, if errors were independent: sqrt(sum_i p_i (1 - p_i)) / n, with p_i the share of runs
        that are right on example i.
    """
    correct = correctness(runs, arm)
    _, size, n = correct.shape
    weights = shares(size, list(ARMS).index(arm))
    accuracy = correct.mean(2, dtype=np.float64)
    centred = accuracy[:, None] - (accuracy @ weights.T)[:, :, None]  # [2, samples, runs]
    unbiased = size / (size - 1)
    chance = weights.astype(np.float32) @ correct  # [2, samples, examples]
    variance = {
        "test": (centred**2 * weights).sum(2).mean(0),
        "distribution": np.maximum((centred.prod(0) * weights).sum(1), 0),
        "predicted": (chance * (1 - chance)).sum(2, dtype=np.float64).mean(0) / n**2,
    }
    return {name: np.sqrt(unbiased * values) for name, values in variance.items()}


def shares(size, stream):
    """What each run counts: all alike, then as often as it is drawn in each bootstrap sample: [1 + resamples, runs]."""
    drawn = np.random.default_rng(stream).multinomial(size, np.full(size, 1 / size), RESAMPLES)
    return np.concatenate([np.ones((1, size)), drawn]) / size


@cache
def ensemble(runs):
    """The share of runs that vote for each class, [examples, classes], and the classes, over both test sets."""
    own = runs.arm("both")
    predicted = np.concatenate([own.arrays(f"predictions/{split}_class") for split in SPLITS], 1)
    target = np.concatenate([own.arrays(f"predictions/{split}_target")[0] for split in SPLITS])
    votes = np.stack([(predicted == k).mean(0) for k in range(CLASSES)], 1)
    return votes, target.astype(np.int64)


def disagreement_over_error(votes, target):
    """The chance that two runs predict different classes, over that of one run being wrong."""
    return (1 - np.square(votes).sum(1).mean()) / (1 - votes[np.arange(len(target)), target].mean())


def ensemble_error(votes, target):
    """Expected calibration error of the class with the most votes, in 15 bins of equal width."""
    return top_label_error(torch.from_numpy(votes), torch.from_numpy(target)).item()


def over_examples(runs, statistic):
    """A statistic of the ensemble: of all test examples first, then of each bootstrap sample of them."""
    votes, target = ensemble(runs)
    random = np.random.default_rng(0)
    rows = (random.integers(len(target), size=len(target)) for _ in range(RESAMPLES))
    return np.array([statistic(votes, target), *(statistic(votes[own], target[own]) for own in rows)])


def estimate(runs, name, values, how="95 % bootstrap interval over runs"):
    """A number, given with its bootstrap samples behind it, and their 95 % interval; it rests on all runs of an arm."""
    value, (low, high), seeds = values[0], np.quantile(values[1:], [0.025, 0.975]), len(runs.arm("both"))
    return Estimate(name, float(value), float(low), float(high), seeds=seeds, expected=seeds, how=how)
