"""What is checked of arXiv 2301.00437; README.md says where the thresholds come from."""

import numpy as np
from experiments.neural_collapse_deep_linear.closed_form import (
    frame_loss,
    least_loss,
    polygon,
    simplex,
    squared_lengths,
)

from expkit.studies import band, claim, figure, holds

CLASSES, PER_CLASS = 4, 100
COUNTS = (100, 50, 20, 5)
WEAK, STRONG = 5e-4, 0.02
COLLAPSED, NEAR, CLOSE = 1e-3, 0.05, 0.02
DEPTHS = (0, 1, 2, 3)


def worst(runs, quantity, name):
    """The largest value of a quantity over the layers of each run, at the end."""

    def largest(run):
        last = run.metrics.tail(1)
        names = [f"neural_collapse/{quantity}", *(f"neural_collapse/{quantity}_{j}" for j in range(2, depth(run) + 2))]
        return max(float(last[one][0]) for one in names)

    return each(runs, name, largest)


def each(runs, name, function):
    """A number of each run; a check of it is about every run by itself."""
    return runs.each(name, function).named(name).each


def depth(run):
    return run.keys["model.depth"]


def lengths(run):
    """|w_k|^2 of the classifier's rows."""
    return np.diag(run.arrays["neural_collapse/weights_gram"][0])


def error(penalty):
    def largest(run):
        expected = squared_lengths(COUNTS, depth(run), penalty, penalty)
        return float(np.max(np.abs(lengths(run) - expected)) / np.max(expected))

    return largest


def relative_error(run):
    expected = squared_lengths(COUNTS, depth(run), WEAK, WEAK)
    return float(np.max(np.abs(lengths(run) / expected - 1)))


@claim(
    "With classes of one size and squared error, features collapse to their class means, and the means and weights of "
    "every layer to an orthogonal frame, with 0 to 3 linear layers behind the features",
    paper="global minima have NC1, NC2 and NC3 with an orthogonal frame, across all linear layers",
)
def balanced(runs):
    own = runs.arm("balanced")
    return holds(
        worst(own, "nc1", "largest NC1 of any layer") < COLLAPSED,
        worst(own, "nc2_frame", "largest distance of W W^T from a frame, any layer") < NEAR,
        worst(own, "nc2_frame_means", "largest distance of the means from a frame, any layer") < NEAR,
        worst(own, "nc3_frame", "largest distance of W M from a frame, any layer") < NEAR,
    )


@claim(
    "Gradient descent gets to the global minimum of squared error: its loss is the one in closed form, at every depth",
    paper="the global minima are in closed form",
)
def reaches_the_minimum(runs):
    def excess(run):
        least = least_loss([PER_CLASS] * CLASSES, depth(run), WEAK, WEAK)
        return float(run.metrics["train/loss"][-1]) / least - 1

    return holds(each(runs.arm("balanced"), "relative excess of the loss", excess) < CLOSE)


@claim(
    "With classes of 100, 50, 20 and 5 examples and no bias, class means are orthogonal, and so are the classifier's "
    "vectors, with |w_k|² = √(λ_H/λ_W) max(0, √n_k - N √(λ_W λ_H)) and no linear layers between",
    paper="orthogonal vectors whose lengths depend on class sizes: the closed form, within 2 %",
)
def imbalanced(runs):
    plain = runs.arm("imbalanced").where({"model.depth": 0})

    def angle(run):
        return max(_cosine(run.arrays[f"neural_collapse/{name}_gram"][0]) for name in ("weights", "means"))

    return holds(
        each(plain, "largest relative error of a |w_k|²", relative_error) < CLOSE,
        worst(plain, "nc1", "NC1") < COLLAPSED,
        each(plain, "largest |cosine| of two classes", angle) < NEAR,
    )


@claim(
    "With 1 to 3 linear layers between, lengths follow class sizes by the same minimization",
    paper="the closed form for deep linear networks under imbalance, within 2 %",
)
def imbalanced_and_deep(runs):
    deep = runs.arm("imbalanced").where(_deeper())
    return holds(
        each(deep, "largest relative error of a |w_k|²", relative_error) < CLOSE,
        worst(deep, "nc1", "largest NC1 of any layer") < COLLAPSED,
    )


@claim(
    "Where penalties are strong, the smallest class is given up: its classifier vector is zero as √n_k < N √(λ_W λ_H) "
    "says, and the others have the lengths of the closed form",
    paper="minority classes collapse to zero: max(0, ...) in the closed form",
)
def minority_collapse(runs):
    own = runs.arm("strong penalties")
    return holds(
        each(own, "largest error of a |w_k|², relative to the largest of them", error(STRONG)) < CLOSE,
        each(own, "|w|² of the class of 5, relative to the largest", lambda run: lengths(run)[3] / lengths(run)[0])
        < CLOSE,
    )


