"""What is checked of arXiv 2003.00982; README.md says where the thresholds come from."""

from scipy.stats import spearmanr

from expkit.studies import Sample, claim, figure, holds

GNNS = {"gcn": "GCN", "gin": "GIN", "gat": "GAT", "gated_gcn": "GatedGCN"}
NAMES = {"node_mlp": "MLP", **GNNS}
SCORES = {"pattern": "test/balanced_acc", "cluster": "test/balanced_acc", "molecules": "test/mae"}
LOWER_IS_BETTER = {"molecules"}


@claim(
    "Without positional encodings message passing is at chance on circular skip links: 10 classes, about 10 % right",
    paper="10 % for all message-passing networks without positional encodings",
)
def chance_without_positions(runs):
    accuracy = scores(runs.arm("csl"), "test/acc")
    return holds(*(accuracy[model].within(0.05, 0.15) for model in GNNS))


@claim(
    "With Laplacian positional encodings every message-passing network gets at least 90 % of them right",
    paper="99 to 100 % with Laplacian positional encodings",
)
def solved_with_positions(runs):
    accuracy = scores(runs.arm("csl_laplacian"), "test/acc")
    return holds(*(accuracy[model] >= 0.9 for model in GNNS))


@claim(
    "At equal budgets graph networks classify nodes of stochastic block models better than an MLP that has no edges",
    paper="MLP far below every graph network on PATTERN and CLUSTER",
)
def better_than_an_mlp(runs):
    checks = []
    for arm in ("pattern", "cluster"):
        accuracy = scores(runs.arm(arm), SCORES[arm])
        gains = ((accuracy[m] - accuracy["node_mlp"]).named(f"{arm}: {NAMES[m]} - MLP") for m in GNNS)
        checks += [gain > 0 for gain in gains]
    return holds(*checks)


@claim(
    "At equal budgets the graph networks separate reproducibly: their ranking in one seed is that of the other seeds",
    paper="rankings over 4 seeds at 100k and 500k parameters, with small standard deviations",
)
def same_ranking_in_every_seed(runs):
    sizes = (own["param_count/total"].each.within(18_000, 22_000) for own in runs.by("model").values())
    return holds(*(agreement(runs, arm) >= 0.5 for arm in SCORES), given=list(sizes))


def scores(runs, metric):
    """A metric at the end, by model."""
    return {model: own[metric].named(f"{NAMES[model]} {metric}") for model, own in runs.by("model").items()}


def agreement(runs, arm):
    """Of each seed: Spearman's correlation of the graph networks' scores with their means over the other seeds."""
    own = scores(runs.arm(arm), SCORES[arm])
    seeds = list(own["gcn"].of_seed)
    values = []
    for seed in seeds:
        here = [own[model].of_seed[seed] for model in GNNS]
        others = [sum(own[model].of_seed[other] for other in seeds if other != seed) for model in GNNS]
        values.append(float(spearmanr(here, others).statistic))
    name = f"{arm}: rank correlation of a seed with the others"
    return Sample(name, tuple(values), tuple(seeds), own["gcn"].expected)


@figure
def skip_links(runs, axes):
    bars(
        axes, {"none": scores(runs.arm("csl"), "test/acc"), "Laplacian": scores(runs.arm("csl_laplacian"), "test/acc")}
    )
    axes.axhline(0.1, color="0.3", linewidth=0.8, linestyle=":")
    axes.set(ylabel="test accuracy", ylim=(0, 1.3), title="CSL: told apart by positional encodings")
    axes.legend(loc="upper left", ncols=2, title="encoding (dotted: chance)", title_fontsize=8)


@figure
def block_models(runs, axes):
    bars(axes, {arm.upper(): scores(runs.arm(arm), SCORES[arm]) for arm in ("pattern", "cluster")})
    axes.set(ylabel="test accuracy, mean over classes", ylim=(0, 1), title="nodes of block models")
    axes.legend(loc="upper left", ncols=2)


@figure
def molecules(runs, axes):
    bars(axes, {"molecules": scores(runs.arm("molecules"), SCORES["molecules"])})
    axes.set(ylabel="test error (MAE / standard deviation)", ylim=(0, None), title="a property of random molecules")


def bars(axes, groups):
    """A bar for each model and group, with the 95 % interval over seeds."""
    width = 0.8 / len(groups)
    for place, (label, own) in enumerate(groups.items()):
        at = [number + (place - (len(groups) - 1) / 2) * width for number in range(len(NAMES))]
        means = [own[model].mean for model in NAMES]
        ends = [own[model].interval for model in NAMES]
        below = [mean - low for mean, (low, _) in zip(means, ends, strict=True)]
        above = [high - mean for mean, (_, high) in zip(means, ends, strict=True)]
        axes.bar(at, means, 0.9 * width, label=label, yerr=[below, above], error_kw={"linewidth": 1}, capsize=2)
    axes.set_xticks(range(len(NAMES)), NAMES.values())
    axes.grid(axis="x", visible=False)
