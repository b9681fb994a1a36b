"""What is checked of arXiv 2008.02217; README.md says where the thresholds come from."""

import math

import numpy as np

from expkit.analysis.power_law_fit import power_law_fit
from expkit.analysis.storage_capacity import storage_capacity
from expkit.studies import Sample, claim, figure, holds

ERROR_AT = 64
"""Patterns of which the error of one update is compared over dimensions."""


def capacity(run):
    """The number of patterns of which 95 % are retrieved, each with at most a tenth of its length as error."""
    return storage_capacity(run.line("retrieval/n")[1].tolist(), run.line("retrieval/success")[1].tolist())


def error(run):
    """log10 of the relative error after one update, of 64 patterns."""
    n, value = run.line("retrieval/n")[1], run.line("retrieval/log10_error")[1]
    return float(value[n == ERROR_AT][0])


def by_seed(runs, arm, function):
    """For each seed, dimensions and a number of each run of an arm."""
    found = {}
    for dim, own in runs.arm(arm).by("data.dim").items():
        for seed, value in own.each("", function).of_seed.items():
            found.setdefault(seed, []).append((dim, value))
    return {seed: tuple(zip(*points, strict=True)) for seed, points in found.items()}


def over_seeds(runs, arm, name, of_run, of_seed):
    points = by_seed(runs, arm, of_run)
    values = tuple(of_seed(*own) if np.isfinite(own[1]).all() else math.nan for own in points.values())
    return Sample(name, values, tuple(points), runs.arm(arm)["data.dim"].expected)


def exponential(dims, counts):
    """ln N = a + b d: a power law of e^d."""
    return power_law_fit([math.exp(d) for d in dims], counts)


@claim(
    "The update is that of attention",
    paper="ξ ← X softmax(β Xᵀ ξ) is the attention of transformers",
)
def is_attention(runs):
    worst = [
        runs.arm(arm).each(f"difference from torch, {arm}", lambda run: run.line("attention/difference")[1].max())
        for arm in ("sphere", "near")
    ]
    return holds(*(own.each <= 1e-6 for own in worst))


@claim(
    "The number of patterns that are retrieved with one update grows exponentially with the dimension",
    paper="N = √p c^((d-1)/4) patterns can be stored on the sphere",
)
def capacity_is_exponential(runs):
    checks = []
    for arm, label in (("sphere", "radius √(d-1)"), ("near", "radius √(0.2(d-1))")):
        checks.append(
            over_seeds(runs, arm, f"R² of ln N over d, {label}", capacity, lambda d, n: exponential(d, n).r2) >= 0.95
        )
        checks.append(
            over_seeds(
                runs,
                arm,
                f"AIC of an exponential - of a power law, {label}",
                capacity,
                lambda d, n: exponential(d, n).aic - power_law_fit(d, n).aic,
            )
            < 0
        )
    return holds(*checks)


@claim(
    "The classical Hopfield network holds in proportion to the dimension at most, and far fewer",
    paper="classical networks store about 0.14 d patterns",
)
def classical_is_linear(runs):
    classical = runs.arm("classical").each("classical capacity / d", lambda run: capacity(run) / run.keys["data.dim"])
    logarithm = {
        arm: runs.arm(arm).where({"data.dim": 16}).each(f"ln N of {arm} at d = 16", lambda run: math.log(capacity(run)))
        for arm in ("sphere", "classical")
    }
    factor = (logarithm["sphere"] - logarithm["classical"]).named("ln (modern / classical capacity) at d = 16")
    return holds(classical.each <= 0.20, factor >= math.log(100))


@claim(
    "One update retrieves with an error that falls exponentially with the dimension",
    paper="retrieval with one update, with exponentially small error",
)
def error_is_exponential(runs):
    lines = [
        over_seeds(runs, "sphere", f"{what} of log10 error over d, {ERROR_AT} patterns", error, function)
        for what, function in (
            ("slope", lambda d, e: np.polyfit(d, e, 1)[0]),
            ("R²", lambda d, e: np.corrcoef(d, e)[0, 1] ** 2),
        )
    ]
    return holds(lines[0] < 0, lines[1] >= 0.95)


