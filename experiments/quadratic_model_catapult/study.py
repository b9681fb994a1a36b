"""What is checked of arXiv 2205.11787; README.md says where the thresholds come from."""

import math

import numpy as np

from expkit.studies import Sample, claim, figure, holds
from expkit.studies.drawing import COLOURS
from expkit.studies.sample import t_interval

LR = "optimizer.lr"
"""In units of the inverse top eigenvalue at initialization: linear models are stable up to 2."""
SPIKE = 1.1
"""A loss that rises by a tenth above the lowest before; rounding alone makes ripples of less than a thousandth."""
CONVERGED = 0.1
"""Of the initial training loss."""
DATA = {"product": r"$x_1 x_2$", "digits": "digits 0 and 2"}
MODELS = ("network", "quadratic", "linear")


def catapults(runs):
    """The runs with learning rates between 2 and 4."""
    import polars

    return runs.where(polars.col(LR).is_between(2, 4))


def below_critical(runs):
    import polars

    return runs.where(polars.col(LR) < 2)


def last(run, metric):
    """The last value of a metric; not a number where there is none."""
    try:
        return float(run.line(metric)[1][-1])
    except (KeyError, IndexError):
        return math.nan


def spikes(run):
    return float(last(run, "loss_peak/rise") >= SPIKE)


def converges(run):
    return float(last(run, "train/mse") <= CONVERGED * run.line("train/mse")[1][0])


def diverges(run):
    return 1 - float(last(run, "train/mse") <= run.line("train/mse")[1][0])


def remaining(run):
    """The top eigenvalue of the tangent kernel at the end over the one at initialization."""
    return last(run, "final_kernel/sharpness") / last(run, "unit_sharpness/sharpness")


def flattens(run):
    return float(remaining(run) < 1)


def best_test_loss(run):
    losses = run.line("test/mse")[1]
    return float(losses[np.isfinite(losses)].min())


def share(runs, what, condition):
    """Of the runs, for each seed."""
    return runs.each(what, condition).named(f"share {what}")


def catapult_checks(runs, model):
    checks = []
    for data in DATA:
        own = catapults(runs.arm(f"{data}-{model}"))
        checks += [
            share(own, f"whose loss spikes ({data})", spikes) >= 1,
            share(own, f"that converges ({data})", converges) >= 1,
            share(own, f"whose top eigenvalue ends lower ({data})", flattens) >= 1,
        ]
    return checks


def correlation(runs, data):
    """Over learning rates at which both converge, of the logarithms of the best test losses; for each seed."""
    best = {
        model: {
            (run.keys["seed"], run.keys[LR]): math.log(best_test_loss(run))
            for run in runs.arm(f"{data}-{model}").single
            if converges(run)
        }
        for model in ("network", "quadratic")
    }
    seeds = sorted({seed for seed, _ in best["network"]})
    values = []
    for seed in seeds:
        both = [key for key in best["network"] if key in best["quadratic"] and key[0] == seed]
        values.append(float(np.corrcoef([[own[key] for key in both] for own in best.values()])[0, 1]))
    return Sample(f"{data}: correlation of log best test losses", tuple(values), tuple(seeds), len(seeds))


@claim(
    "With learning rates between 2 and 4 over the top eigenvalue of the tangent kernel, the network's training loss "
    "spikes, then converges, and the eigenvalue ends lower than it began",
    paper="catapult between the critical learning rate, 2 / eigenvalue, and 4 / eigenvalue",
)
def networks_are_catapulted(runs):
    return holds(*catapult_checks(runs, "network"))


@claim(
    "So does its quadratic expansion",
    paper="neural quadratic models have the catapult phase, with the same dynamics of the top eigenvalue",
)
def quadratic_models_are_catapulted(runs):
    return holds(*catapult_checks(runs, "quadratic"))


@claim(
    "The linear expansion diverges at these learning rates, and converges below 2",
    paper="the critical and the largest learning rate of a linear model are the same",
)
def linear_models_diverge(runs):
    arms = {data: runs.arm(f"{data}-linear") for data in DATA}
    return holds(
        *(share(catapults(own), f"that diverges from 2 to 4 ({data})", diverges) >= 1 for data, own in arms.items()),
        given=[
            share(below_critical(own), f"that diverges below 2 ({data})", diverges) <= 0 for data, own in arms.items()
        ],
    )


@claim(
    "Over learning rates, the test losses of quadratic model and network correlate",
    paper="the generalization of quadratic models parallels that of networks",
)
def test_losses_correlate(runs):
    return holds(*(correlation(runs, data) > 0 for data in DATA))


@claim(
    "The best test loss between 2 and 4 is lower than the best below 2, for networks and for quadratic models",
    paper="the best test loss is smaller with learning rates above the critical one",
)
def catapults_generalize_better(runs):
    checks = []
    for data in DATA:
        for model in ("network", "quadratic"):
            own = runs.arm(f"{data}-{model}")
            checks.append(lowest(catapults(own), f"{data}, {model}, 2 to 4") < lowest(below_critical(own), "below 2"))
    return holds(*checks)


def lowest(runs, what):
    """Of the best test losses at all these learning rates, for each seed."""
    found = {}
    for run in runs.single:
        seed = run.keys["seed"]
        found[seed] = min(found.get(seed, math.inf), best_test_loss(run))
    return Sample(f"best test loss, {what}", tuple(found.values()), tuple(found), len(found))


def by_learning_rate(axes, runs, data, quantity, keep=lambda run: True):
    """Means over seeds and their 95 % t intervals, for each model, over the learning rate."""
    for number, model in enumerate(MODELS):
        own = runs.arm(f"{data}-{model}")
        rows = []
        for rate, some in own.by(LR).items():
            values = [quantity(run) for run in some.single if keep(run)]
            values = [value for value in values if math.isfinite(value)]
            if len(values) > 1:
                rows.append((rate, *t_interval(values)))
        rates, mean, low, high = np.array(rows).T
        style = {"color": COLOURS[number], "linestyle": ("-", "--", "-.")[number], "marker": "os^"[number]}
        axes.plot(rates, mean, markersize=4, label=model, **style)
        axes.fill_between(rates, np.maximum(low, 1e-3 * mean), high, color=COLOURS[number], alpha=0.2, linewidth=0)
    for limit in (2, 4):
        axes.axvline(limit, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlabel=r"learning rate $\times$ initial top eigenvalue", xlim=(0.3, 5.2))


def draw_row(runs, axes, data):
    spike, kernel, test = axes
    by_learning_rate(spike, runs, data, lambda run: last(run, "loss_peak/ratio"), converges)
    spike.set(yscale="log", ylabel="largest / initial training loss", title=f"{DATA[data]}: the loss is thrown up")
    spike.legend(loc="upper left", title="runs that converge", title_fontsize=8)
    by_learning_rate(kernel, runs, data, remaining, converges)
    kernel.set(ylim=(0, 1.2), ylabel="top eigenvalue, end / start", title="and lands where the kernel is smaller")
    by_learning_rate(test, runs, data, best_test_loss)
    test.set(yscale="log", ylabel="best test loss (mean squared error)", title="test loss, all runs")


@figure(panels=3)
def product(runs, axes):
    draw_row(runs, axes, "product")


@figure(panels=3)
def digits(runs, axes):
    draw_row(runs, axes, "digits")
