"""What is checked of arXiv 2509.21519; README.md says where the thresholds come from."""

import math
from itertools import pairwise

import numpy as np

from expkit.analysis.power_law_fit import fit_forms, power_law_fit
from expkit.studies import Sample, band, claim, figure, holds

MODULI = (23, 31, 47, 61)
COUNTS = (22, 26, 30)
"""Tenths of p ln p."""
FORMS = {"p log p": lambda p: p * math.log(p), "p²": lambda p: p**2}
EARLY = 60
HALF = 0.5


def largest(runs, p):
    """The runs with the most examples of a modulus, 3 p ln p."""
    return runs.arm(f"p{p}_{COUNTS[-1]}")


def over_moduli(runs, metric, step=None):
    """The mean over moduli, of each seed, of a metric of the runs with the most examples."""
    parts = [largest(runs, p) for p in MODULI]
    samples = [part.last()[metric] if step is None else part.at(step=step)[metric] for part in parts]
    values = tuple(value for sample in samples for value in sample.values)
    seeds = tuple(seed for sample in samples for seed in sample.seeds)
    when = "at the end" if step is None else f"at step {step}"
    return Sample(f"{metric} {when}, 3 p ln p examples", values, seeds, samples[0].expected)


def critical_counts(runs):
    """For each seed, the number of examples at which final test accuracy passes one half, for each modulus.

    Between two counts that were run, accuracy is a straight line over the logarithm of the count; the last crossing
    counts. NaN where accuracy does not cross between the smallest and the largest count.
    """
    found = {}
    for p in MODULI:
        points = {}
        for count in COUNTS:
            for seed, value in runs.arm(f"p{p}_{count}").last()["test/acc"].of_seed.items():
                points.setdefault(seed, []).append((count / 10 * p * math.log(p), value))
        for seed, own in points.items():
            found.setdefault(seed, []).append(crossing(own))
    return found


def crossing(points):
    result = math.nan
    for (n, low), (m, high) in pairwise(points):
        if low < HALF <= high:
            share = (HALF - low) / (high - low)
            result = math.exp(math.log(n) + share * (math.log(m) - math.log(n)))
    return result


def of_counts(runs, name, function):
    """A number from each seed's four critical counts."""
    counts = critical_counts(runs)
    values = tuple(function(own) if all(map(math.isfinite, own)) else math.nan for own in counts.values())
    return Sample(name, values, tuple(counts), largest(runs, 23)["test/acc"].expected)


@claim(
    "Test accuracy rises long after training accuracy: the network memorizes first",
    paper="grokking: lazy learning fits the training data on random features before features emerge",
)
def memorizes_first(runs):
    return holds(
        over_moduli(runs, "train/acc", EARLY) >= 0.99,
        over_moduli(runs, "test/acc", EARLY) <= 0.20,
        over_moduli(runs, "test/acc") >= 0.95,
    )


@claim(
    "Units that are left at the end are waves of a single frequency, near maxima of the energy E",
    paper="emergent features are local maxima of E; for a cyclic group these are single Fourier frequencies",
)
def features_are_waves(runs):
    return holds(
        over_moduli(runs, "fourier/share") >= 0.80,
        over_moduli(runs, "energy/share") >= 0.64,
        over_moduli(runs, "energy/cosine") >= 0.90,
    )


@claim(
    "The number of examples that generalization needs grows like p log p, not like p²",
    paper="n ≳ M log M samples suffice for the maxima that generalize to remain",
)
def threshold_law(runs):
    def gain(counts):
        fits = fit_forms(MODULI, counts, FORMS)
        return fits["p log p"].aic - fits["p²"].aic

    return holds(of_counts(runs, "AIC of a p log p - AIC of a p²", gain) < 0)


@claim(
    "Without weight decay there is no generalization",
    paper="the gradient that reaches the features carries the label only with weight decay",
)
def needs_decay(runs):
    without = runs.arm("no_decay").last()
    return holds(without["test/acc"] <= 0.20, given=[without["train/acc"] >= 0.99])


def narrow(runs, arm, decay):
    return runs.arm(arm).where({"optimizer.weight_decay": decay}).last()["fourier/frequencies"]


def best(runs, arm):
    """At the decay of which the mean over seeds is largest."""
    decays = runs.arm(arm).by("optimizer.weight_decay")
    return max((narrow(runs, arm, decay) for decay in decays), key=lambda sample: sample.mean)


