"""Capacity and kinds of fixed points, where they can be written down."""

import math

import pytest
import torch

from expkit.analysis.fixed_point_type import effective_patterns, fixed_point_type, shares
from expkit.analysis.storage_capacity import storage_capacity
from expkit.data.stored_patterns import StoredPatterns
from expkit.tasks.fixed_points import FixedPoints
from expkit.tasks.pattern_retrieval import PatternRetrieval


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [
        ([1, 1, 0.9], math.exp(math.log(2) + math.log(2) / 2)),
        ([1, 0.95, 0.45], 2),
        ([1, 1, 1], math.inf),
        ([0.9, 1, 1], 0),
        ([1, 0.5, 1], 2**0.1),
    ],
)
def test_capacity_is_where_the_rate_first_falls_below(rates, wanted):
    assert storage_capacity([1, 2, 4], rates) == pytest.approx(wanted)


def test_the_number_of_patterns_that_matter():
    weights = torch.tensor(
        [[0.25] * 4, [0.9, 0.1, 0, 0], [0.5, 0.4, 0.1, 0], [0.05, 0.5, 0.05, 0.4]], dtype=torch.float64
    )
    assert effective_patterns(weights, mass=0.85).tolist() == [4, 1, 2, 2]
    types = fixed_point_type(weights, mass=0.85)
    assert {name: own.tolist() for name, own in types.items()} == {
        "global": [True, False, False, False],
        "metastable": [False, False, True, True],
        "single": [False, True, False, False],
    }
    assert shares(types) == {"global": 0.25, "metastable": 0.5, "single": 0.25}


def patterns(**arguments):
    data = StoredPatterns(spec={"shape": [arguments["dim"]]}, **arguments)
    data.setup()
    return data


@pytest.mark.parametrize(
    ("kind", "length"), [("sphere", 2 * 19**0.5), ("clusters", 2 * 19**0.5), ("signs", 2 * 20**0.5)]
)
def test_patterns_have_one_length_and_fewer_are_a_part_of_more(kind, length):
    few, many = (patterns(dim=20, n=n, kind=kind, radius=2.0).splits["train"]["input"] for n in (16, 64))
    torch.testing.assert_close(many.norm(dim=1), torch.full((64,), length))
    torch.testing.assert_close(few, many[:16])


def test_clusters_are_nearer_within_than_between():
    split = patterns(dim=40, n=64, kind="clusters", clusters=8, spread=0.5).splits["train"]
    cosine = torch.nn.functional.normalize(split["input"]) @ torch.nn.functional.normalize(split["input"]).T
    same = split["target"][:, None] == split["target"]
    # With an orthogonal offset of a half, two patterns of a cluster have cosine 1 / (1 + 0.5^2) = 0.8.
    assert cosine[same & ~torch.eye(64, dtype=torch.bool)].mean() == pytest.approx(0.8, abs=0.05)
    assert cosine[~same].mean().abs() < 0.1


def test_two_patterns_are_mixed_as_their_softmax_says():
    """x and -x of length r: one update of x gives tanh(beta r^2) x, so the relative error is 1 - tanh(beta r^2)."""
    data = patterns(dim=5, n=1, kind="sphere", radius=0.5)
    x = data.splits["train"]["input"]
    data.splits["train"]["input"] = torch.cat([x, -x])
    (row,) = PatternRetrieval([2], beta=0.7, noise=0.0).compute(data)
    assert row["retrieval/error"] == pytest.approx(1 - math.tanh(0.7 * 0.25 * 4), rel=1e-4)
    assert row["attention/difference"] < 1e-6


def test_counts_beyond_the_data_are_left_out_and_rates_fall():
    torch.manual_seed(0)
    rows = list(PatternRetrieval([2, 64, 2048, 5000], queries=100).compute(patterns(dim=10, n=2048)))
    assert [row["retrieval/n"] for row in rows] == [2, 64, 2048]
    assert rows[0]["retrieval/success"] > rows[1]["retrieval/success"] > rows[2]["retrieval/success"]


def test_the_classical_memory_fails_beyond_its_capacity():
    torch.manual_seed(0)
    data = patterns(dim=200, n=100, kind="signs")
    rates = [row["retrieval/success"] for row in PatternRetrieval([5, 100], memory="classical").compute(data)]
    assert rates[0] == 1
    assert rates[1] < 0.1


def test_fixed_points_run_through_the_three_kinds():
    data = patterns(dim=32, n=64, kind="clusters")
    hot, middle, cold = FixedPoints([0.1, 20, 1000]).compute(data)
    assert hot["fixed_points/global"] == 1
    assert middle["fixed_points/metastable"] > 0.5
    assert cold["fixed_points/single"] == 1
    assert cold["fixed_points/sizes"].shape == (3, 64)
    assert hot["fixed_points/size"] == pytest.approx(58, abs=1)  # 0.9 of 64 equal weights
