"""What is checked of arXiv 1910.03193; README.md says where the thresholds come from."""

import math

from expkit.studies import claim, figure, holds, slope

OPERATORS = ("antiderivative", "pendulum")
LARGEST = 1600
FEW, SOME, MANY = 2, 16, 64


@claim(
    "DeepONet has a smaller test error, and a smaller gap between test and training error, than a fully connected "
    "network of values and location",
    paper="DeepONet has much smaller test and generalization error than fully connected networks",
)
def better_than_fully_connected(runs):
    checks = []
    for operator in OPERATORS:
        deep = runs.arm("deeponet").where({"data.operator": operator, "data.n_train": LARGEST})
        full = runs.arm("fully_connected").where({"data.operator": operator})
        error = deep["test/mse"] - full["test/mse"]
        difference = gap(deep) - gap(full)
        checks.append(error.named(f"{operator}: DeepONet - fully connected, test/mse") < 0)
        checks.append(difference.named(f"{operator}: DeepONet - fully connected, gap") < 0)
    return holds(*checks)


@claim(
    "The test error falls at least as the square root of the number of training examples",
    paper="polynomial rates in the size of the training set, from half to fourth order, and faster at first",
)
def polynomial_in_the_sample_size(runs):
    checks = []
    for operator in OPERATORS:
        own = runs.arm("deeponet").where({"data.operator": operator})
        exponent = slope(own["data.n_train"], own["test/mse"], log=True)
        checks.append(exponent.named(f"{operator}: slope of log test/mse over log n_train") <= -0.5)
    return holds(*checks)


@claim(
    "The test error falls with the number of sensors, and then no further",
    paper="error falls with the number of sensors and saturates, at about 10 for a length scale of 0.2",
)
def sensors_saturate(runs):
    error = {
        m: own["test/mse"].map(math.log10, f"log10 test/mse with {m} sensors")
        for m, own in runs.arm("sensors").by("data.sensors").items()
    }
    return holds(error[FEW] - error[SOME] > 0, (error[MANY] - error[SOME]).within(-math.log10(2), math.log10(2)))


def gap(runs):
    return runs["test/mse"] - runs["train/mse"]


@figure
def sample_size(runs, axes):
    for operator in OPERATORS:
        own = runs.arm("deeponet").where({"data.operator": operator})
        line(axes, own.by("data.n_train"), f"DeepONet, {operator}")
    for operator, marker in zip(OPERATORS, "sD", strict=True):
        own = runs.arm("fully_connected").where({"data.operator": operator})
        line(axes, {LARGEST: own}, f"fully connected, {operator}", marker=marker, linestyle="none")
    sizes = [100, LARGEST]
    start = runs.arm("deeponet").where({"data.n_train": 100})["test/mse"].mean
    axes.plot(
        sizes, [start * (n / 100) ** -0.5 for n in sizes], color="0.5", linewidth=0.8, linestyle=":", label="n^-1/2"
    )
    axes.set(xscale="log", yscale="log", xlabel="training examples", ylabel="test error (MSE)")
    axes.set_title("a power of the sample size")
    axes.legend(loc="lower left", fontsize=7)


@figure
def number_of_sensors(runs, axes):
    line(axes, runs.arm("sensors").by("data.sensors"), "DeepONet, antiderivative")
    axes.set(xscale="log", yscale="log", xlabel="sensors", ylabel="test error (MSE)", title="sensors saturate")
    axes.set_xticks([2, 4, 16, 64], ["2", "4", "16", "64"])
    axes.minorticks_off()
    axes.legend(loc="upper right")


@figure
def gaps(runs, axes):
    for place, (label, arm) in enumerate((("DeepONet", "deeponet"), ("fully connected", "fully_connected"))):
        means, below, above = [], [], []
        for operator in OPERATORS:
            own = gap(runs.arm(arm).where({"data.operator": operator, "data.n_train": LARGEST}))
            means.append(own.mean)
            below.append(own.mean - own.interval[0])
            above.append(own.interval[1] - own.mean)
        at = [number + (place - 0.5) * 0.36 for number in range(len(OPERATORS))]
        axes.bar(at, means, 0.33, label=label, yerr=[below, above], error_kw={"linewidth": 1}, capsize=2)
    axes.set_xticks(range(len(OPERATORS)), OPERATORS)
    axes.set(ylabel="test MSE - training MSE", title=f"generalization gap, {LARGEST:,} examples")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper right")


def line(axes, groups, label, marker="o", **style):
    """Mean over seeds with the 95 % interval, for each value of a key."""
    samples = {value: own["test/mse"] for value, own in groups.items()}
    means = [sample.mean for sample in samples.values()]
    low = [max(sample.interval[0], mean / 10) for sample, mean in zip(samples.values(), means, strict=True)]
    high = [sample.interval[1] for sample in samples.values()]
    ends = [[m - a for m, a in zip(means, low, strict=True)], [b - m for m, b in zip(means, high, strict=True)]]
    axes.errorbar(list(samples), means, yerr=ends, label=label, marker=marker, markersize=4, capsize=2, **style)
