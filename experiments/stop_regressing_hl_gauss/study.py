"""What is checked of arXiv 2403.03950; README.md says where the thresholds come from."""

import numpy as np
import polars

from expkit.studies import claim, figure, holds

TUNING = polars.col("seed") < 4
"""Worlds that choose the learning rate of each loss at each noise; claims are about the others."""
NOISES = (0.0, 1.0, 2.0)
LABELS = {"mse": "squared error", "two_hot": "two-hot", "hl_gauss": "HL-Gauss"}
SHARE = "greedy/share"


def best(runs, arm, noise):
    """The runs of a loss at a noise, with the learning rate that earns most in the tuning worlds, in the others."""
    by_rate = runs.arm(arm).where({"data.reward_noise": noise}).by("optimizer.lr").values()
    return max(by_rate, key=lambda own: own.where(TUNING)[SHARE].mean).where(~TUNING)


def measured(runs, arm, noise, metric):
    return best(runs, arm, noise)[metric].named(f"{metric}, {LABELS[arm]}, noise {noise:g}")


def gain(runs, noise):
    difference = measured(runs, "hl_gauss", noise, SHARE) - measured(runs, "mse", noise, SHARE)
    return difference.named(f"HL-Gauss - squared error at noise {noise:g}")


@claim(
    "With noisy rewards a policy of values learned by HL-Gauss earns at least as much as one of values learned by "
    "regression",
    paper="HL-Gauss outperforms squared error on Atari, offline and online",
)
def earns_more(runs):
    return holds(*(gain(runs, noise) >= 0 for noise in NOISES[1:]))


@claim(
    "The gap grows with the noise of the rewards",
    paper="figure 14: under stochastic rewards classification degrades less",
)
def gap_grows(runs):
    return holds(gain(runs, NOISES[-1]) > gain(runs, NOISES[0]))


@claim(
    "Its values are closer to the optimal ones at the largest noise",
    paper="cross-entropy mitigates noisy targets",
)
def values_are_closer(runs):
    noise = NOISES[-1]
    return holds(measured(runs, "hl_gauss", noise, "test/q_error") < measured(runs, "mse", noise, "test/q_error"))


@claim(
    "It earns at least as much as a two-hot target at the largest noise",
    paper="figure 4: HL-Gauss, which spreads over neighbouring bins, is above two-hot",
)
def smoothing_helps(runs):
    noise = NOISES[-1]
    return holds(measured(runs, "hl_gauss", noise, SHARE) >= measured(runs, "two_hot", noise, SHARE))


def against_noise(runs, axes, metric):
    for (arm, label), marker, aside in zip(LABELS.items(), "osD", (-0.06, 0, 0.06), strict=True):
        estimates = [best(runs, arm, noise)[metric].estimate for noise in NOISES]
        means = np.array([estimate.value for estimate in estimates])
        ends = np.array([estimate.interval for estimate in estimates]).T
        axes.errorbar(np.add(NOISES, aside), means, np.abs(ends - means), capsize=2, marker=marker, label=label)
    axes.set(xlabel="standard deviation of reward noise", xticks=NOISES)


@figure
def returns(runs, axes):
    against_noise(runs, axes, SHARE)
    axes.set(ylabel="return of the greedy policy / optimum", title="what is earned")


@figure
def errors(runs, axes):
    against_noise(runs, axes, "test/q_error")
    axes.set(ylabel="mean |Q - Q*|", ylim=(0, None), title="error of the values")
    axes.legend(loc="upper left", title="mean and 95 % interval, 6 worlds", title_fontsize=8)
