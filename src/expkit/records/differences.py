"""What differs between two runs: configuration, environment, code, results, and metrics step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from expkit.records.files import read_json

if TYPE_CHECKING:
    import numpy
    import polars

    from expkit.records.record import Record

Pair = dict[str, Any]
"""'first' and 'second': the values in two runs; a run that does not have the thing lacks its entry."""

ELSEWHERE = ("git", "command", "folder")
"""What a recorded environment has besides facts about the machine: code is compared by itself."""

UNREPEATABLE = ("time/",)
"""Metrics that differ between two runs of the same thing, by the beginning of their names."""


def config_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """The keys, dotted, in which two configurations differ; where records are kept does not count."""
    return _differences(flat(first, leave_out=("paths",)), flat(second, leave_out=("paths",)))


def environment_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """The facts about packages, Python and machine in which two recorded environments differ, dotted.

    Packages are named as distributions are, whatever their case.
    """
    return _differences(*(flat(_with_plain_names(one), leave_out=ELSEWHERE) for one in (first, second)))


def code_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """'commit', 'diff' (uncommitted changes) and 'untracked' (files), where two recorded environments differ in them.

    A run outside any repository has none of them.
    """
    of_git = (
        {key: (one.get("git") or {}).get(key) for key in ("commit", "diff", "untracked")} for one in (first, second)
    )
    return _differences(*({key: value for key, value in one.items() if value is not None} for one in of_git))


def result_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    """Every metric of two summaries side by side, equal ones too: 'first', 'second' and, of numbers, 'change'."""
    found = {}
    for name in dict.fromkeys([*first, *second]):
        pair: Pair = {key: one[name] for key, one in (("first", first), ("second", second)) if name in one}
        if all(isinstance(pair.get(key), int | float) for key in ("first", "second")):
            pair["change"] = pair["second"] - pair["first"]
        found[name] = pair
    return found


def recorded_environment(record: Record) -> dict[str, Any]:
    """What a run ran in; empty where that is not known."""
    return read_json(record.folder / "environment.json") or {}


@dataclass(frozen=True)
class MetricDifference:
    """Where one metric differs between two runs.

    Args:
        first_step: the first logged step at which it does.
        largest: the largest absolute difference; infinite where one of the values is not finite, or is missing.
        relative: the same over the larger of the two absolute values, at that step.
        scaled: the largest |a - b| / max(1, |a|, |b|) of two values a, b at one step.
        at_step: where the largest absolute difference is.
    """

    first_step: int
    largest: float
    relative: float
    scaled: float
    at_step: int


@dataclass(frozen=True)
class Comparison:
    """Two runs' metrics, step by step."""

    steps: int
    metrics: int
    differing: dict[str, MetricDifference] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        """Whether all metrics at all steps have the same bits; one NaN is as good as another."""
        return not self.differing

    @property
    def first_step(self) -> int | None:
        """The first step at which any metric differs."""
        return min((one.first_step for one in self.differing.values()), default=None)

    def within(self, tolerance: float) -> bool:
        """Whether all values a, b have |a - b| <= tolerance * max(1, |a|, |b|)."""
        return all(one.scaled <= tolerance for one in self.differing.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values; differences that are infinite are null."""
        return {
            "steps": self.steps,
            "metrics": self.metrics,
            "first_step": self.first_step,
            "differing": {
                name: {key: value if isfinite(value) else None for key, value in asdict(one).items()}
                for name, one in self.differing.items()
            },
        }


def compare_metrics(first: polars.DataFrame, second: polars.DataFrame) -> Comparison:
    """Compares two runs' metrics bit by bit, except those that measure time.

    Args:
        first, second: frames as `Record.metrics` gives them.
    """
    names = [
        name
        for name in dict.fromkeys([*first.columns, *second.columns])
        if name != "step" and not name.startswith(UNREPEATABLE)
    ]
    steps = sorted({*first["step"].to_list(), *second["step"].to_list()})
    differing = {}
    for name in names:
        if (found := _metric_difference(_column(first, name, steps), _column(second, name, steps), steps)) is not None:
            differing[name] = found
    return Comparison(len(steps), len(names), differing)


def flat(config: Mapping[str, Any], leave_out: tuple[str, ...] = (), prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys; what is empty stands for itself, and lists are values."""
    return dict(_flat(config, leave_out, prefix))


def _flat(config: Mapping[str, Any], leave_out: tuple[str, ...], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if key in leave_out:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, (), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _recorded_code(environment: Mapping[str, Any]) -> dict[str, Any]:
    git = environment.get("git") or {}
    return {key: git[key] for key in ("commit", "diff", "untracked") if git.get(key) is not None}


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    pairs: dict[str, Pair] = {}
    for key in dict.fromkeys([*first, *second]):
        if key in first and key in second and _same(first[key], second[key]):
            continue
        pairs[key] = {name: one[key] for name, one in (("first", first), ("second", second)) if key in one}
    return pairs


def _same(first: Any, second: Any) -> bool:
    # True is 1 to Python, and so is 1.0, but not to a configuration.
    return repr(first) == repr(second)


def _with_plain_names(environment: Mapping[str, Any]) -> dict[str, Any]:
    packages = environment.get("packages") or {}
    plain = {str(name).lower().replace("_", "-"): version for name, version in packages.items()}
    return {**environment, "packages": dict(sorted(plain.items()))}


def _column(metrics: polars.DataFrame, name: str, steps: list[int]) -> numpy.ndarray:
    """Values at the steps, and whether there are any, shape (2, len(steps))."""
    import numpy

    logged = dict(zip(metrics["step"], metrics[name], strict=True)) if name in metrics.columns else {}
    values = [logged.get(step) for step in steps]
    there = [value is not None for value in values]
    return numpy.array([[0.0 if value is None else value for value in values], there], dtype=numpy.float64)


def _metric_difference(first: numpy.ndarray, second: numpy.ndarray, steps: list[int]) -> MetricDifference | None:
    import numpy

    (a, a_there), (b, b_there) = first, second
    same_bits = (a.view(numpy.uint64) == b.view(numpy.uint64)) | (numpy.isnan(a) & numpy.isnan(b))
    differ = ~same_bits | (a_there != b_there)
    if not differ.any():
        return None
    with numpy.errstate(invalid="ignore", over="ignore"):
        size = numpy.abs(a - b)
        larger = numpy.maximum(numpy.abs(a), numpy.abs(b))
    not_comparable = (a_there != b_there) | ~numpy.isfinite(size)
    size = numpy.where(differ, numpy.where(not_comparable, numpy.inf, size), 0.0)
    place = int(size.argmax()) if size.any() else int(differ.argmax())  # 0 and -0 differ by nothing
    largest = float(size[place])
    return MetricDifference(
        first_step=steps[int(differ.argmax())],
        largest=largest,
        relative=largest if largest in (0.0, numpy.inf) else largest / float(larger[place]),
        scaled=float(numpy.where(size == numpy.inf, numpy.inf, size / numpy.maximum(1.0, larger)).max()),
        at_step=steps[place],
    )
