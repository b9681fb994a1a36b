"""Which swept keys a metric depends on, by Optuna's measures."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars

from expkit.dashboard.points import is_logarithmic, spans_decades
from expkit.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ROWS = 1500
"""More than that change the numbers little, and take long."""
METHODS = {
    "fANOVA": "The share of the metric's variance that a key explains alone, in a random forest fitted to the runs "
    "(Hutter, Hoos and Leyton-Brown 2014).",
    "PED-ANOVA": "How much the best tenth of the runs differ from all runs in a key "
    "(arXiv 2304.10255); quick, and blind to what separates bad runs.",
}


def importance(frame: polars.DataFrame, keys: Sequence[str], metric: str, method: str, low: bool) -> dict[str, float]:
    """The importance of each key, largest first.

    Args:
        frame: a row a run; those without a finite value of the metric are left out. Of a metric that spans more than
            three orders of magnitude, the rank is explained and not the value.
        keys: columns, of numbers or of anything else, which then are categories.
        method: one of `METHODS`.
        low: whether small values of the metric are the good ones.

    Raises:
        UserError: Optuna is not installed, or there are too few runs.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("Importance is computed by Optuna, which is not installed.", "pip install 'expkit[optuna]'")
    finite = frame.filter(polars.col(metric).is_finite())
    keys = [key for key in keys if finite[key].n_unique() > 1]
    if len(finite) < 8 or not keys or finite[metric].n_unique() < 2:
        raise UserError("There are too few runs that differ to tell what matters: eight at least.")
    sampled = finite.sample(min(len(finite), ROWS), seed=0)
    values = sampled[metric].cast(polars.Float64)
    if spans_decades(values.to_numpy()):
        values = values.rank()  # else a few runs that blew up would be all that there is to explain
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spaces = {key: _distribution(finite[key]) for key in keys}
    columns = {key: [_value(value, spaces[key]) for value in sampled[key]] for key in keys}
    study = optuna.create_study(direction="minimize" if low else "maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={key: columns[key][row] for key in keys}, distributions=spaces, value=float(value)
            )
            for row, value in enumerate(values)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator: Any = (
            optuna.importance.FanovaImportanceEvaluator(n_trees=32, max_depth=32, seed=0)
            if method == "fANOVA"
            else optuna.importance.PedAnovaImportanceEvaluator()
        )
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _distribution(column: polars.Series) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if not column.dtype.is_numeric() or column.null_count():
        return CategoricalDistribution(sorted({_text(value) for value in column}))
    low, high = float(column.min()), float(column.max())  # type: ignore[arg-type]
    return FloatDistribution(low, high, log=is_logarithmic(column.unique().to_list()))


def _value(value: Any, space: BaseDistribution) -> Any:
    return _text(value) if hasattr(space, "choices") else float(value)


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
