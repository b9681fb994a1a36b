"""Studies: what an experiment's runs say about the claims of its paper.

A study is a file of plain functions, `experiments/<slug>/study.py`:

    from expkit.studies import claim, figure, holds

    @claim("After one step the network is at chance on clean test data", paper="test accuracy near random")
    def at_chance_first(runs):
        return holds(runs.at(step=1)["test/acc"] <= 0.60)
"""

from expkit.studies.checks import crosses, decreases, first_step, holds, increases, not_testable, ratio, slope
from expkit.studies.claims import claim, figure
from expkit.studies.curve import Curve
from expkit.studies.drawing import band
from expkit.studies.estimate import Check, Estimate
from expkit.studies.result import Result
from expkit.studies.runs import Runs
from expkit.studies.sample import Sample

__all__ = [
    "Check",
    "Curve",
    "Estimate",
    "Result",
    "Runs",
    "Sample",
    "band",
    "claim",
    "crosses",
    "decreases",
    "figure",
    "first_step",
    "holds",
    "increases",
    "not_testable",
    "ratio",
    "slope",
]
