import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from expkit.analysis.trainability_map import Map, colours, draw_map, draw_zoom


def luminance(rgb):
    """Relative luminance of sRGB colours (IEC 61966-2-1)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


VALUE = np.random.default_rng(0).standard_normal((40, 50)) * 10.0 ** np.random.default_rng(1).integers(-3, 6, (40, 50))


def test_what_converged_is_blue_and_what_diverged_is_not():
    image = colours(VALUE)
    blue = image[..., 2] > image[..., 0]
    strong = np.ptp(image, axis=-1) > 0.1  # near white there is no telling
    assert np.array_equal(blue[strong], (VALUE > 0)[strong])
    assert strong.mean() > 0.8


def test_both_halves_are_darker_the_closer_the_boundary():
    image = colours(VALUE)
    for half in (VALUE > 0, VALUE < 0):
        order = np.argsort(np.abs(VALUE[half]))
        shades = luminance(image[half][order])
        assert (np.diff(shades) < 1e-3).all()
        assert shades[0] > 0.85
        assert shades[-1] < 0.05


def test_a_picture_depends_on_ranks_alone():
    stretched = np.sign(VALUE) * np.abs(VALUE) ** 3 * np.where(VALUE > 0, 1e6, 1e-4)
    assert np.allclose(colours(VALUE), colours(stretched))


def test_equal_values_share_a_shade():
    value = np.where(np.arange(100) < 60, -1.0, -2.0).reshape(10, 10)
    value[0, 0] = 1.0
    assert len(np.unique(colours(value).reshape(-1, 3), axis=0)) == 3


def test_the_two_halves_can_be_told_apart_by_the_colour_blind():
    """At the same rank, as protanopes and deuteranopes see it (Vienot et al. 1999, on linear RGB)."""
    ranks = np.arange(1.0, 101)
    protanopia = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deuteranopia = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for simulation in (protanopia, deuteranopia):
        blue, orange = (((colours(value) ** 2.2) @ simulation.T).clip(0, 1) ** (1 / 2.2) for value in (ranks, -ranks))
        difference = np.linalg.norm(blue - orange, axis=-1)
        assert difference[30:].min() > 0.25


def picture(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def test_rows_go_up_and_columns_to_the_right_and_ticks_are_powers_of_ten():
    value = np.full((8, 8), -1.0)
    value[6:, :2] = 1.0  # the two largest y, the two smallest x
    value[0, 0] = -2.0
    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.subplots()
    draw_map(axes, Map(np.logspace(0, 3, 8), np.logspace(-2, 1, 8), value), "first", "second", "title")
    image = picture(figure)
    box = axes.get_window_extent()
    assert box.width == pytest.approx(box.height)

    def pixel(x, y):
        column, row = axes.transData.transform((x, y))
        return image[400 - int(row), int(column)]

    assert pixel(0.2, 0.9)[2] > pixel(0.2, 0.9)[0]  # blue at x = 10^0.2, y = 10^0.9
    assert pixel(2.5, -1.0)[2] < pixel(2.5, -1.0)[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"$10^{0}$", "$10^{3}$"} <= set(labels)


def test_a_strip_frames_the_next_panel():
    def part(centre, width):
        axis = np.linspace(centre - width / 2, centre + width / 2, 9)
        return Map(10**axis, 10**axis, np.where(np.add.outer(axis, axis) > 0, 1.0, -1.0))

    maps = [part(0.0, 4.0), part(0.5, 0.5), part(0.6, 0.0625)]
    figure = draw_zoom(maps, columns=2)
    first, second, third, empty = figure.axes
    assert not empty.axison
    frame = first.patches[-1]
    assert (frame.get_x(), frame.get_width()) == pytest.approx((maps[1].extent[0], 0.5 * 9 / 8))
    assert not third.patches
    assert [panel.get_title() for panel in (first, second, third)] == [r"$\times\,1$", r"$\times\,8$", r"$\times\,64$"]
    picture(figure)
