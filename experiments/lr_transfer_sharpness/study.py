"""What is checked of arXiv 2402.17457; README.md says where the thresholds come from."""

import math

import numpy as np

from expkit.studies import claim, figure, holds, slope
from expkit.studies.drawing import COLOURS
from expkit.studies.sample import Sample

WIDTHS = (64, 128, 256, 512)
DEPTHS = (3, 6, 12)
SHARPNESS = "sharpness/lambda_1"


def loss(run):
    """At the end; infinite for a run that diverged."""
    value = float(run.line("train/loss")[1][-1])
    return value if run.keys["state"] == "complete" and math.isfinite(value) else math.inf


def best(runs, name):
    """log2 of the learning rate that has the lowest training loss at the end, one for each seed."""
    own = {}
    for run in runs.single:
        own.setdefault(run.keys["seed"], []).append((loss(run), run.keys["optimizer.lr"]))
    rates = tuple(math.log2(min(pairs)[1]) for pairs in own.values())
    return Sample(name, rates, tuple(f"seed={seed}" for seed in own), len(own))


def shift(runs, arm, key, ends):
    """In grid steps of 2, of the best learning rate from the smallest to the largest network."""
    low, high = (best(runs.arm(arm).where({key: end}), arm) for end in ends)
    what = key.partition(".")[2]
    return (high - low).named(f"log2 of the best learning rate, {what} {ends[1]} less {ends[0]}, {arm}")


def spread(runs, arm, key):
    """(largest - smallest) / mean of the sharpness over networks, mean over all steps but 0, one for each seed."""
    own = {}
    for run in runs.arm(arm).single:
        at, values = run.line(SHARPNESS)
        own.setdefault(run.keys["seed"], []).append(values[at > 0])
    values = tuple(relative_range(rows) for rows in own.values())
    what = key.partition(".")[2]
    return Sample(f"spread of sharpness over {what}, {arm}", values, tuple(f"seed={seed}" for seed in own), len(own))


def relative_range(rows):
    """Of several networks' values over steps; infinite where one has diverged and lacks some."""
    if len({len(row) for row in rows}) > 1:
        return math.inf
    values = np.stack(rows)
    return float((np.ptp(values, axis=0) / values.mean(0)).mean())


def drift_exponent(runs, arm):
    own = runs.arm(arm)
    return slope(own["model.width"], own["ntk/drift"], log=True).named(f"exponent of NTK change over width, {arm}")


@claim(
    "Under muP the best learning rate stays within one grid step (a factor of 2) from width 64 to 512",
    paper="under muP the optimal learning rate transfers over width",
)
def mup_transfers(runs):
    return holds(shift(runs, "mup", "model.width", (64, 512)).within(-1, 1))


@claim(
    "Under muP the sharpness along training spreads by less than 15 % over widths",
    paper="under muP the sharpness is largely independent of width for a sustained period of training",
)
def mup_sharpness_is_consistent(runs):
    return holds(spread(runs, "mup_measured", "model.width") < 0.15)


@claim(
    "Under the NTK parametrization the best learning rate moves further with the width, and sharpness spreads more",
    paper="in the NTK regime sharpness has very different dynamics at different scales, which prevents transfer",
)
def ntk_does_not_transfer(runs):
    moves = shift(runs, "ntk", "model.width", (64, 512)).map(abs)
    mup = shift(runs, "mup", "model.width", (64, 512)).map(abs)
    return holds(
        moves.named("shift of the best learning rate, ntk") > mup.named("mup"),
        spread(runs, "ntk_measured", "model.width") > spread(runs, "mup_measured", "model.width"),
    )


@claim(
    "Under muP the tangent kernel changes as much at every width; under the NTK parametrization the less, the wider",
    paper="feature learning is present under muP, and progressively absent in the NTK regime",
)
def features(runs):
    return holds(drift_exponent(runs, "mup_measured").within(-0.1, 0.1), drift_exponent(runs, "ntk_measured") < -0.1)


@claim(
    "With branches divided by the root of the depth, the best learning rate stays within one grid step from depth 3 to "
    "12, and sharpness spreads by less than 15 %",
    paper="under the depth extension of muP both are largely independent of depth",
)
def depth_transfers(runs):
    return holds(
        shift(runs, "depth_scaled", "model.depth", (3, 12)).within(-1, 1),
        spread(runs, "depth_scaled_measured", "model.depth") < 0.15,
    )


