from math import log

import numpy as np
import pytest

from expkit.analysis.box_counting import boundary, box_dimension, count_boxes


def sierpinski_carpet(levels):
    cells = np.ones((1, 1), dtype=bool)
    hole = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    for _ in range(levels):
        cells = np.kron(hole, cells)
    return cells


def cantor_dust(levels):
    line = np.ones(1, dtype=bool)
    for _ in range(levels):
        line = np.kron([True, False, True], line)
    return np.outer(line, line)


def koch_curve(levels, side):
    """The points of the curve, rasterized; 0 to 1 along the middle of a square."""
    points = np.array([0.0 + 0j, 1.0 + 0j])
    for _ in range(levels):
        start, step = points[:-1], np.diff(points) / 3
        tip = start + step + step * np.exp(1j * np.pi / 3)
        points = np.append(np.stack([start, start + step, tip, start + 2 * step], axis=1).flatten(), points[-1])
    fine = np.linspace(points[:-1], points[1:], 4, endpoint=False, axis=1).flatten()
    cells = np.zeros((side, side), dtype=bool)
    cells[(fine.imag * side + side / 4).astype(int), (fine.real * side).astype(int)] = True
    return cells


@pytest.mark.parametrize(
    ("cells", "sizes", "expected"),
    [
        (np.eye(256, dtype=bool), None, 1),
        (np.arange(256).reshape(-1, 1) == np.full(256, 97), None, 1),
        (np.ones((256, 256), dtype=bool), None, 2),
        (sierpinski_carpet(5), [1, 3, 9, 27, 81], log(8) / log(3)),
        (cantor_dust(5), [1, 3, 9, 27, 81], log(4) / log(3)),
    ],
    ids=["diagonal", "horizontal", "square", "carpet", "dust"],
)
def test_sets_that_fit_the_grid_have_their_dimension_exactly(cells, sizes, expected):
    found = box_dimension(cells, sizes)
    assert found.dimension == pytest.approx(expected, abs=1e-12)
    assert found.standard_error < 1e-12
    assert found.local == pytest.approx(np.full(len(found.sizes) - 1, expected))


def test_the_koch_curve_by_boxes_that_do_not_fit_it():
    found = box_dimension(koch_curve(7, 1024))
    assert found.dimension == pytest.approx(log(4) / log(3), abs=0.04)
    assert abs(found.dimension - log(4) / log(3)) < 4 * found.standard_error + 0.01


def test_the_boundary_of_a_disc_is_a_curve_and_that_of_noise_fills_the_plane():
    y, x = np.mgrid[:512, :512]
    assert box_dimension(boundary((x - 250) ** 2 + (y - 260) ** 2 < 180**2)).dimension == pytest.approx(1, abs=0.05)
    noise = np.random.default_rng(0).random((256, 256)) < 0.5
    assert box_dimension(boundary(noise)).dimension == pytest.approx(2, abs=0.03)


def test_the_boundary_is_where_four_neighbours_disagree():
    region = np.zeros((4, 5), dtype=bool)
    region[1, 2] = True
    found = boundary(region)
    assert found.shape == region.shape
    assert np.argwhere(found).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    region[3, 4] = True  # in the last corner there is nothing beyond
    assert np.argwhere(boundary(region)).tolist()[4:] == [[2, 3], [2, 4], [3, 3]]
    assert np.array_equal(boundary(region), boundary(~region))
    assert not boundary(np.ones((4, 4))).any()


def test_boxes_that_stick_out_count_as_well():
    cells = np.zeros((5, 7), dtype=bool)
    cells[4, 6] = cells[0, 0] = True
    assert [count_boxes(cells, size) for size in (1, 2, 4, 8)] == [2, 2, 2, 1]


def test_an_empty_set_has_no_dimension():
    found = box_dimension(np.zeros((16, 16)))
    assert np.isnan(found.dimension)
    assert np.isnan(found.standard_error)
    assert found.counts.tolist() == [0, 0, 0]


def test_the_error_is_that_of_a_linear_regression():
    from scipy.stats import linregress

    cells = np.random.default_rng(1).random((200, 200)) < 0.01
    found = box_dimension(cells)
    line = linregress(np.log(found.sizes), np.log(found.counts))
    assert found.dimension == pytest.approx(-line.slope)
    assert found.standard_error == pytest.approx(line.stderr)


@pytest.mark.parametrize("sizes", [[4], [0, 1], [3, 3]])
def test_a_slope_needs_two_sizes(sizes):
    with pytest.raises(ValueError, match="two different positive box sizes"):
        box_dimension(np.ones((8, 8)), sizes)
