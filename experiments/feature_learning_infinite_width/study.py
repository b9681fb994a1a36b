"""What is checked of arXiv 2011.14522; README.md says where the thresholds come from."""

import numpy as np
import polars

from expkit.studies import band, claim, figure, holds, slope

WIDTH = "model.width"
MOVED = "coordinate_check/hidden.3"  # of the last hidden layer, before its activation
TOLERANCE = 0.15  # of exponents
MARKERS = {"mup": "o", "ntk": "s", "standard": "^"}
LABELS = {"mup": "muP", "ntk": "NTK", "standard": "standard, rate 1/width"}


def exponent(runs, arm, metric):
    """Of a metric at the end, as a power of the width."""
    own = runs.arm(arm)
    return slope(own[WIDTH], own[metric], log=True)


def by_width(runs, arm):
    """The widths of an arm and the runs of each, ascending."""
    found = runs.arm(arm).by(WIDTH)
    return list(found), list(found.values())


@claim(
    "In the NTK and the standard parametrization features move by 1 / sqrt(width): not at all in the limit",
    paper="the standard and NTK parametrizations do not admit infinite-width limits that can learn features",
)
def kernel_limits_learn_no_features(runs):
    return holds(
        *(exponent(runs, arm, MOVED).within(-0.5 - TOLERANCE, -0.5 + TOLERANCE) for arm in ("ntk", "standard"))
    )


@claim(
    "In the maximal update parametrization features move by the same amount at every width",
    paper="muP admits feature learning in the limit",
)
def mup_learns_features(runs):
    return holds(exponent(runs, "mup", MOVED).within(-TOLERANCE, TOLERANCE))


@claim(
    "Features are learned, or training follows a fixed kernel, not both: the tangent kernel stays in the NTK and the "
    "standard parametrization, and moves in muP",
    paper="a parametrization either admits feature learning or is trained by kernel gradient descent, not both",
)
def features_or_a_fixed_kernel(runs):
    return holds(
        *(exponent(runs, arm, "ntk/drift") <= -0.5 + TOLERANCE for arm in ("ntk", "standard")),
        exponent(runs, "mup", "ntk/drift").within(-TOLERANCE, TOLERANCE),
    )


@claim(
    "Loss curves in muP converge as networks get wider",
    paper="finite-width networks approach the infinite-width feature learning performance as width increases",
)
def curves_converge(runs):
    (*widths, _), (*_, widest) = by_width(runs, "mup")
    reference = {run.keys["seed"]: run.line("test/loss")[1] for run in widest.single}  # on the same data

    def distance(run):
        return np.sqrt(np.mean((run.line("test/loss")[1] - reference[run.keys["seed"]]) ** 2))

    own = runs.arm("mup").where(polars.col(WIDTH).is_in(widths))
    distances = own.each("", distance).named("RMS distance from the widest network's test loss")
    return holds(slope(own[WIDTH].named("width"), distances, log=True) < 0)


@claim(
    "Where features have to be learned, muP predicts better than regression with the tangent kernel at initialization",
    paper="feature learning limits outperform NTK baselines",
)
def better_than_the_kernel(runs):
    trained, kernel = by_width(runs, "mup")[1][-1], by_width(runs, "ntk")[1][-1]
    return holds(
        trained["test/mse"].named("test/mse of the widest in muP")
        - kernel["ntk_regression/test_mse"].named("of NTK regression, same width, best ridge")
        < 0
    )


def against_width(axes, runs, arm, metric, label, marker):
    """Mean and 95 % interval over seeds."""
    widths, each = by_width(runs, arm)
    samples = [own[metric] for own in each]
    means = np.array([sample.mean for sample in samples])
    low, high = np.array([sample.interval for sample in samples]).T
    error = np.stack([np.minimum(means - low, 0.7 * means), high - means])
    error = np.where(np.isfinite(error), error, 0)
    axes.errorbar(widths, means, error, marker=marker, markersize=4, capsize=2, label=label)
    axes.set(xscale="log", xlabel="width")
    ticks = by_width(runs, "mup")[0]
    axes.set_xticks(ticks, [f"{width:,}" for width in ticks])
    axes.minorticks_off()
    return widths, means


@figure
def features(runs, axes):
    for arm, marker in MARKERS.items():
        widths, means = against_width(axes, runs, arm, MOVED, LABELS[arm], marker)
    guide = means[0] * (np.array(widths) / widths[0]) ** -0.5
    axes.plot(widths, 0.7 * guide, color="0.5", linewidth=0.8, linestyle=":", label="slope -1/2")
    axes.set(yscale="log", ylabel="RMS change per unit", title="last hidden layer, after training")
    axes.legend(loc="lower left")


@figure
def kernel_drift(runs, axes):
    for arm, marker in MARKERS.items():
        against_width(axes, runs, arm, "ntk/drift", LABELS[arm], marker)
    axes.set(yscale="log", ylabel="$|K - K_0|\\,/\\,|K_0|$", title="change of the tangent kernel")
    axes.legend(loc="lower left")


@figure
def curves(runs, axes):
    widths, each = by_width(runs, "mup")
    for width, own in zip(widths[::2], each[::2], strict=True):
        steps, mean, _, _ = own.curve("test/loss").band()
        axes.plot(steps, mean, label=f"muP, width {width:,}")
    _, each = by_width(runs, "ntk")
    band(axes, each[-1].curve("test/loss"), f"NTK, width {max(runs.arm('ntk').by(WIDTH)):,}", log_steps=False)
    axes.set(ylabel="test loss (mean squared error)", title="loss curves, mean over seeds")
    axes.legend(loc="upper right")


@figure
def prediction(runs, axes):
    for arm, marker in MARKERS.items():
        against_width(axes, runs, arm, "test/mse", LABELS[arm], marker)
    against_width(axes, runs, "ntk", "ntk_regression/test_mse", "NTK regression, best ridge", "D")
    axes.set(ylabel="test error (mean squared)", ylim=(0, None), title="at the end of training")
    axes.legend(loc="lower left")