@claim(
    "With rising β, fixed points average over all patterns, then over a part of them, then stand for one",
    paper="global fixed point, metastable states, fixed points of single patterns",
)
def three_regimes(runs):
    own = runs.arm("fixed_points")

    def largest(kind):
        return own.each(f"largest share of {kind} fixed points", lambda run: run.line(f"fixed_points/{kind}")[1].max())

    def at(kind):
        return own.each(
            f"β of most {kind}",
            lambda run: np.log10(run.line("fixed_points/beta")[1][run.line(f"fixed_points/{kind}")[1].argmax()]),
        )

    return holds(
        largest("global") >= 0.90,
        largest("metastable") >= 0.90,
        largest("single") >= 0.90,
        (at("metastable") - at("global")).named("log10 β, metastable - global") > 0,
        (at("single") - at("metastable")).named("log10 β, single - metastable") > 0,
    )


@claim(
    "Hopfield pooling classifies bags with rare witnesses better than mean and maximum pooling",
    paper="Hopfield pooling is the best on three of four multiple-instance data sets",
)
def pools_best(runs):
    score = {arm: runs.arm(arm).last()["auc/test"] for arm in ("hopfield", "mean", "max")}
    return holds(score["hopfield"] - score["mean"] > 0, score["hopfield"] - score["max"] > 0)


def dots(axes, points, label):
    dims = next(iter(points.values()))[0]
    values = np.array([own[1] for own in points.values()])
    middle = np.exp(np.log(np.where(values > 0, values, np.nan)).mean(0))
    axes.plot(dims, middle, marker="o", markersize=4, label=label)
    axes.fill_between(dims, values.min(0), values.max(0), alpha=0.2, linewidth=0)


@figure
def capacities(runs, axes):
    dots(axes, by_seed(runs, "sphere", capacity), "modern, length √(d-1)")
    dots(axes, by_seed(runs, "near", capacity), "modern, length √(0.2(d-1))")
    classical = {
        seed: tuple(zip(*((d, n) for d, n in zip(*own, strict=True) if d <= 64), strict=True))
        for seed, own in by_seed(runs, "classical", capacity).items()
    }
    dots(axes, classical, "classical")
    axes.set(yscale="log", xlabel="dimension d", ylabel="patterns retrieved (95 %)", title="capacity is exponential")
    axes.set_ylim(0.7, 3e6)
    axes.legend(loc="upper right", title="mean and range, 6 seeds", title_fontsize=8)


@figure
def errors(runs, axes):
    for dim, own in runs.arm("sphere").by("data.dim").items():
        lines = [(run.line("retrieval/n")[1], run.line("retrieval/error")[1]) for run in own.single]
        axes.plot(lines[0][0], np.mean([line[1] for line in lines], 0), label=f"d = {dim}")
    axes.set(xscale="log", yscale="log", xlabel="stored patterns", ylabel="relative error after one update")
    axes.set_title("retrieved with one update")
    axes.axhline(0.1, color="0.5", linewidth=0.8, linestyle=":")
    axes.legend(loc="lower right")


@figure
def regimes(runs, axes):
    own = runs.arm("fixed_points").single
    beta = own[0].line("fixed_points/beta")[1]
    labels = {"global": "all patterns", "metastable": "a part of them", "single": "one pattern"}
    for kind, label in labels.items():
        values = np.array([run.line(f"fixed_points/{kind}")[1] for run in own])
        axes.plot(beta, values.mean(0), label=label)
        axes.fill_between(beta, values.min(0), values.max(0), alpha=0.2, linewidth=0)
    axes.set(xscale="log", xlabel="β |x|²", ylabel="share of fixed points", ylim=(-0.03, 1.3))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_title("what fixed points average over")
    axes.legend(loc="upper center", ncols=3, columnspacing=1)


@figure
def pooling(runs, axes):
    names = {"mean": "mean", "max": "maximum", "hopfield": "Hopfield"}
    for place, arm in enumerate(names):
        sample = runs.arm(arm).last()["auc/test"]
        high = sample.interval[1]
        values = list(sample.of_seed.values())
        axes.plot(place + np.linspace(-0.12, 0.12, len(values)), values, "o", color="0.6", markersize=3)
        half = high - sample.mean if math.isfinite(high) else 0
        axes.errorbar(place, sample.mean, half, fmt="o", capsize=4, color=f"C{place}")
    axes.set_xticks(range(len(names)), names.values())
    axes.set(xlabel="pooling", ylabel="area under the ROC curve, test", xlim=(-0.5, 2.5))
    axes.set_title("bags with one witness of 20 instances")
