"""What is checked of arXiv 1706.06978; README.md says where the thresholds come from."""

from expkit.studies import claim, figure, holds, increases

INTERESTS = 4
VARIANTS = {
    "base": "sum of the history",
    "wide_deep": "Wide & Deep",
    "din": "DIN",
    "din_dice": "DIN, Dice",
    "din_regularized": "DIN, regularized",
}


@claim(
    "An interest vector that depends on the candidate beats the sum of the history, by at least 0.01 of AUC",
    paper="DIN above Embedding&MLP on two public data sets and in production: +0.6 to +6.8 % relative AUC",
)
def beats_the_sum(runs):
    auc, gauc = (score(runs, "din", name) - score(runs, "base", name) for name in ("auc/test", "gauc/test"))
    return holds(auc.named("DIN - sum, AUC") >= 0.01, gauc.named("DIN - sum, GAUC") >= 0.01)


@claim(
    "The gap grows with the number of a user's interests",
    paper="a vector of fixed length is the bottleneck for diverse interests",
)
def gap_grows_with_interests(runs):
    return holds(increases(list(gaps(runs).values())))


@claim("DIN beats Wide & Deep with crossed features", paper="DIN above Wide&Deep on all three data sets")
def beats_wide_and_deep(runs):
    difference = score(runs, "din", "auc/test") - score(runs, "wide_deep", "auc/test")
    return holds(difference.named("DIN - Wide & Deep, AUC") > 0)


@claim(
    "Dice and mini-batch aware regularization each improve DIN",
    paper="both techniques improve AUC: DIN with both above DIN on the Alibaba data",
)
def techniques_help(runs):
    plain = score(runs, "din", "auc/test")
    dice, regularized = (score(runs, arm, "auc/test") - plain for arm in ("din_dice", "din_regularized"))
    return holds(dice.named("Dice - PReLU, AUC") > 0, regularized.named("regularized - not, AUC") > 0)


def score(runs, arm, metric, interests=INTERESTS):
    return runs.arm(arm).where({"data.interests": interests})[metric]


def gaps(runs):
    """DIN's AUC less the base's, by number of interests."""
    return {
        interests: (own["auc/test"] - score(runs, "base", "auc/test", interests)).named(f"gap at {interests} interests")
        for interests, own in runs.arm("din").by("data.interests").items()
    }


@figure
def variants(runs, axes):
    for place, metric in enumerate(("auc/test", "gauc/test")):
        samples = [score(runs, arm, metric) for arm in VARIANTS]
        at = [number + (place - 0.5) * 0.3 for number in range(len(VARIANTS))]
        axes.errorbar(
            [s.mean for s in samples], at, xerr=ends(samples), fmt="os"[place], capsize=3, label=metric[:-5].upper()
        )
    best = score(runs, "din", "auc/test_reference").mean
    axes.axvline(best, color="0.3", linewidth=0.8, linestyle=":", label="AUC of the true probabilities")
    axes.set_yticks(range(len(VARIANTS)), VARIANTS.values())
    axes.invert_yaxis()
    axes.set(xlabel="test AUC", title=f"{INTERESTS} interests per user")
    axes.legend(loc="lower left")


@figure
def diversity(runs, axes):
    for arm in ("base", "din"):
        own = runs.arm(arm).by("data.interests")
        samples = [one["auc/test"] for one in own.values()]
        axes.errorbar(
            list(own), [s.mean for s in samples], yerr=ends(samples), marker="o", capsize=3, label=VARIANTS[arm]
        )
    own = runs.arm("din").by("data.interests")
    best = [one["auc/test_reference"].mean for one in own.values()]
    axes.plot(list(own), best, color="0.3", linewidth=0.8, linestyle=":", label="true probabilities")
    axes.set_xticks(list(own))
    axes.set(xlabel="interests per user", ylabel="test AUC", title="the gap grows with interests")
    axes.legend(loc="lower left")


def ends(samples):
    """Distances from the means to both ends of the 95 % intervals."""
    return [
        [sample.mean - sample.interval[0] for sample in samples],
        [sample.interval[1] - sample.mean for sample in samples],
    ]
