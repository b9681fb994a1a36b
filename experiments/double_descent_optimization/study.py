"""What is checked of arXiv 2312.03951; README.md says where the thresholds come from."""

import math
from itertools import pairwise

from expkit.studies import Sample, claim, figure, holds

N = 200  # training examples, where the peak is
STEPS = (100, 1_000, 10_000, 100_000, 1_000_000, math.inf)  # of gradient descent, one row each; the last is the minimum
NO_PEAK, PEAK = 1.1, 2.0


@claim(
    "The more steps gradient descent makes, the lower the training loss, and the higher the test error where there are "
    "as many features as examples, up to the pseudo-inverse",
    paper="the peak rises as the training loss falls",
)
def rises_with_steps(runs):
    at_n = runs.arm("exact").where({"model.width": N})
    rises = [_log(at_n, i + 1, "test") - _log(at_n, i, "test") for i in range(len(STEPS) - 1)]
    falls = [_log(at_n, i + 1, "train") - _log(at_n, i, "train") for i in range(len(STEPS) - 1)]
    names = [f"{_label(a)} to {_label(b)}" for a, b in pairwise(STEPS)]
    return holds(
        *(rise.named(f"rise of log10 test error, {name}") > 0 for rise, name in zip(rises, names, strict=True)),
        given=[fall.named(f"change of log10 train loss, {name}") < 0 for fall, name in zip(falls, names, strict=True)],
    )


@claim(
    "The pseudo-inverse has a peak there; after 100 steps there is none",
    paper="double descent if and only if the minimum that is found has a sufficiently low loss",
)
def no_peak_without_training(runs):
    own = runs.arm("exact")
    return holds(_peak(own, len(STEPS) - 1, "pseudo-inverse") > PEAK, _peak(own, 0, "100 steps") < NO_PEAK)


@claim(
    "Features of uneven scale, which span the same functions but are worse conditioned, leave a higher training loss "
    "and a lower peak after as many steps",
    paper="factors that worsen conditioning lower the peak",
)
def conditioning_lowers_the_peak(runs):
    even, uneven = (runs.arm(arm).where({"model.width": N}) for arm in ("exact", "uneven features"))
    checks, given = [], []
    for i in (2, 3, 4):
        name = _label(STEPS[i])
        lower = _log(uneven, i, "test") - _log(even, i, "test")
        higher = _log(uneven, i, "train") - _log(even, i, "train")
        checks.append(lower.named(f"log10 test error, uneven - even, {name}") < 0)
        given.append(higher.named(f"log10 train loss, uneven - even, {name}") > 0)
    return holds(*checks, given=given)


@claim(
    "SGD and Adam, trained for 5,000 steps, stay below the peak of the pseudo-inverse; of the two, the one with the "
    "lower training loss has the higher test error there",
    paper="realistic training shows a weak peak or none; optimizers that find lower losses have higher peaks",
)
def realistic_training(runs):
    exact = _log(runs.arm("exact").where({"model.width": N}), len(STEPS) - 1, "test")
    sgd, adam = (runs.arm(arm).where({"model.width": N}) for arm in ("sgd", "adam"))
    trained = {arm: (_log(own, -1, "train"), _log(own, -1, "test")) for arm, own in (("SGD", sgd), ("Adam", adam))}
    lower, higher = sorted(trained, key=lambda arm: trained[arm][0].mean)
    return holds(
        *((exact - test).named(f"log10 test error, pseudo-inverse - {arm}") > 0 for arm, (_, test) in trained.items()),
        (trained[lower][1] - trained[higher][1]).named(f"log10 test error, {lower} - {higher}") > 0,
        given=[(trained[higher][0] - trained[lower][0]).named(f"log10 train loss, {higher} - {lower}") > 0],
    )