@claim(
    "Without that division the best learning rate moves further, and sharpness spreads more",
    paper="without scaling the branches with depth neither is consistent",
)
def plain_depth_does_not_transfer(runs):
    moves = shift(runs, "depth_plain", "model.depth", (3, 12)).map(abs)
    scaled = shift(runs, "depth_scaled", "model.depth", (3, 12)).map(abs)
    return holds(
        moves.named("shift of the best learning rate, depth_plain") > scaled.named("depth_scaled"),
        spread(runs, "depth_plain_measured", "model.depth") > spread(runs, "depth_scaled_measured", "model.depth"),
    )


def draw_losses(runs, axes, arm, key, title):
    for (size, own), colour, marker in zip(runs.arm(arm).by(key).items(), COLOURS, "osD^", strict=False):
        rates, means, lows, highs = [], [], [], []
        for rate, at in own.by("optimizer.lr").items():
            values = [loss(run) for run in at.single]
            if all(map(math.isfinite, values)):
                rates.append(rate)
                means.append(np.mean(values))
                lows.append(min(values))
                highs.append(max(values))
        axes.plot(rates, means, "-", marker=marker, color=colour, markersize=4, label=f"{key.partition('.')[2]} {size}")
        axes.fill_between(rates, lows, highs, color=colour, alpha=0.2, linewidth=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel="training loss at step 100, if no seed diverged",
        title=title,
    )
    axes.set_xscale("log", base=2)
    axes.legend()


def draw_sharpness(runs, axes, arm, key, title):
    for (size, own), colour, marker in zip(runs.arm(arm).by(key).items(), COLOURS, "osD^", strict=False):
        steps, mean, low, high = own.curve(SHARPNESS).band()
        axes.plot(steps, mean, "-", marker=marker, color=colour, markersize=4, label=f"{key.partition('.')[2]} {size}")
        axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("symlog", linthresh=10)
    axes.set(xlabel="step", ylabel="largest Hessian eigenvalue", yscale="log", title=title)
    axes.set_xticks([0, 10, 30, 100], ["0", "10", "30", "100"])
    axes.legend()


@figure(panels=2)
def losses_over_width(runs, axes):
    draw_losses(runs, axes[0], "mup", "model.width", "muP")
    draw_losses(runs, axes[1], "ntk", "model.width", "NTK parametrization")
    same_limits(axes)


@figure
def kernel_change(runs, axes):
    for arm, label, colour, marker in (
        ("mup_measured", "muP", COLOURS[0], "o"),
        ("ntk_measured", "NTK parametrization", COLOURS[1], "s"),
    ):
        samples = [runs.arm(arm).where({"model.width": width})["ntk/drift"] for width in WIDTHS]
        mean = [sample.mean for sample in samples]
        low, high = zip(*(sample.interval for sample in samples), strict=True)
        axes.errorbar(
            WIDTHS, mean, [np.subtract(mean, low), np.subtract(high, mean)],
            fmt=f"-{marker}", color=colour, markersize=4, capsize=2, label=label,
        )  # fmt: skip
    axes.set(
        yscale="log", xlabel="width", ylabel="change of the tangent kernel, |K - K0| / |K0|", title="feature learning"
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(WIDTHS, [str(width) for width in WIDTHS])
    axes.legend(title="step 100, mean and 95 % interval", title_fontsize=8)


@figure(panels=2)
def sharpness_over_width(runs, axes):
    draw_sharpness(runs, axes[0], "mup_measured", "model.width", "muP, learning rate 1/8")
    draw_sharpness(runs, axes[1], "ntk_measured", "model.width", "NTK parametrization, learning rate 1/8")
    same_limits(axes)


@figure(panels=2)
def losses_over_depth(runs, axes):
    draw_losses(runs, axes[0], "depth_scaled", "model.depth", "branches / root of depth")
    draw_losses(runs, axes[1], "depth_plain", "model.depth", "branches as they are")
    same_limits(axes)


@figure(panels=2)
def sharpness_over_depth(runs, axes):
    draw_sharpness(runs, axes[0], "depth_scaled_measured", "model.depth", "branches / root of depth, rate 1/8")
    draw_sharpness(runs, axes[1], "depth_plain_measured", "model.depth", "branches as they are, rate 1/64")


def same_limits(axes):
    for name in ("xlim", "ylim"):
        ends = [getattr(one, f"get_{name}")() for one in axes]
        for one in axes:
            one.set(**{name: (min(low for low, _ in ends), max(high for _, high in ends))})
