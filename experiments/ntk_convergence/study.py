"""What is checked of arXiv 1806.07572; README.md says where the thresholds come from."""

import numpy as np

from expkit.studies import band, claim, figure, holds, slope

WIDTH = "model.width"
STEEP = -0.35  # "about -1/2 or steeper"
COMPONENTS = 5  # the leading eigenvectors of the limit's kernel
ROUNDING = 1e-10  # of eigenvalues in float64, with room


def rates(run):
    """Of the residual along the leading eigenvectors, each until about 1/e of it is left: measured, and in the limit.

    Per step, (COMPONENTS,) each; the limit's is -ln(1 - lambda).
    """
    steps, components = run.arrays["limit/steps"], run.arrays["limit/components"]
    expected = -np.log1p(-run.arrays["limit/eigenvalues"][:COMPONENTS])
    after = [1 + np.abs(np.log(np.maximum(steps[1:] * rate, 1e-9))).argmin() for rate in expected]
    left = np.abs(components[after, np.arange(COMPONENTS)] / components[0, :COMPONENTS])
    return -np.log(left) / steps[after], expected


@claim(
    "At initialization the tangent kernel approaches a deterministic limit with width",
    paper="in the limit of infinite width the NTK at initialization converges in probability to a deterministic kernel",
)
def deterministic_at_initialization(runs):
    return holds(slope(runs[WIDTH], runs["limit/kernel_deviation"], log=True) <= STEEP)


@claim(
    "The kernel moves the less in training the wider the network is",
    paper="the NTK stays asymptotically constant during training",
)
def constant_in_training(runs):
    return holds(slope(runs[WIDTH], runs["limit/drift"], log=True) <= STEEP)


@claim(
    "Outputs during training approach those of kernel gradient descent with the limiting kernel",
    paper="for least squares the network function follows a linear differential equation in the limit",
)
def linear_dynamics(runs):
    return holds(
        slope(runs[WIDTH], runs["limit/gap"], log=True) < 0,
        slope(runs[WIDTH], runs["limit/gap_train"], log=True) < 0,
    )


@claim(
    "The residual falls along the kernel's principal components at rates that are their eigenvalues, fastest along the "
    "first",
    paper="convergence is fastest along the largest kernel principal components",
)
def fastest_along_top_components(runs):
    widest = list(runs.by(WIDTH).values())[-1]
    ratios = widest.each(
        "median of measured rate / eigenvalue's, 5 components", lambda run: np.median(np.divide(*rates(run)))
    )
    lead = widest.each(
        "rate along component 1 / that along component 5", lambda run: rates(run)[0][0] / rates(run)[0][-1]
    )
    return holds(ratios.within(0.9, 1.1), lead > 1)


@claim(
    "The limiting kernel on the sphere is positive definite for a non-polynomial activation",
    paper="positive definite on the sphere for a non-polynomial nonlinearity and depth at least 2",
)
def positive_definite(runs):
    smallest = runs["limit/min_eigenvalue"].named("smallest eigenvalue / mean, relu")
    polynomial = runs["limit/min_eigenvalue_polynomial"].named("smallest eigenvalue / mean, linear activation")
    return holds(smallest.each > ROUNDING, given=[polynomial.each < ROUNDING])


@figure
def kernels(runs, axes):
    by_width = list(runs.by(WIDTH).items())
    for (width, own), colour in zip((by_width[0], by_width[-1]), ("C1", "C0"), strict=True):
        for number, (start, end) in enumerate(
            zip(own.arrays("limit/profile_initial"), own.arrays("limit/profile_end"), strict=True)
        ):
            label = f"width {width:,}" if number == 0 else None
            for profile, line in ((start, "-"), (end, ":")):
                axes.plot(*around(profile), line, color=colour, linewidth=0.8, alpha=0.8, label=label)
                label = None
    axes.plot(*around(runs.arrays("limit/profile")[0]), "--", color="black", linewidth=1.6, label="infinite width")
    axes.set(xlabel="angle between the two points", ylabel="tangent kernel", title="solid: at start, dotted: trained")
    axes.set_xticks([-np.pi, 0, np.pi], ["$-\\pi$", "0", "$\\pi$"])
    axes.set_ylim(0, None)
    axes.legend(loc="upper left", fontsize=7)


def around(profile):
    """A kernel against the angle, from -pi to pi, closed at its end."""
    n = len(profile)
    order = np.arange(-(n // 2), n // 2 + 1)
    return 2 * np.pi * order / n, profile[order % n]


@figure
def deviation_and_drift(runs, axes):
    widths = np.array(list(runs.by(WIDTH)), dtype=float)
    for metric, label, marker in (
        ("limit/kernel_deviation", "from the limit, at start", "o"),
        ("limit/drift", "from the start, once trained", "s"),
        ("limit/gap", "outputs from the limit's, once trained", "^"),
    ):
        samples = [own[metric] for own in runs.by(WIDTH).values()]
        means, lows = np.array([s.mean for s in samples]), np.array([s.interval[0] for s in samples])
        lows = np.where(np.isfinite(lows), np.maximum(lows, means / 3), means)
        error = np.stack([means - lows, np.array([s.interval[1] for s in samples]) - means])
        axes.errorbar(
            widths, means, np.where(np.isfinite(error), error, 0), marker=marker, markersize=4, label=label, capsize=2
        )
    axes.plot(
        widths,
        0.35 * means[0] * (widths / widths[0]) ** -0.5,
        color="0.5",
        linewidth=0.8,
        linestyle=":",
        label="slope -1/2",
    )
    axes.set(xscale="log", yscale="log", xlabel="width", ylabel="relative distance")
    axes.set_xticks(widths, [f"{width:,.0f}" for width in widths])
    axes.minorticks_off()
    axes.set_title(f"mean and 95 % interval, {samples[0].n} seeds")
    axes.legend(loc="lower left", fontsize=7)


@figure
def gap(runs, axes):
    by_width = list(runs.by(WIDTH).items())
    for width, own in (by_width[0], by_width[len(by_width) // 2], by_width[-1]):
        band(axes, own.curve("limit/gap").since(1), f"width {width:,}")
    axes.set(yscale="log", ylabel="RMS gap of outputs / RMS target", title="outputs, from kernel gradient descent")
    axes.legend(loc="best")


@figure
def decay(runs, axes):
    by_width = list(runs.by(WIDTH).items())
    for (width, own), marker in zip((by_width[0], by_width[-1]), ("x", "o"), strict=True):
        found = [rates(run) for run in own.single]
        expected, measured = np.concatenate([e for _, e in found]), np.concatenate([m for m, _ in found])
        axes.plot(expected, measured, marker, markersize=4, linestyle="none", alpha=0.7, label=f"width {width:,}")
    ends = np.array([expected.min(), expected.max()])
    axes.plot(ends, ends, color="0.5", linewidth=0.8, linestyle=":", label="equal")
    axes.set(xscale="log", yscale="log", xlabel="rate in the limit, per step", ylabel="measured rate, per step")
    axes.set_title("decay along 5 principal components")
    axes.legend(loc="upper left")
