"""What counts as an outlier in the study of arXiv 1706.04454, on spectra whose outliers are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))
from experiments.hessian_bulk_outliers.outliers import outliers, ratios


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_block_above_a_bulk_is_counted(count, scale):
    top, bulk = np.linspace(2, 1, count), np.linspace(0.05, -0.05, 300)
    assert outliers(scale * np.concatenate([top, bulk])) == count


def test_gaps_within_the_bulk_do_not_count():
    spectrum = np.array([10.0, 8.0, 7.0, 0.5, 0.3, 0.2, 0.09, 1e-9, 0.0, -0.3])
    assert outliers(spectrum) == 3  # 0.09 / 1e-9 is wider, but both are near zero
    assert outliers(np.array([1.0, 0.9, 0.5, 0.004, 0.003, -0.001])) == 3


def test_where_only_outliers_are_above_zero_all_of_them_count():
    assert outliers(np.array([5.0, 3.0, -1.0, -2.0])) == 2


def test_ratios_are_of_neighbours():
    assert ratios(np.array([8.0, 4.0, 1.0, 0.0]), 3).tolist() == [2.0, 4.0, np.inf]
