"""What is checked of arXiv 1706.04454; README.md says where the thresholds come from."""

import numpy as np
from experiments.hessian_bulk_outliers.outliers import outliers, ratios

from expkit.studies import claim, figure, holds
from expkit.studies.drawing import COLOURS

EIGENVALUES = "hessian_spectrum/eigenvalues"
CLUSTERS = (2, 5, 10)
SHOWN = 25


def clusters(runs, arm, k):
    return runs.arm(arm).where({"data.classes": k})


def count(runs, arm, k):
    """Outliers of each run."""
    name = f"outliers, k = {k}"
    return clusters(runs, arm, k).each(name, lambda run: outliers(run.arrays[EIGENVALUES])).named(f"{name}, {arm}")


def near_zero(runs, arm, k):
    return clusters(runs, arm, k)["hessian_spectrum/near_zero"].named(f"share near zero, k = {k}, {arm}")


@claim(
    "After training nearly all eigenvalues of the Hessian are near zero: at least 95 % are below a hundredth of the "
    "largest",
    paper="the spectrum is a bulk centered near zero, with outliers away from it",
)
def bulk_near_zero(runs):
    return holds(*(near_zero(runs, "middle", k) >= 0.95 for k in CLUSTERS))


@claim(
    "As many eigenvalues stand out as the data have clusters, within one",
    paper="the number of outliers is the number of clusters",
)
def outliers_count_clusters(runs):
    return holds(*(count(runs, "middle", k).within(k - 1, k + 1) for k in CLUSTERS))


@claim(
    "The same where clusters overlap: nearly all eigenvalues near zero, as many outliers as clusters within one",
    paper="less separable data only affect the outliers",
)
def with_overlap(runs):
    return holds(
        *(near_zero(runs, "overlapping", k) >= 0.95 for k in CLUSTERS),
        *(count(runs, "overlapping", k).within(k - 1, k + 1) for k in CLUSTERS),
    )


@claim(
    "The number of outliers does not change with the width, by more than one",
    paper="more parameters merely scale the bulk",
)
def width_leaves_outliers(runs):
    wide = (count(runs, "wide", 5) - count(runs, "narrow", 5)).named("change of outliers, k = 5, from width 16 to 48")
    others = [
        (count(runs, "middle", k) - count(runs, "narrow", k)).named(f"change of outliers, k = {k}, from width 16 to 32")
        for k in (2, 10)
    ]
    return holds(*(change.within(-1, 1) for change in (wide, *others)))


@claim(
    "Full batches lead to as many outliers as batches of 8, within one",
    paper="small and large batches lead to spectra of the same kind",
)
def batch_size_leaves_outliers(runs):
    change = count(runs, "full_batch", 5) - count(runs, "middle", 5)
    return holds(change.named("change of outliers, k = 5, from batches of 8 to full").within(-1, 1))


def height(runs, arm):
    """Of the barrier, over the loss at initialization."""
    own = runs.arm(arm)

    def relative(run):
        _, losses = run.line("train/loss")
        return run.line("barrier/before")[1][-1] / losses[0]

    return own.each("barrier / initial loss", relative).named(f"barrier / initial loss, {arm}")


@claim(
    "A large-batch solution that is continued at a small batch size stays in its basin: on the straight line between "
    "both ends the barrier is below 5 % of the initial loss",
    paper="small- and large-batch solutions are connected through their flat region, so belong to one basin",
)
def one_basin(runs):
    return holds(height(runs, "continued") < 0.05)


@figure
def spectra(runs, axes):
    place = np.arange(1, SHOWN + 1)
    for k, colour, marker in zip(CLUSTERS, COLOURS, "os^", strict=False):
        for arm, line in (("middle", "-"), ("overlapping", "--")):
            values = clusters(runs, arm, k).arrays(EIGENVALUES)[:, :SHOWN]
            shown = np.exp(np.log(values / values[:, :1]).mean(0))
            label = f"{k} clusters" if arm == "middle" else None
            axes.plot(place, shown, line, color=colour, label=label, marker=marker, markersize=3, linewidth=1.2)
        axes.axvline(k, color=colour, linewidth=0.8, linestyle=":")
    axes.plot([], [], "--", color="0.4", label="the same, overlapping")
    axes.plot([], [], ":", color="0.4", label="number of clusters")
    axes.set(yscale="log", xlabel="place of the eigenvalue", ylabel="eigenvalue / largest, geometric mean")
    axes.set_title("the largest of 1,794 to 2,058 eigenvalues")
    axes.legend()


@figure
def gaps(runs, axes):
    for k, colour, marker in zip(CLUSTERS, COLOURS, "os^", strict=False):
        for arm, line in (("middle", "-"), ("overlapping", "--")):
            rows = [ratios(own, 15) for own in clusters(runs, arm, k).arrays(EIGENVALUES)]
            label = f"{k} clusters" if arm == "middle" else None
            mean = np.exp(np.log(np.stack(rows)).mean(0))
            axes.plot(
                np.arange(1, 16), mean, line, color=colour, label=label, marker=marker, markersize=3, linewidth=1.2
            )
        axes.axvline(k - 1, color=colour, linewidth=0.8, linestyle=":")
    axes.plot([], [], "--", color="0.4", label="the same, overlapping")
    axes.plot([], [], ":", color="0.4", label="clusters less one")
    axes.set(xlabel="place j", ylabel="eigenvalue j / eigenvalue j + 1", title="where the gaps are", ylim=(1, 2.3))
    axes.legend(loc="upper center", ncols=2)


@figure
def counts(runs, axes):
    arms = (("narrow", "16 wide"), ("middle", "32 wide"), ("wide", "48 wide"), ("full_batch", "32 wide, full batch"))
    arms = (*arms, ("overlapping", "32 wide, overlapping"))
    axes.fill_between([1.5, 10.5], [0.5, 9.5], [2.5, 11.5], color="0.9", label="number of clusters, within one")
    for place, (arm, label) in enumerate(arms):
        present = sorted(set(runs.arm(arm).frame["data.classes"].to_list()))
        samples = [count(runs, arm, k) for k in present]
        middle = [sample.mean for sample in samples]
        low, high = zip(*(sample.interval for sample in samples), strict=True)
        error = [np.subtract(middle, low), np.subtract(high, middle)]
        x = np.array(present) + 0.14 * (place - 2)
        axes.errorbar(x, middle, error, fmt="osD^v"[place], color=COLOURS[place], markersize=4, capsize=2, label=label)
    axes.set(xlabel="clusters in the data", ylabel="outliers, mean and 95 % interval", xticks=CLUSTERS)
    axes.set_title("eigenvalues above the widest gap")
    axes.legend(loc="upper left")


@figure
def line(runs, axes):
    losses = runs.arm("continued").arrays("barrier/before_losses")
    shares = np.linspace(0, 1, losses.shape[1])
    (drawn,) = axes.plot(shares, losses.mean(0), label="mean and range over seeds")
    axes.fill_between(shares, losses.min(0), losses.max(0), color=drawn.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="share of the way, full batches to batches of 8", ylabel="training loss")
    axes.set(ylim=(0, None), title="the way between both ends")
    axes.legend()
