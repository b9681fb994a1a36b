"""What an Optuna search varies, read from overrides in Hydra's syntax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep, Transformer

from expkit.errors import ConfigError
from expkit.sweeps.spaces import spelled_out

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Parameter:
    """One key that is searched over.

    Args:
        key: as overrides write it, with a `+` where it had one.
        distribution: the values that it may have.
        texts: how overrides write the choices of a categorical distribution, in their order; otherwise empty.
    """

    key: str
    distribution: BaseDistribution
    texts: tuple[str, ...] = ()

    def override(self, value: Any) -> str:
        """The override that gives the key one of its values."""
        if not self.texts:
            return f"{self.key}={value!r}"
        choices = list(self.distribution.choices)  # type: ignore[attr-defined]
        return f"{self.key}={self.texts[choices.index(value)]}"

    def values(self) -> list[Any]:
        """All values, for a grid.

        Raises:
            ConfigError: there are infinitely many.
        """
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        own = self.distribution
        if isinstance(own, CategoricalDistribution):
            return list(own.choices)
        if isinstance(own, IntDistribution):
            return list(range(own.low, own.high + 1, own.step))
        assert isinstance(own, FloatDistribution)
        if own.step is None:
            raise ConfigError(
                f"{self.key}: an interval has no end of values, and a grid visits every one.",
                f"List them ({self.key}=0.1,0.2), write range(start,stop,step), or choose another sampler.",
            )
        return _floats(own.low, own.step, round((own.high - own.low) / own.step) + 1)


@dataclass(frozen=True)
class SearchSpace:
    """The parameters by key, and the overrides that all trials share, as they were given."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        return {key: parameter.distribution for key, parameter in self.parameters.items()}

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """All overrides of the trial with these values."""
        return [*self.fixed, *(parameter.override(values[key]) for key, parameter in self.parameters.items())]


def search_space(params: Mapping[str, Any], arguments: Sequence[str], loader: ConfigLoader | None) -> SearchSpace:
    """Reads what is searched over and what is fixed.

    `a,b`, `choice(a,b)` and `glob(*)` are categorical; `range(start,stop,step)` is whole or real numbers with a step,
    without `stop`, as everywhere in Hydra; `interval(a,b)` is real numbers, `int(interval(a,b))` whole ones, both with
    their ends; `tag(log,...)` of an interval is uniform in the logarithm.

    Args:
        params: overrides by key, the values in the same syntax; those in `arguments` of the same key win.
        arguments: overrides.
        loader: knows the options of groups, for `glob`.

    Raises:
        ConfigError: a space that cannot be searched.
        hydra.errors.OverrideParseException: what is not an override.
    """
    written = spelled_out(
        f"{key}={value if isinstance(value, str) else Transformer.str(value)}" for key, value in params.items()
    )
    latest: dict[str, Override] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides([*written, *arguments]):
        key = override.get_key_element().lstrip("+~")
        latest.pop(key, None)  # the order of overrides is that of the last of each key
        latest[key] = override
    swept = [override for override in latest.values() if override.is_sweep_override()]
    return SearchSpace(
        parameters={override.get_key_element(): _parameter(override) for override in swept},
        fixed=[override.input_line or "" for override in latest.values() if not override.is_sweep_override()],
    )


def _parameter(override: Override) -> Parameter:
    value, key = override.value(), override.get_key_element()
    try:
        if isinstance(value, IntervalSweep):
            return Parameter(key, _interval(value))
        if isinstance(value, RangeSweep):
            return Parameter(key, _range(key, value))
        return _categorical(key, override.sweep_iterator())
    except ValueError as error:
        raise ConfigError(f"{override.input_line}: this cannot be searched: {error}.") from error


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    log = "log" in sweep.tags
    assert sweep.start is not None
    assert sweep.end is not None
    if isinstance(sweep.start, int) and isinstance(sweep.end, int):
        return IntDistribution(sweep.start, sweep.end, log=log)
    return FloatDistribution(sweep.start, sweep.end, log=log)


def _range(key: str, sweep: RangeSweep) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    values = sorted(sweep.range())
    if not values:
        raise ValueError("the range is empty")
    log, step = "log" in sweep.tags, abs(sweep.step)
    if all(isinstance(value, int) for value in values):
        if log and step != 1:
            raise ValueError(f"a logarithmic range has no step; write {key}=tag(log,int(interval(a,b)))")
        return IntDistribution(int(values[0]), int(values[-1]), log=log, step=int(step))
    if log:
        raise ValueError(f"a logarithmic range has no step; write {key}=tag(log,interval(a,b))")
    low = min(float(values[0]), float(values[-1]))
    return FloatDistribution(low, _floats(low, float(step), len(values))[-1], step=float(step))


def _floats(low: float, step: float, count: int) -> list[float]:
    """As decimal numbers, for 0.1 + 2 * 0.1 is 0.30000000000000004."""
    return [float(Decimal(str(low)) + number * Decimal(str(step))) for number in range(count)]


def _categorical(key: str, elements: Iterable[Any]) -> Parameter:
    from optuna.distributions import CategoricalDistribution

    by_text = {Transformer.str(element): _plain(element) for element in elements}
    if not by_text:
        raise ValueError("nothing fits")
    texts, values = tuple(by_text), list(by_text.values())
    if len(set(values)) < len(values):  # 1, 1.0 and true are equal in Python
        values = list(texts)
    return Parameter(key, CategoricalDistribution(values), texts)


def _plain(element: Any) -> str | int | float | bool | None:
    """What Optuna keeps for a choice: numbers and words as they are, everything else as its text."""
    if isinstance(element, QuotedString):
        return element.text
    return element if element is None or isinstance(element, str | int | float) else Transformer.str(element)
