"""What claims are made of: each function gives a verdict, or a number with an interval that can be compared.

All take one number from every seed and make the interval over seeds: what seeds do within themselves, such as fitting
a line, enters as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

from expkit.errors import UserError
from expkit.studies.curve import Curve
from expkit.studies.estimate import Check, Estimate
from expkit.studies.result import Result
from expkit.studies.sample import CONFIDENCE, Sample

RESAMPLES = 9999


def holds(*checks: Check, given: Sequence[Check] = ()) -> Result:
    """The verdict on comparisons that a claim consists of.

    reproduced: all are held. not reproduced: none is. partly: some are.

    Args:
        checks: what the claim says.
        given: what has to be so for the claim to say anything ("... while the noisy labels stay fitted"): where one of
            these is not held, the claim is not reproduced, whatever the others say.
    """
    if not checks:
        raise UserError("A claim without a comparison cannot hold: holds(...) needs at least one.")
    held = [check.state == "held" for check in checks]
    if any(check.state != "held" for check in given) or not any(held):
        return Result("not reproduced", (*checks, *given))
    return Result("reproduced" if all(held) else "partly", (*checks, *given))


def not_testable(reason: str) -> Result:
    """The verdict on a claim that cannot be tested here."""
    return Result("not testable here", reason=reason)


def increases(over: Curve | Sequence[Sample]) -> Check:
    """Held if the rise over a curve, or over samples in a row, is above zero (see `rise`)."""
    return rise(over) > 0


def decreases(over: Curve | Sequence[Sample]) -> Check:
    """Held if the rise over a curve, or over samples in a row, is below zero (see `rise`)."""
    return rise(over) < 0


def rise(over: Curve | Sequence[Sample]) -> Sample:
    """How much a straight line rises that is fitted to values in a row, in the values' unit.

    For each run of a curve, or each seed that all samples have, a line is fitted by least squares to the values against
    their places 0 ... k - 1 (the points of a curve count alike, whatever steps they are at), and its slope times k - 1
    is the value of the run. The mean over seeds has a t interval.
    """
    if isinstance(over, Curve):
        rises = tuple(_rise(values.tolist()) for _, values in over.lines)
        return Sample(f"rise of {over.name}", rises, over.seeds, over.expected)
    samples = list(over)
    if len(samples) < 2:
        raise UserError(f"A trend needs at least two samples; there are {len(samples)}.")
    shared = [seed for seed in samples[0].of_seed if all(seed in sample.of_seed for sample in samples)]
    rises = tuple(_rise([sample.of_seed[seed] for sample in samples]) for seed in shared)
    name = f"rise from {samples[0].name} to {samples[-1].name}"
    return Sample(name, rises, tuple(shared), max(sample.expected for sample in samples))


def slope(x: Sample, y: Sample, log: bool = False) -> Sample | Estimate:
    """The least-squares slope of y over x.

    Each seed has a slope of its own, over its runs; the mean over seeds has a t interval. With a single seed the
    interval is that of the regression: slope ± t s, with as many degrees of freedom as there are points less two.

    Args:
        x, y: of the same runs, as in `slope(runs["model.width"], runs["test/loss"])`.
        log: of ln y over ln x: the exponent of a power law.
    """
    if x.seeds != y.seeds:
        raise UserError(f"{x.name} and {y.name} are not of the same runs, so there is no slope of one over the other.")
    name = f"slope of log {y.name} over log {x.name}" if log else f"slope of {y.name} over {x.name}"
    points: dict[Hashable, list[tuple[float, float]]] = {}
    for seed, a, b in zip(x.seeds, x.values, y.values, strict=True):
        points.setdefault(seed, []).append((_log(a), _log(b)) if log else (a, b))
    if len(points) == 1:
        (own,) = points.values()
        return Estimate(name, *_regression(own), seeds=1, expected=x.expected, how="95 % interval of the regression")
    slopes = tuple(_regression(own)[0] for own in points.values())
    return Sample(name, slopes, tuple(points), max(x.expected, y.expected))


def ratio(a: Sample, b: Sample) -> Estimate:
    """The ratio of two means, with its bias-corrected and accelerated bootstrap interval (9,999 resamples).

    Seeds that both have are drawn in pairs; where they share none, each is drawn by itself.
    """
    import numpy as np
    from scipy import stats

    shared = [seed for seed in a.of_seed if seed in b.of_seed]
    first = np.array([a.of_seed[seed] for seed in shared] if shared else list(a.of_seed.values()), dtype=float)
    second = np.array([b.of_seed[seed] for seed in shared] if shared else list(b.of_seed.values()), dtype=float)
    name = f"{a.name} / {b.name}"
    n, expected = min(len(first), len(second)), max(a.expected, b.expected)
    how = "95 % BCa bootstrap interval"
    if not n or not (np.isfinite(first).all() and np.isfinite(second).all()) or second.mean() == 0:
        return Estimate(name, math.nan, math.nan, math.nan, seeds=n, expected=expected, how=how)
    value = float(first.mean() / second.mean())
    if n == 1:
        return Estimate(name, value, -math.inf, math.inf, seeds=n, expected=expected, how=how)

    def statistic(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return x.mean(axis) / y.mean(axis)

    if (first == value * second).all():  # no scatter at all, which the bootstrap has no answer to
        return Estimate(name, value, value, value, seeds=n, expected=expected, how=how)
    interval = stats.bootstrap(
        (first, second),
        statistic,
        n_resamples=RESAMPLES,
        paired=bool(shared),
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(name, value, float(interval.low), float(interval.high), seeds=n, expected=expected, how=how)


def crosses(curve: Curve, level: float) -> Sample:
    """The step at which each run first crosses a level, from either side; infinite where it never does.

    Between two points the curve is a straight line. It is compared by the median over seeds, since some may be
    infinite.
    """
    steps = tuple(_crossing(steps.tolist(), values.tolist(), level) for steps, values in curve.lines)
    return Sample(f"step at which {curve.name} crosses {level:g}", steps, curve.seeds, curve.expected, "median")


def first_step(curve: Curve, condition: Callable[[float], bool], name: str | None = None) -> Sample:
    """The first measured step of each run at which a condition is met; infinite where it never is.

    Compared by the median over seeds, since some may be infinite.

    Args:
        curve: whose values are looked at.
        condition: of a value, such as `lambda acc: acc >= 0.95`.
        name: of what is met: "test/acc ≥ 0.95".
    """
    met = (
        next((float(step) for step, value in zip(steps, values, strict=True) if condition(float(value))), math.inf)
        for steps, values in curve.lines
    )
    what = name or f"{curve.name} meets the condition"
    return Sample(f"first step at which {what}", tuple(met), curve.seeds, curve.expected, "median")


def _rise(values: Sequence[float]) -> float:
    """The slope of a fitted line times the number of its intervals."""
    points = [(float(place), value) for place, value in enumerate(values)]
    return _regression(points)[0] * (len(values) - 1)


def _regression(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Slope of the least-squares line and its 95 % t interval; NaN where no line can be fitted."""
    import numpy as np
    from scipy import stats

    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or len(np.unique(x)) < 2:
        return math.nan, math.nan, math.nan
    fit = stats.linregress(x, y)
    if len(x) == 2:
        return float(fit.slope), -math.inf, math.inf
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2) * fit.stderr)
    return float(fit.slope), float(fit.slope) - half, float(fit.slope) + half


def _crossing(steps: Sequence[float], values: Sequence[float], level: float) -> float:
    for i, value in enumerate(values):
        if value == level:
            return float(steps[i])
        if i and (values[i - 1] - level) * (value - level) < 0:
            share = (level - values[i - 1]) / (value - values[i - 1])
            return float(steps[i - 1] + share * (steps[i] - steps[i - 1]))
    return math.inf


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan
