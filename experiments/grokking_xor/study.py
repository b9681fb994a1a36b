"""What is checked of arXiv 2310.02541; README.md says where the thresholds come from."""

from expkit.studies import band, claim, figure, holds

CHANCE = 0.5


@claim(
    "After one step of gradient descent the network fits the training labels, flipped ones included, and is at chance "
    "on clean test data",
    paper="training accuracy 100 %, test accuracy near random",
)
def fits_noise_first(runs):
    step_one = runs.at(step=1)
    return holds(
        step_one["train/acc"] >= 0.99,
        step_one["test/acc"] <= 0.60,
        given=[step_one["train/acc_flipped"] >= 0.99],
    )


@claim(
    "Later, test accuracy is near optimal while the flipped labels stay fitted",
    paper="near-optimal test accuracy with training accuracy 100 %",
)
def generalizes_later(runs):
    end = runs.last()
    return holds(end["test/acc"] >= 0.95, given=[end["train/acc_flipped"] >= 0.99])


@claim(
    "After one step the network is close to a linear classifier",
    paper="after one step it behaves like a linear classifier, which cannot generalize on XOR",
)
def linear_first(runs):
    return holds(runs.at(step=1)["linearity/share"] >= 0.95)


@claim(
    "The features appear later: neurons align with the mean of the clusters that they vote for, and not with the other",
    paper="generalizable features are learned gradually in later steps",
)
def features_align_later(runs):
    first, end = runs.at(step=1), runs.last()
    own, other = "alignment/own", "alignment/other"
    margin, margin_first = end[own] - end[other], first[own] - first[other]
    return holds(
        end[own] > first[own],
        margin.named("own - other at the end") > margin_first.named("own - other at step 1"),
    )


@figure
def accuracies(runs, axes):
    band(axes, runs.curve("train/acc"), "train, noisy labels")
    band(axes, runs.curve("test/acc"), "test, clean labels")
    band(axes, runs.curve("train/acc_flipped"), "train, flipped labels only")
    axes.axhline(CHANCE, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(ylabel="accuracy", ylim=(-0.03, 1.05), title="noise is fitted first, then test data")
    axes.legend(loc="lower right", title=f"mean and 95 % interval, {len(runs)} seeds", title_fontsize=8)


@figure
def linearity(runs, axes):
    band(axes, runs.curve("linearity/share"), "odd (linear) part of the output")
    axes.set(ylabel="share of the output's second moment", ylim=(-0.03, 1.05), title="linear after one step only")
    axes.legend(loc="upper right")


@figure
def alignment(runs, axes):
    band(axes, runs.curve("alignment/own"), "mean of the clusters voted for")
    band(axes, runs.curve("alignment/other"), "the other mean")
    axes.set(ylabel="mean |cosine| of a neuron's weights", ylim=(0, None), title="features appear later")
    axes.legend(loc="center right")
