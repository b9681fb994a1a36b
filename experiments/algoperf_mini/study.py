"""What is checked of arXiv 2306.07179 and of arXiv 2510.05491; README.md says where the thresholds come from."""

import math
from itertools import permutations

import numpy as np

from expkit.analysis.performance_profile import performance_profile, profile_score
from expkit.studies import Sample, claim, figure, holds, ratio

BASES = ("digits", "mnist1d", "sbm")
VARIANTS = {"digits narrow": "digits", "digits tanh": "digits", "sbm without norm": "sbm"}
WORKLOADS = (*BASES, *VARIANTS)
OPTIMIZERS = {
    "nesterov": "Nesterov",
    "adamw": "AdamW",
    "nadamw": "NAdamW",
    "lion": "Lion",
    "shampoo": "Shampoo",
    "muon": "Muon",
    "normuon": "NorMuon",
}
METRIC = "test/acc"


@claim(
    "On every workload and variant, in every seed, some optimizer reaches the target that was set beforehand",
    paper="the benchmark is feasible: submissions reach targets within the budget",
)
def targets_are_reached(runs):
    costs = all_costs(runs)
    reached = tuple(float(np.isfinite(own).any(axis=0).sum()) for own in costs.values())
    return holds(_sample("workloads and variants, of 6, whose target is reached", reached, costs) >= len(WORKLOADS))


@claim(
    "Optimizers differ by more than seeds do: the one that leads on the other seeds has, on each seed in turn, a "
    "higher score of the performance profile than the one that is last on the others",
    paper="non-trivial gaps exist between methods",
)
def profiles_differ(runs):
    costs = all_costs(runs)
    scores = {seed: profile_score(own[:, : len(BASES)]) for seed, own in costs.items()}
    gaps = []
    for seed, own in scores.items():
        others = np.mean([scores[other] for other in scores if other != seed], axis=0)
        gaps.append(float(own[others.argmax()] - own[others.argmin()]))
    return holds(_sample("score, first - last", tuple(gaps), costs) > 0)


@claim(
    "A variant changes the order: two optimizers that trade places between a workload and its variant on the other "
    "seeds do so on each seed in turn",
    paper="the order of training algorithms depends on details of the workload, which variants make visible",
)
def order_changes(runs):
    costs = all_costs(runs)
    logs = {seed: np.log(capped(own, runs)) for seed, own in costs.items()}
    turns = []
    for seed, own in logs.items():
        others = np.mean([logs[other] for other in logs if other != seed], axis=0)
        places = ((variant, *pair) for variant in VARIANTS for pair in permutations(range(len(OPTIMIZERS)), 2))
        turns.append(reversal(own, *max(places, key=lambda place: reversal(others, *place))))
    return holds(_sample("ln of the factor by which both orders hold", tuple(turns), costs) > 0)


@claim(
    "The norms of neurons in an update of NorMuon vary less than half as much as in one of Muon",
    paper="NorMuon (2510.05491), figure 1: neuron norms of Muon's updates are far from uniform, NorMuon's are even",
)
def even_neurons(runs):
    spread = {arm: runs.arm(f"text/{arm}")["neuron_norm/cv"] for arm in ("muon", "normuon")}
    return holds(ratio(spread["normuon"], spread["muon"]) <= 0.5)


def target(runs, workload):
    """What the reference reaches after three quarters of the budget: the median over its seeds, of its best trial."""
    medians = []
    for trial in runs.arm(f"{workload}/reference").by("optimizer.lr").values():
        values = [np.interp(0.75 * run.line(METRIC)[0][-1], *run.line(METRIC)) for run in trial.single]
        medians.append(float(np.median(values)))
    return max(medians)


def all_costs(runs):
    """Of each seed, (optimizers, workloads): steps to the target of the quickest trial; infinite without."""
    found = {}
    for column, workload in enumerate(WORKLOADS):
        goal = target(runs, workload)
        for row, optimizer in enumerate(OPTIMIZERS):
            for run in runs.arm(f"{workload}/{optimizer}").single:
                table = found.setdefault(run.keys["seed"], np.full((len(OPTIMIZERS), len(WORKLOADS)), math.inf))
                table[row, column] = min(table[row, column], steps_to(run, goal))
    return found


def steps_to(run, goal):
    steps, values = run.line(METRIC)
    met = steps[values >= goal]
    return max(1.0, float(met[0])) if len(met) else math.inf


def budget(runs, workload):
    return float(runs.arm(f"{workload}/reference").curve(METRIC).lines[0][0][-1])


def capped(costs, runs):
    """Costs with twice the budget for a target that is not reached."""
    return np.minimum(costs, 2 * np.array([budget(runs, workload) for workload in WORKLOADS]))


def reversal(logs, variant, first, second):
    """How far the first is ahead on the workload and the second on its variant, whichever is less; ln of a factor."""
    base, other = WORKLOADS.index(VARIANTS[variant]), WORKLOADS.index(variant)
    return float(min(logs[second, base] - logs[first, base], logs[first, other] - logs[second, other]))


def _sample(name, values, costs):
    return Sample(name, values, tuple(costs), len(costs))


@figure
def profiles(runs, axes):
    costs = np.concatenate([own[:, : len(BASES)] for own in all_costs(runs).values()], axis=1)
    factors = np.linspace(1, 4, 301)
    for profile, label in zip(performance_profile(costs, factors), OPTIMIZERS.values(), strict=True):
        axes.plot(factors, profile, drawstyle="steps-post", label=label)
    axes.set(
        xlabel="factor of the quickest optimizer's steps", ylabel="share of workloads and seeds", ylim=(-0.03, 1.03)
    )
    axes.set_title("performance profiles, three workloads")
    axes.legend(loc="lower right")


@figure
def steps(runs, axes):
    logs = [np.log(capped(own, runs)) for own in all_costs(runs).values()]
    relative = np.exp(np.mean(logs, axis=0) - np.mean(logs, axis=0).min(axis=0))
    for row, (label, marker) in enumerate(zip(OPTIMIZERS.values(), "osD^vPX", strict=True)):
        places = np.arange(len(WORKLOADS)) + 0.09 * (row - 3)
        axes.plot(places, relative[row], marker=marker, linestyle="", markersize=5, label=label)
    names = [name.replace(" ", "\n", 1) for name in WORKLOADS]
    axes.set_xticks(range(len(WORKLOADS)), names, fontsize=7)
    axes.axvline(len(BASES) - 0.5, color="0.6", linewidth=0.8)
    axes.set(yscale="log", ylabel="steps to the target / quickest's")
    axes.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.minorticks_off()
    axes.set_ylim(None, 2 * relative.max())
    axes.legend(loc="upper left", ncols=3, fontsize=7, columnspacing=0.8, handletextpad=0.2)
    axes.set_title("workloads, and their variants (right)")


@figure
def updates(runs, axes):
    names = ("adamw", "muon", "normuon")
    for place, name in enumerate(names):
        spread = runs.arm(f"text/{name}").arrays("neuron_norm/cv_of_matrices")
        jitter = np.linspace(-0.2, 0.2, spread.shape[1])
        axes.plot(np.tile(jitter, len(spread)) + place, spread.flatten(), "o", markersize=3, alpha=0.5, color="#0072B2")
        axes.hlines(spread.mean(), place - 0.3, place + 0.3, color="#D55E00", linestyle="-")
    axes.set_xticks(range(len(names)), [OPTIMIZERS[name] for name in names])
    axes.set(ylabel="row norms: deviation / mean", ylim=(0, None), title="last update of a transformer")