@claim(
    "With 32 units, Muon covers more frequencies than AdamW",
    paper="Muon rebalances gradients towards features that are still missing, and needs fewer units",
)
def muon_covers_more(runs):
    muon, adamw = "muon_narrow", "adamw_narrow"
    return holds(
        (narrow(runs, muon, 0.3) - narrow(runs, adamw, 0.3)).named("Muon - AdamW, decay 0.3") > 0,
        (narrow(runs, muon, 1) - narrow(runs, adamw, 1)).named("Muon - AdamW, decay 1") > 0,
        (best(runs, muon) - best(runs, adamw)).named("Muon - AdamW, each at its best decay") > 0,
    )


@figure
def grokking(runs, axes):
    with_decay, without = largest(runs, 31), runs.arm("no_decay")
    band(axes, with_decay.curve("train/acc"), "train", log_steps=False)
    band(axes, with_decay.curve("test/acc"), "test", log_steps=False)
    band(axes, without.curve("test/acc"), "test, no weight decay", log_steps=False)
    axes.set(ylabel="accuracy", ylim=(-0.03, 1.05), title="memorized first (p = 31, 319 of 961 pairs)")
    axes.legend(loc="center right", title=f"mean and 95 % interval, {len(with_decay)} seeds", title_fontsize=8)


@figure
def spectrum(runs, axes):
    run = largest(runs, 31).single[0]
    power, norm = run.arrays["fourier/power"], run.arrays["fourier/norm"]
    live = power[norm**2 > 0.01 * (norm**2).max()]
    live = live[np.lexsort((-live.max(1), live[:, 1:].argmax(1)))]
    image = axes.imshow(live.T, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="share of a unit's weights")
    axes.grid(visible=False)
    axes.set(xlabel=f"the {len(live)} of {len(power)} units that are left", ylabel="frequency")
    axes.set_title("units are single waves (p = 31, one run)")


@figure
def threshold(runs, axes):
    counts = np.array(list(critical_counts(runs).values()))
    shift = np.linspace(-0.02, 0.02, len(counts))[:, None]
    axes.plot(np.array(MODULI) * np.exp(shift), counts, "o", color="black", markersize=4, label=None)
    axes.plot([], [], "o", color="black", markersize=4, label="a seed")
    middle = np.exp(np.nanmean(np.log(counts), 0))
    axis = np.linspace(21, 66, 100)
    if np.isfinite(middle).all():
        fits = fit_forms(MODULI, middle, FORMS)
        law = power_law_fit(MODULI, middle)
        for name, form in FORMS.items():
            axes.plot(
                axis, [fits[name].coefficient * form(p) for p in axis], label=f"{fits[name].coefficient:.2f} {name}"
            )
        axes.plot(axis, [law(p) for p in axis], label=f"free exponent: {law.exponent:.2f}")
    axes.set(xscale="log", yscale="log", xlabel="modulus p", ylabel="examples at test accuracy 0.5")
    axes.set_xticks(MODULI, [str(p) for p in MODULI])
    axes.set_xticks([], minor=True)
    axes.set_yticks([100, 200, 400, 800], ["100", "200", "400", "800"])
    axes.set_yticks([], minor=True)
    axes.set_title("examples needed grow like p log p")
    axes.legend(loc="upper left")


@figure
def optimizers(runs, axes):
    for place, (arm, label) in enumerate((("adamw_narrow", "AdamW"), ("muon_narrow", "Muon"))):
        decays = list(runs.arm(arm).by("optimizer.weight_decay"))
        samples = [narrow(runs, arm, decay) for decay in decays]
        middle = np.array([sample.mean for sample in samples])
        half = np.array([sample.interval[1] - sample.mean for sample in samples])
        where = np.arange(len(decays)) + 0.06 * (2 * place - 1)
        axes.errorbar(where, middle, np.where(np.isfinite(half), half, 0), marker="o", capsize=3, label=label)
    axes.axhline(15, color="0.5", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(decays)), [f"{decay:g}" for decay in decays])
    axes.set(xlabel="decoupled weight decay", ylabel="frequencies covered, of 15", ylim=(-0.5, 16))
    axes.set_title("32 units, p = 31: depends on the decay")
    axes.legend(loc="upper left")
