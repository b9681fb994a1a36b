"""What is checked of arXiv 2306.17670; README.md says where the thresholds come from."""

import numpy as np

from expkit.studies import band, claim, figure, holds

ARMS = {"none": "no delays", "random": "random delays", "learned": "learned delays"}
ACCURACY, SPREAD = "test/acc", "arrival_spread/mean"


@claim(
    "Fixed random delays beat no delays, with the same number of weights",
    paper="fixed random delays help",
)
def random_beats_none(runs):
    return holds(runs.arm("random")[ACCURACY] > runs.arm("none")[ACCURACY])


@claim(
    "Learned delays beat fixed random ones",
    paper="learning the delays helps even more",
)
def learned_beats_random(runs):
    return holds(runs.arm("learned")[ACCURACY] > runs.arm("random")[ACCURACY])


@claim(
    "Learned delays bring the spikes that excite a neuron closer together in time, more than weights alone do",
    paper="delays bring spikes to coincide, to which spiking neurons respond more strongly",
)
def arrivals_align(runs):
    learned, random = runs.arm("learned"), runs.arm("random")
    return holds(learned.last()[SPREAD] < learned.at(step=0)[SPREAD], learned[SPREAD] < random[SPREAD])


@claim(
    "Better than the state of the art on SHD, SSC and GSC, without recurrence and with fewer parameters",
    paper="95.07 % on SHD, 80.69 % on SSC, 95.35 % on GSC",
    reason="needs the three data sets, which are downloads, and networks of other papers",
)
def beats_state_of_the_art(runs): ...


@figure
def accuracies(runs, axes):
    for arm, label in ARMS.items():
        band(axes, runs.arm(arm).curve(ACCURACY), label, log_steps=False, marker="o", markersize=3)
    axes.axhline(1 / 8, color="0.5", linewidth=0.8, linestyle=":")
    axes.annotate("chance", (0.99, 0.095), xycoords=("axes fraction", "data"), va="top", ha="right", fontsize=8)
    axes.set(ylabel="test accuracy", ylim=(0, 1.03), title="accuracy, rounded delays")
    axes.legend(loc="center right", title="mean and 95 % interval, 5 seeds", title_fontsize=8)


@figure
def spreads(runs, axes):
    for arm, label in ARMS.items():
        band(axes, runs.arm(arm).curve(SPREAD), label, log_steps=False, marker="o", markersize=3)
    axes.set(ylabel="spread of arrivals (time steps)", ylim=(0, None), title="excitation of first-layer neurons")
    axes.legend(loc="lower left")


@figure
def of_each_neuron(runs, axes):
    edges = np.arange(0, 20.5, 0.5)
    for (arm, label), style in zip(ARMS.items(), ("-", "--", "-."), strict=True):
        values = runs.arm(arm).arrays("arrival_spread/neurons").ravel()
        axes.hist(values[np.isfinite(values)], edges, histtype="step", label=label, linewidth=1.6, linestyle=style)
    axes.set(xlabel="spread of arrivals (time steps)", ylabel="neurons of 5 seeds", title="at the end")
    axes.legend(loc="upper left")