@claim(
    "Over all these ways to train, the test error where there are as many features as examples is higher the lower the "
    "training loss is: their rank correlation is at most -0.9",
    paper="all factors are unified by the training loss that is reached",
)
def one_factor(runs):
    found = _all_ways(runs)
    shared = [seed for seed in found[0][0].of_seed if all(seed in test.of_seed for _, test in found)]
    values = [_spearman([(train.of_seed[s], test.of_seed[s]) for train, test in found]) for s in shared]
    return holds(Sample("rank correlation", tuple(values), tuple(shared), found[0][0].expected) <= -0.9)


@figure
def steps_of_gradient_descent(runs, axes):
    for i in range(len(STEPS)):
        _curve(axes, runs.arm("exact"), i, _label(STEPS[i]))
    _dress(axes, "exact gradient descent")


@figure
def conditioning(runs, axes):
    for i in (2, 4):
        _curve(axes, runs.arm("exact"), i, f"even, {_label(STEPS[i])}")
        _curve(axes, runs.arm("uneven features"), i, f"uneven, {_label(STEPS[i])}")
    _curve(axes, runs.arm("sgd"), -1, "SGD, 5,000 steps")
    _curve(axes, runs.arm("adam"), -1, "Adam, 5,000 steps")
    _dress(axes, "conditioning and optimizer")


@figure
def against_the_training_loss(runs, axes):
    groups = {
        "even features, exact": "exact",
        "uneven features, exact": "uneven features",
        "SGD": "sgd",
        "Adam": "adam",
    }
    for label, arm in groups.items():
        own = runs.arm(arm).where({"model.width": N})
        rows = range(len(STEPS) - 1) if arm in ("exact", "uneven features") else [-1]
        points = [(10 ** _log(own, i, "train").mean, 10 ** _log(own, i, "test").mean) for i in rows]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel="training loss, 200 features", ylabel="test error, 200 features")
    axes.set_title("one curve: the lower the training loss, the higher")
    axes.legend(loc="upper right", title="geometric mean over seeds", title_fontsize=8)


def _all_ways(runs):
    at = {arm: runs.arm(arm).where({"model.width": N}) for arm in ("exact", "uneven features", "sgd", "adam")}
    rows = [("exact", i) for i in range(len(STEPS))]
    rows += [("uneven features", i) for i in range(len(STEPS) - 1)]  # its pseudo-inverse is the same function
    rows += [("sgd", -1), ("adam", -1)]
    return [(_log(at[arm], i, "train"), _log(at[arm], i, "test")) for arm, i in rows]


def _log(runs, row, split):
    """log10 of the loss on a split in one row of each run's metrics."""
    return runs.each(f"log10 {split}/loss", lambda run: math.log10(float(run.metrics[f"{split}/loss"][row])))


def _peak(runs, row, name):
    """Test error at N features over the larger of the lowest ones on either side, geometric mean over seeds."""
    of_width = {width: _log(own, row, "test").of_seed for width, own in runs.by("model.width").items()}
    values = {
        seed: at_n - max(min(own[seed] for w, own in of_width.items() if side * w > side * N) for side in (-1, 1))
        for seed, at_n in of_width[N].items()
    }
    powers = tuple(10**value for value in values.values())
    return Sample(f"height of the peak, {name}", powers, tuple(values), len(values), "median")


def _curve(axes, runs, row, label):
    of_width = {width: _log(own, row, "test") for width, own in runs.by("model.width").items()}
    (line,) = axes.plot(
        list(of_width), [10**own.mean for own in of_width.values()], marker="o", markersize=3, label=label
    )
    ends = [own.interval for own in of_width.values()]
    low, high = zip(*ends, strict=True)
    axes.fill_between(
        list(of_width), [10**v for v in low], [10**v for v in high], color=line.get_color(), alpha=0.15, linewidth=0
    )


def _dress(axes, title):
    axes.axvline(N, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="features", ylabel="test error (MSE, clean targets)", title=title)
    axes.legend(loc="upper right")


def _label(steps):
    return "pseudo-inverse" if math.isinf(steps) else f"10{'⁰¹²³⁴⁵⁶'[round(math.log10(steps))]} steps"


def _spearman(points):
    from scipy import stats

    return float(stats.spearmanr(*zip(*points, strict=True)).statistic)
