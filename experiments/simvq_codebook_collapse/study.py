"""What is checked of arXiv 2411.02038; README.md says where the thresholds come from."""

import numpy as np

from expkit.studies import claim, figure, holds

SIZES = (64, 256, 1024, 4096)
KINDS = {"plain": "plain", "simvq": "SimVQ", "ema": "running means", "low_dim": "low-dimensional"}
USE, ERROR = "codebook/utilization", "test/mse"


def of(runs, kind, size):
    return runs.arm(kind).where({"model.n_codes": size})


@claim(
    "A plain codebook of 1,024 codes collapses: fewer than half of its codes are used",
    paper="vanilla VQ uses a small share of a large codebook",
)
def plain_collapses(runs):
    return holds(of(runs, "plain", 1024)[USE] < 0.5)


@claim(
    "With one linear layer over a fixed basis more than 90 % of 1,024 codes are used",
    paper="codebook utilization of 100 %",
)
def linear_layer_uses_all(runs):
    return holds(of(runs, "simvq", 1024)[USE] > 0.9)


@claim(
    "It reconstructs test images with less error than a plain codebook of 1,024 codes",
    paper="lower reconstruction error on images and audio",
)
def reconstructs_better(runs):
    return holds(of(runs, "simvq", 1024)[ERROR] < of(runs, "plain", 1024)[ERROR])


@claim(
    "The share of a plain codebook that is used falls with its size",
    paper="collapse is worse the larger the codebook",
)
def worse_when_larger(runs):
    used = [of(runs, "plain", size)[USE] for size in SIZES]
    return holds(used[-1] < used[0], used[-1] < used[-2])


@claim(
    "The gap between the errors of the two widens with the size of the codebook",
    paper="SimVQ gains from larger codebooks, vanilla VQ does not",
)
def gap_widens(runs):
    smallest, largest = (of(runs, "plain", size)[ERROR] - of(runs, "simvq", size)[ERROR] for size in (64, 4096))
    return holds(largest.named("gap at 4,096 codes") > smallest.named("gap at 64 codes"))


def line(runs, axes, metric):
    for (kind, label), marker in zip(KINDS.items(), "osD^", strict=True):
        estimates = {size: own[metric].estimate for size, own in runs.arm(kind).by("model.n_codes").items()}
        means = [estimate.value for estimate in estimates.values()]
        ends = np.array([estimate.interval for estimate in estimates.values()]).T
        axes.errorbar(list(estimates), means, np.abs(ends - means), capsize=2, marker=marker, label=label)
    axes.set_xscale("log", base=4)
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.set_xlabel("codes")


@figure
def utilization(runs, axes):
    line(runs, axes, USE)
    axes.set(ylabel="share of codes that are used", ylim=(0, 1.05), title="use of the codebook")
    axes.legend(loc="lower left", title="mean and 95 % interval", title_fontsize=8)


@figure
def error(runs, axes):
    line(runs, axes, ERROR)
    axes.set(ylabel="squared error per pixel (test)", ylim=(0, None), title="reconstruction")


@figure
def pictures(runs, axes):
    rows = [of(runs, "simvq", 1024).arrays("codebook/inputs")[0]]
    rows += [of(runs, kind, 1024).arrays("codebook/reconstructions")[0] for kind in ("plain", "simvq")]
    image = np.vstack([np.hstack([np.pad(one[0], 1, constant_values=1) for one in row[:8]]) for row in rows])
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([4.5, 14.5, 24.5], ["digits", "plain", "SimVQ"])
    axes.set_title("test digits, 1,024 codes")
