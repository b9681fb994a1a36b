"""Which way a metric is better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from expkit.errors import ConfigError, did_you_mean

SMALLER = {
    "loss",
    "error",
    "err",
    "mse",
    "mae",
    "rmse",
    "nll",
    "perplexity",
    "ppl",
    "bits",
    "gap",
    "distance",
    "regret",
}
LARGER = {
    "acc",
    "accuracy",
    "f1",
    "auc",
    "auroc",
    "precision",
    "recall",
    "r2",
    "score",
    "reward",
    "return",
    "iou",
    "psnr",
}
SPLITS = ("test", "val", "train")


@dataclass(frozen=True)
class Metric:
    """A metric's name, and whether 'min' or 'max' is best; None where nothing says."""

    name: str
    best: str | None

    @property
    def sign(self) -> int:
        return -1 if self.best == "min" else 1

    @property
    def comparative(self) -> str:
        return "higher" if self.best is None else "better"


def metric(text: str) -> Metric:
    """A metric as the user names it: `test/acc`, or `probe/quantity:min` where its name does not say.

    Among the words of a name (divided by / _ . or -) loss, error, mse, mae, rmse, nll, perplexity, bits, gap, distance
    and regret mean that smaller is better; acc, accuracy, f1, auc, precision, recall, r2, score, reward, return, iou
    and psnr that larger is. Of all others nothing is said to be better, and the largest value is shown as 'best'.

    Raises:
        ConfigError: what follows the colon is neither min nor max.
    """
    name, colon, chosen = text.partition(":")
    if colon:
        if chosen not in ("min", "max"):
            raise ConfigError(f"'{text}': a metric is followed by :min or :max.", "As in --metric test/acc:min")
        return Metric(name, chosen)
    return named(text)


def named(name: str) -> Metric:
    """A metric as runs name it, which may be anything; its words say what is better."""
    words = set(re.split(r"[/_.\-]", name.lower()))
    return Metric(name, "min" if words & SMALLER else "max" if words & LARGER else None)


def chosen_metrics(asked: Sequence[str], known: Iterable[str]) -> list[Metric]:
    """Those asked for; by default accuracy and loss, or what else there is, of the first of test, val and train.

    Raises:
        ConfigError: there is no such metric.
    """
    names = list(known)
    metrics = [metric(text.strip()) for one in asked for text in one.split(",")]
    for one in metrics:
        if one.name not in names:
            raise ConfigError(f"No run has a metric '{one.name}'.", did_you_mean(one.name, names))
    if metrics:
        return metrics
    for split in SPLITS:
        own = [name for name in names if name.startswith(f"{split}/") and "_" not in name]
        if own:
            first = [name for word in ("acc", "loss") for name in own if name == f"{split}/{word}"]
            return [named(name) for name in dict.fromkeys([*first, *own])][:2]
    return [named(name) for name in names[:2]]
