"""What a comparison says, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping

from expkit.comparing.comparison import GroupResult, MetricResult
from expkit.comparing.labels import decimals_for, p_value, significant


def conclusion(result: MetricResult, labels: Mapping[int, str], pairs: str = "seeds") -> str | None:
    """Which group is best by a metric, by how much, and whether that is significant; None of one group alone.

    Args:
        result: the groups.
        labels: of groups, by number.
        pairs: what runs of two groups are paired by, in a word.
    """
    groups = [group for group in result.groups if group.measures[result.measure].n]
    if len(groups) < 2:
        return None
    groups.sort(key=lambda group: not group.is_best)
    if len(groups) == 2:
        return _of_two(result, groups[0], groups[1], labels, pairs)
    return _of_many(result, groups, labels)


def _of_two(result: MetricResult, best: GroupResult, other: GroupResult, labels: Mapping[int, str], pairs: str) -> str:
    metric, found = result.metric, other.against_best
    one, two = labels[best.group], labels[other.group]
    if found is None or math.isnan(found.interval.low):
        gap = best.measures[result.measure].mean - other.measures[result.measure].mean
        return (
            f"{one} is {metric.comparative} than {two} in {metric.name} by {significant(abs(gap))}, "
            "but one run tells nothing of chance: run several seeds."
        )
    interval = found.interval
    decimals = decimals_for(interval.half, interval.mean)

    def number(value: float) -> str:
        return f"{value:+.{decimals}f}" if decimals is not None else f"{value:+.2e}"

    how = f"paired over {interval.n} {pairs}" if found.paired else "unpaired: Welch"
    numbers = f"{number(interval.mean)}, 95 % interval {number(interval.low)} to {number(interval.high)}; {how}"
    if found.is_significant:
        return (
            f"{one} is significantly {metric.comparative} than {two} in {metric.name} ({numbers}; {p_value(found.p)})."
        )
    return f"No significant difference in {metric.name} between {one} and {two} ({numbers}; {p_value(found.p)})."


def _of_many(result: MetricResult, groups: list[GroupResult], labels: Mapping[int, str]) -> str:
    best = groups[0]
    verb = "highest" if result.metric.best is None else "best"
    start = f"{labels[best.group]} is {verb} in {result.metric.name}"
    if not result.is_tested:
        return f"{start}; {len(groups)} groups are too many to be tested against it."
    known = [group for group in groups[1:] if not math.isnan(group.p)]
    if not known:
        return f"{start}, but one run of each tells nothing of chance: run several seeds."
    equal = [group for group in known if group.is_not_worse]
    if not equal:
        return f"{start}, significantly {result.metric.comparative} than all {len(known)} others (95 %, Holm)."
    if len(equal) == len(known):
        return f"{start}, but none of the others is significantly worse (95 %, Holm)."
    count = "1 other is" if len(equal) == 1 else f"{len(equal)} others are"
    worse = len(known) - len(equal)
    return f"{start}; {count} not significantly worse, {worse} {'is' if worse == 1 else 'are'} (95 %, Holm)."
