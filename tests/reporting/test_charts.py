import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.reporting import charts
from recns_tf.reporting.charts import Line, line_chart

NUMBERS = st.floats(-1e6, 1e6)


def paths(chart):
    """Return the points of each line in the picture."""
    found = re.findall(r'<path fill="none"[^>]* d="M([^"]*)"', chart)
    return [
        np.array([[float(x) for x in point.split()] for point in path.split("L")]) for path in found
    ]


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_points_stand_inside_and_in_proportion(ys):
    points = [(float(n + 1), y) for n, y in enumerate(ys)]
    (drawn,) = paths(line_chart("t", [Line(0, "l", points)], "epoch"))
    assert len(drawn) == len(ys)
    x, y = drawn.T
    assert (x >= charts.LEFT - 0.1).all() and (x <= charts.WIDTH - charts.RIGHT + 0.1).all()
    assert (y >= charts.TOP - 0.1).all() and (y <= charts.HEIGHT - charts.BOTTOM + 0.1).all()
    spread = max(ys) - min(ys)
    if spread > 1e-6:
        # Upwards is more; a tenth of a pixel is lost to rounding.
        scale = (y.max() - y.min()) / spread
        np.testing.assert_allclose(y, y.max() - (np.array(ys) - min(ys)) * scale, atol=0.21)


def test_ticks_stand_where_their_numbers_are():
    points = [(1.0, 0.0), (11.0, 1.0)]
    chart = line_chart("t", [Line(0, "l", points)], "epoch")
    (drawn,) = paths(chart)
    ticks = {
        float(name): float(y)
        for y, name in re.findall(r'y="([\d.]+)" dy="4" text-anchor="end">([^<]*)<', chart)
    }
    assert ticks[0.0] == drawn[0, 1] and ticks[1.0] == drawn[1, 1]
    below = {
        float(name): float(x)
        for x, name in re.findall(r'x="([\d.]+)" y="207" text-anchor="middle">(\d+)<', chart)
    }
    for name, x in below.items():
        assert x == pytest.approx(
            drawn[0, 0] + (name - 1) / 10 * (drawn[1, 0] - drawn[0, 0]), abs=0.2
        )
    assert len(below) >= 3


def test_nothing_to_draw_is_no_chart_and_one_point_is_a_dot():
    assert line_chart("t", [], "epoch") == line_chart("t", [Line(0, "l", [])], "epoch") == ""
    assert "<circle" in line_chart("t", [Line(0, "l", [(1.0, 0.3)])], "epoch")


def test_long_lines_are_thinned_to_their_ends():
    points = [(float(n), float(n)) for n in range(1001)]
    thin = charts.thinned(points)
    assert len(thin) <= charts.MOST_POINTS + 1
    assert thin[0] == points[0] and thin[-1] == points[-1]
    assert charts.thinned(points[:300]) == points[:300]


def test_styles_differ_for_as_many_lines_as_there_are_styles():
    number = len(charts.COLORS) * len(charts.DASHES)
    assert len({(charts.color(n), charts.dashes(n)) for n in range(number)}) == number


def test_colours_can_be_read_on_white():
    """WCAG's contrast of 4.5, that of text."""
    for color in charts.COLORS:
        parts = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5, color


def test_words_are_escaped():
    chart = line_chart("<t>", [Line(0, "<l>", [(1.0, 1.0)])], "<x>", ["<c>", "d"])
    assert not re.search("<[tlxc]>", chart)
    for word in ("t", "l", "x", "c"):
        assert f"&lt;{word}&gt;" in chart
