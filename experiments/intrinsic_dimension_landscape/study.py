"""What is checked of arXiv 1804.08838; README.md says where the thresholds come from."""

import math

import numpy as np

from expkit.studies import Sample, claim, figure, holds, not_testable

SHARE = 0.9  # of the accuracy that training all parameters gives
DIMENSION = "transforms.random_subspace.dimension"
SOLVED = 1e-10  # the toy's loss is below this where there is a solution; float64 leaves 1e-15
NETWORKS = {
    "MLP 32": ("mlp", {"model.width": 32, "model.depth": 1}, 2_410),
    "MLP 32, 32, 32": ("mlp", {"model.width": 32, "model.depth": 3}, 4_522),
    "CNN 16, 32": ("cnn", {}, 6_090),
    "MLP 256": ("mlp", {"model.width": 256, "model.depth": 1}, 19_210),
    "MLP 512": ("wide", {}, 38_410),
    "MLP 256, 256, 256": ("mlp", {"model.width": 256, "model.depth": 3}, 150_794),
}
"""The arm, what tells the network within it, and its number of parameters."""


@claim(
    "1,000 numbers with 10 constraints have intrinsic dimension 10: solutions appear at exactly that dimension",
    paper="10, for D = 1000",
)
def toy(runs):
    found = _toy_dimension(runs)
    return holds(found.each >= 10, found.each <= 10)


@claim(
    "The dimension at which 90 % of the full network's accuracy is reached varies by less than a factor of 2.5, while "
    "the number of parameters varies by more than 50",
    paper="nearly constant: 750 for most fully connected networks on MNIST, over a factor of 24 in parameters",
)
def nearly_constant(runs):
    sizes = [parameters for *_, parameters in NETWORKS.values()]
    found = [_d90(runs, name) for name in NETWORKS]
    spread = _over_seeds("largest d90 / smallest", found, lambda own: max(own) / min(own))
    return holds(spread < 2.5, given=[_number("largest D / smallest", max(sizes) / min(sizes), spread) > 50])


@claim(
    "It is far below the number of parameters: less than a tenth of them in every network",
    paper="750 of 199,210 parameters (fully connected), 290 of 44,426 (LeNet)",
)
def far_below(runs):
    checks = []
    for name, (*_, parameters) in NETWORKS.items():
        share = _d90(runs, name).map(lambda d90, parameters=parameters: d90 / parameters, f"d90 / D of {name}")
        checks.append(share < 0.1)
    return holds(*checks)


@claim(
    "A solution in the subspace is a description of the largest network that is more than 100 times shorter",
    paper="compression by more than 100 times in some cases",
)
def compresses(runs):
    *_, parameters = NETWORKS["MLP 256, 256, 256"]
    found = _d90(runs, "MLP 256, 256, 256").map(lambda d90: parameters / d90, "D / d90 of MLP 256, 256, 256")
    return holds(found > 100)


@claim(
    "Balancing a pendulum is 100 times easier than classifying digits",
    paper="intrinsic dimension 4 for the inverted pendulum, 750 for MNIST",
    reason="needs an environment and reinforcement learning, which this experiment does not have",
)
def pendulum(runs):
    return not_testable("no environment")


@figure
def toy_loss(runs, axes):
    own = runs.arm("toy")
    dimensions = sorted(own.by(DIMENSION))
    for run in own.single:
        axes.plot(run.keys[DIMENSION], max(_loss(run), 1e-17), "o", color="#0072B2", markersize=4, alpha=0.6)
    axes.axvline(10, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", xlabel="dimension d of the subspace", ylabel="loss after training", xticks=dimensions)
    axes.set_title("10 constraints on 1,000 numbers: d = 10")


@figure
def accuracies(runs, axes):
    for name in NETWORKS:
        mean = {d: own["test/acc"].mean for d, own in _subspace(runs, name).by(DIMENSION).items()}
        full = _full(runs, name)["test/acc"].mean
        axes.plot(list(mean), [value / full for value in mean.values()], marker="o", markersize=3, label=name)
    axes.axhline(SHARE, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlabel="dimension d of the subspace", ylabel="test accuracy / that of the full network", ylim=(None, 1.01))
    axes.set_title("digits: mean over 5 seeds")
    axes.legend(loc="lower right")


@figure
def intrinsic_dimensions(runs, axes):
    for name, (arm, _, parameters) in NETWORKS.items():
        found = _d90(runs, name)
        low, high = found.interval
        marker = "s" if arm == "cnn" else "o"
        axes.errorbar(
            parameters, found.mean, yerr=[[found.mean - low], [high - found.mean]], fmt=marker, capsize=3, label=name
        )
    sizes = np.array([1_500, 250_000])
    axes.plot(sizes, sizes / 10, color="0.5", linewidth=0.8, linestyle=":", label="D / 10")
    axes.set(xscale="log", yscale="log", xlabel="parameters D", ylabel="d90, with 95 % interval", ylim=(30, 1000))
    axes.set_title("intrinsic dimension against size")
    axes.legend(loc="upper left", ncols=2, fontsize=7)


def _d90(runs, name):
    """The dimension at which each seed reaches 90 % of its full network's test accuracy, between those measured on a
    straight line; infinite where it does not."""
    full = _full(runs, name)["test/acc"].of_seed
    reached = {d: own["test/acc"].of_seed for d, own in sorted(_subspace(runs, name).by(DIMENSION).items())}
    seeds = [seed for seed in full if all(seed in own for own in reached.values())]
    values = [_crossing([(d, own[seed] / full[seed]) for d, own in reached.items()]) for seed in seeds]
    return Sample(f"d90 of {name}", tuple(values), tuple(seeds), _full(runs, name)["test/acc"].expected)


def _crossing(points):
    for (d, share), (d_next, share_next) in zip([(0, 0.1), *points], points, strict=False):
        if share < SHARE <= share_next:
            return d + (d_next - d) * (SHARE - share) / (share_next - share)
    return math.inf


def _subspace(runs, name):
    arm, keys, _ = NETWORKS[name]
    return runs.arm(arm).where(keys) if keys else runs.arm(arm)


def _full(runs, name):
    arm, keys, _ = NETWORKS[name]
    own = runs.arm(f"{arm}, all parameters")
    return own.where(keys) if keys else own


def _toy_dimension(runs):
    """The least dimension with a solution, of each seed."""
    losses = {d: own["train/loss"].of_seed for d, own in sorted(runs.arm("toy").by(DIMENSION).items())}
    seeds = [seed for seed in next(iter(losses.values())) if all(seed in own for own in losses.values())]
    values = [next((float(d) for d, own in losses.items() if own[seed] < SOLVED), math.inf) for seed in seeds]
    return Sample("least dimension with a solution", tuple(values), tuple(seeds), len(seeds))


def _loss(run):
    return float(run.metrics["train/loss"][-1])


def _over_seeds(name, samples, function):
    """A function of several samples' values, of each seed."""
    seeds = [seed for seed in samples[0].of_seed if all(seed in own.of_seed for own in samples)]
    values = [function([own.of_seed[seed] for own in samples]) for seed in seeds]
    return Sample(name, tuple(values), tuple(seeds), max(own.expected for own in samples))


def _number(name, value, like):
    """A number that is the same for every seed."""
    return Sample(name, (value,) * len(like.seeds), like.seeds, like.expected)
