"""What is checked of arXiv 2405.21063; README.md says where the thresholds come from."""

import numpy as np

from expkit.studies import claim, figure, holds

BEST = "shortcut_optimized"
STRATEGIES = {
    "random_midpoint": "random unit",
    "widest_midpoint": "widest interval",
    "shortcut_midpoint": "estimated gain",
    BEST: "estimated gain,\noptimized points",
}


@claim(
    "No proof of robustness, by any method, is against a counterexample of PGD or of random sampling",
    paper="bounds are sound",
)
def sound(runs):
    return holds(runs["verified/violations"].each <= 0)


@claim(
    "Branch and bound verifies more examples than linear bounds without branching, and these more than intervals",
    paper="GenBaB verifies more than bound propagation alone on Sigmoid, Tanh, Sine and GeLU networks",
)
def branching_verifies_more(runs):
    return holds(
        runs[f"verified/{BEST}"] - runs["verified/crown"] > 0,
        runs["verified/crown"] - runs["verified/ibp"] > 0,
    )


@claim(
    "Splitting the unit with the largest estimated gain needs fewer domains than a random unit or the widest interval",
    paper="the shortcut heuristic (BBPS) outperforms the others in the ablation",
)
def heuristic_needs_fewer_domains(runs):
    own = runs["domains/shortcut_midpoint"]
    return holds(own - runs["domains/widest_midpoint"] < 0, own - runs["domains/random_midpoint"] < 0)


@claim(
    "Optimized branching points need fewer domains than midpoints",
    paper="pre-optimized branching points improve on the middle of the interval",
)
def points_help(runs):
    return holds(runs[f"domains/{BEST}"] - runs["domains/shortcut_midpoint"] < 0)


@figure
def verified(runs, axes):
    methods = {
        "ibp": "intervals (IBP)",
        "crown": "linear bounds (CROWN)",
        BEST: "branch and bound",
        "attacked": "not broken by PGD",
    }
    for place, (metric, label) in enumerate(methods.items()):
        samples = [runs.arm(arm)[f"verified/{metric}"] for arm in runs.arms]
        middle = np.array([sample.mean for sample in samples])
        half = np.array([sample.interval[1] - sample.mean for sample in samples])
        where = np.arange(len(runs.arms)) + 0.2 * (place - 1.5)
        axes.bar(where, middle, 0.18, yerr=np.where(np.isfinite(half), half, 0), capsize=2, label=label)
    axes.set_xticks(range(len(runs.arms)), runs.arms)
    axes.set(xlabel="activation", ylabel="share of test examples", ylim=(0, 1.25), title="proved robust")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.legend(loc="upper center", ncols=2)


@figure
def cactus(runs, axes):
    """How many instances are proved within a number of domains."""
    for name, label in STRATEGIES.items():
        counts = np.sort(
            np.concatenate([run.arrays[f"domains/of_{name}"][run.arrays[f"verified/is_{name}"]] for run in runs.single])
        )
        axes.step(
            np.append(counts, 64),
            np.append(np.arange(1, len(counts) + 1), len(counts)),
            where="post",
            label=label.replace("\n", " "),
        )
    total = sum(len(run.arrays[f"domains/of_{BEST}"]) for run in runs.single)
    axes.set(xlabel="domains bounded for an instance", ylabel=f"instances proved, of {total:,}", xlim=(0, 64))
    axes.set_ylim(0, None)
    axes.set_title("what linear bounds leave open")
    axes.legend(loc="lower right")


@figure
def domains(runs, axes):
    samples = [runs[f"domains/{name}"] for name in STRATEGIES]
    middle = np.array([sample.mean for sample in samples])
    half = np.array([sample.interval[1] - sample.mean for sample in samples])
    axes.errorbar(middle, np.arange(len(samples)), xerr=np.where(np.isfinite(half), half, 0), fmt="o", capsize=3)
    axes.set_yticks(range(len(samples)), STRATEGIES.values())
    axes.set(xlabel="domains for an open instance, mean (64 at most)", xlim=(0, 66), ylim=(-0.5, len(samples) - 0.5))
    axes.set_title("which unit is split, and where")