@claim(
    "With cross-entropy and classes of one size, features collapse to a simplex ETF at every depth",
    paper="global minima under cross-entropy have NC1 to NC3 with a simplex ETF, across all linear layers",
)
def cross_entropy(runs):
    own = runs.arm("cross-entropy")
    checks = []
    for number in DEPTHS:
        at, where = own.where({"model.depth": number}), f"any layer, depth {number}"
        checks += [
            worst(at, "nc1", f"largest NC1 of {where}") < COLLAPSED,
            worst(at, "nc2_etf", f"largest distance of W W^T from an ETF, {where}") < NEAR,
        ]
    return holds(*checks)


@claim(
    "No solution that gradient descent finds under cross-entropy has a lower loss than the best simplex ETF",
    paper="the simplex ETF is the global minimum at every depth",
)
def nothing_below_the_etf(runs):
    checks = []
    for number in DEPTHS:
        at = runs.arm("cross-entropy").where({"model.depth": number})
        checks.append(each(at, f"loss / that of the best ETF, depth {number}", _against_etf) > 0.999)
    return holds(*checks)


@claim(
    "A network on digits collapses in the same way where its last features and its last weights are penalized",
    paper="MLPs and convolutional networks show the same geometry as the model",
)
def digits(runs):
    end = runs.arm("digits").last()
    return holds(
        end["neural_collapse/nc1"] < COLLAPSED,
        end["neural_collapse/nc2_frame"] < NEAR,
        end["neural_collapse/nc2_frame_means"] < NEAR,
    )


@figure(panels=2)
def collapse(runs, axes):
    titles = {"nc1": "features collapse to class means", "nc2_frame": "weights become an orthogonal frame"}
    for axis, (quantity, title) in zip(axes, titles.items(), strict=True):
        for number in DEPTHS:
            curve = runs.arm("balanced").where({"model.depth": number}).curve(f"neural_collapse/{quantity}")
            band(axis, curve, f"{number} linear layer{'' if number == 1 else 's'}")
        band(axis, runs.arm("digits").curve(f"neural_collapse/{quantity}"), "digits, MLP")
        axis.set(yscale="log", title=title)
    axes[0].axhline(COLLAPSED, color="0.5", linewidth=0.8, linestyle=":")
    axes[1].axhline(NEAR, color="0.5", linewidth=0.8, linestyle=":")
    axes[0].set(ylabel="NC1", ylim=(1e-16, 100))
    axes[1].set(ylabel="distance of W Wᵀ from the frame", ylim=(1e-8, 3))
    axes[0].legend(loc="lower left")


@figure
def lengths_of_classes(runs, axes):
    arms = [*((str(d), runs.arm("imbalanced").where({"model.depth": d}), d, WEAK) for d in DEPTHS)]
    arms.append(("0, strong penalties", runs.arm("strong penalties"), 0, STRONG))
    for label, own, number, penalty in arms:
        (line,) = axes.plot(COUNTS, squared_lengths(COUNTS, number, penalty, penalty), linewidth=1)
        found = np.array([lengths(run) for run in own.single])
        axes.plot(COUNTS, found.mean(0), "o", color=line.get_color(), markersize=5, label=label)
    axes.plot([], [], color="0.3", linewidth=1, label="closed form")
    axes.set(xscale="log", xlabel="examples of the class", ylabel="|w_k|² of the classifier", title="unequal classes")
    axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes.minorticks_off()
    axes.legend(loc="upper left", title="linear layers between", title_fontsize=8)


@figure
def cross_entropy_losses(runs, axes):
    own = runs.arm("cross-entropy")
    best = [min(1, _square(number) / _simplex(number)) for number in DEPTHS]
    axes.plot(DEPTHS, [1] * len(DEPTHS), color="0.3", linewidth=1, linestyle="-", label="best simplex ETF")
    axes.plot(DEPTHS, [_square(d) / _simplex(d) for d in DEPTHS], "s--", label="best square in a plane", linewidth=1)
    for run in own.single:
        axes.plot(depth(run) + 0.02 * (run.keys["seed"] - 4.5), _against_etf(run), "o", color="#D55E00", markersize=4)
    axes.plot([], [], "o", color="#D55E00", markersize=4, label="gradient descent, each seed")
    axes.set(xlabel="linear layers between", ylabel="loss / that of the best ETF", title="cross-entropy: deep is flat")
    axes.set(xticks=DEPTHS, ylim=(min(best) - 0.05, 1.35))
    axes.legend(loc="upper right")


def _deeper():
    import polars

    return polars.col("model.depth") > 0


def _cosine(gram):
    norms = np.sqrt(np.diag(gram))
    return float(np.max(np.abs(gram / np.outer(norms, norms) - np.eye(len(gram)))))


def _simplex(number):
    return frame_loss(simplex(CLASSES), PER_CLASS, number, WEAK, WEAK)


def _square(number):
    return frame_loss(polygon(CLASSES), PER_CLASS, number, WEAK, WEAK)


def _against_etf(run):
    return float(run.metrics["train/loss"][-1]) / _simplex(depth(run))
