"""Charts are read back from their SVG and compared with the data."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recns_tf.reporting import charts
from recns_tf.reporting.charts import Chart, Line, draw

NUMBERS = st.floats(-1e6, 1e6)
ROUNDING = 0.0051
"""Half of the last decimal of a path."""


def read(chart):
    """Return the SVG element of a chart."""
    return ElementTree.fromstring(draw(chart))


def read_path(group):
    """Return the points of the path of a line or grid line, float [n, 2]."""
    (path,) = group.findall("path")
    numbers = re.findall(r"[ML] (\S+) (\S+)", path.get("d"))
    return np.array(numbers, dtype=float)


def read_lines(svg):
    """Return the points of each line in the picture, in order."""
    return [read_path(group) for group in svg.iter("g") if group.get("class") == "line"]


def read_circles(group):
    """Return the centers of the dots, float [n, 2]."""
    return np.array([[float(dot.get("cx")), float(dot.get("cy"))] for dot in group.iter("circle")])


def read_ticks(svg, anchor):
    """Return the numbers at an axis with their text elements: "middle" for x, "end" for y."""
    return [
        (float(text.text.replace("−", "-")), text)
        for text in svg.iter("text")
        if f"text-anchor: {anchor}" in text.get("style") and text.text != "epoch"
    ]


def assert_is_affine_image(drawn, points, sign):
    """Check that drawn = offset + sign * scale * points up to rounding, with scale > 0."""
    points = np.asarray(points, dtype=float)
    spread = np.ptp(points)
    if spread <= 1e-6:
        return  # Equal, or too close for the precision of the picture.
    low, high = points.argmin(), points.argmax()
    scale = (drawn[high] - drawn[low]) / spread
    assert sign * scale > 0
    np.testing.assert_allclose(drawn, drawn[low] + scale * (points - points[low]), atol=0.03)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_points_are_an_affine_image_of_the_data_inside_the_axes(ys):
    points = [(float(n + 1), y) for n, y in enumerate(ys)]
    (drawn,) = read_lines(read(Chart("t", [Line(0, "l", points)], "epoch")))
    assert len(drawn) == len(ys)
    x, y = drawn.T
    assert_is_affine_image(x, range(len(ys)), 1)
    assert_is_affine_image(y, ys, -1)
    assert (x >= charts.LEFT - ROUNDING).all()
    assert (x <= charts.WIDTH - charts.RIGHT + ROUNDING).all()
    assert (y >= charts.TOP - ROUNDING).all()
    assert (y <= charts.HEIGHT - charts.BOTTOM + ROUNDING).all()


def test_lines_share_one_scale_and_keep_their_styles_and_labels():
    data = {
        0: [(1.0, 0.1), (2.0, 0.4), (4.0, 0.2)],
        9: [(2.0, 0.9), (3.0, 0.3)],
        17: [(1.0, 0.5), (3.0, 0.6), (4.0, 0.7)],
    }
    lines = [Line(style, f"line {style}", points) for style, points in data.items()]
    svg = read(Chart("t", lines, "epoch"))
    drawn = np.concatenate(read_lines(svg))
    points = np.concatenate(list(data.values()))
    assert drawn.shape == points.shape
    assert_is_affine_image(drawn[:, 0], points[:, 0], 1)
    assert_is_affine_image(drawn[:, 1], points[:, 1], -1)
    groups = [group for group in svg.iter("g") if group.get("class") == "line"]
    for group, style in zip(groups, data, strict=True):
        assert group.get("data-line") == str(style)
        assert group.find("title").text == f"line {style}"
        look = group.find("path").get("style")
        assert f"stroke: {charts.get_color(style)}" in look
        dashes = charts.get_dashes(style)
        found = re.search(r"stroke-dasharray: ([\d,]+)", look)
        assert (found[1] if found else "") == ",".join(map(str, dashes))


def test_ticks_are_at_their_numbers():
    points = [(1.0, -1.0), (11.0, 1.0)]
    svg = read(Chart("t", [Line(0, "l", points)], "epoch"))
    ((left, bottom), (right, top)) = read_lines(svg)[0]
    grid = [read_path(group)[0, 1] for group in svg.iter("g") if is_grid_line(group)]
    ticks = read_ticks(svg, "end")
    assert [number for number, _ in ticks] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    for (number, text), y in zip(ticks, grid, strict=True):
        assert y == pytest.approx(bottom + (number + 1) / 2 * (top - bottom), abs=2 * ROUNDING)
        assert 3 < float(text.get("y")) - y < 5, "the base of the text is below its middle"
    below = read_ticks(svg, "middle")
    assert len(below) >= 3
    for number, text in below:
        assert number == int(number)
        expected = left + (number - 1) / 10 * (right - left)
        assert float(text.get("x")) == pytest.approx(expected, abs=2 * ROUNDING)


def is_grid_line(group):
    path = group.find("path")
    return path is not None and charts.GRID_COLOR in path.get("style")


def test_categories_are_below_their_points():
    names = ["1–4", "5–9", "10–99"]
    svg = read(Chart("t", [Line(0, "l", list(enumerate([0.1, 0.3, 0.2])))], "items", names))
    (drawn,) = read_lines(svg)
    places = {text.text: float(text.get("x")) for text in svg.iter("text")}
    np.testing.assert_allclose([places[name] for name in names], drawn[:, 0], atol=2 * ROUNDING)
    np.testing.assert_allclose(read_circles(svg), drawn, atol=2 * ROUNDING)


def test_only_the_marked_point_of_a_long_line_has_a_dot():
    points = [(float(n), float(n % 3)) for n in range(10)]
    svg = read(Chart("t", [Line(0, "l", points, points[4])], "epoch"))
    (drawn,) = read_lines(svg)
    np.testing.assert_allclose(read_circles(svg), drawn[4:5], atol=2 * ROUNDING)
    assert not len(read_circles(read(Chart("t", [Line(0, "l", points)], "epoch"))))


@pytest.mark.parametrize("count", [1, 2])
def test_all_points_of_a_short_line_have_dots(count):
    points = [(1.0, 0.3), (2.0, 0.4)][:count]
    assert len(read_circles(read(Chart("t", [Line(0, "l", points)], "epoch")))) == count


@pytest.mark.parametrize("value", [0.0, 1e-300, -3.0, 1e30])
def test_equal_values_are_a_level_line(value):
    points = [(1.0, value), (2.0, value)]
    (drawn,) = read_lines(read(Chart("t", [Line(0, "l", points)], "epoch")))
    assert drawn[0, 0] < drawn[1, 0] and drawn[0, 1] == drawn[1, 1]
    assert charts.TOP < drawn[0, 1] < charts.HEIGHT - charts.BOTTOM


def test_long_lines_are_thinned_and_keep_their_ends_and_the_marked_point():
    points = [(float(n), float(n)) for n in range(1001)]
    thin = charts.thin(Line(0, "l", points, points[7]))
    assert charts.MAX_POINTS / 2 < len(thin) <= charts.MAX_POINTS + 2
    assert thin[0] == points[0] and thin[-1] == points[-1] and points[7] in thin
    assert thin == sorted(thin)
    assert charts.thin(Line(0, "l", points[:300])) == points[:300]


def test_each_style_is_a_different_color_and_dash():
    number = len(charts.COLORS) * len(charts.DASHES)
    styles = {(charts.get_color(n), charts.get_dashes(n)) for n in range(number)}
    assert len(styles) == number


@pytest.mark.parametrize("color", [*charts.COLORS, charts.TEXT_COLOR])
def test_colors_are_readable_on_white(color):
    """The contrast is at least 4.5, which WCAG requires for text."""
    parts = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5


def test_text_is_escaped_and_not_parsed_as_math():
    chart = Chart("<t>", [Line(0, "<l>", [(0.0, 1.0)])], "<x>", ["<c>", "$d$"])
    svg = draw(chart)
    assert not re.search("<[tlxc]>", svg)
    for word in ("t", "l", "x", "c"):
        assert f"&lt;{word}&gt;" in svg
    assert ">$d$<" in svg


def test_charts_can_share_a_page():
    """Neither ids, which would clash, nor references, and the same text every time."""
    chart = Chart("t", [Line(0, "l", [(1.0, 1.0), (2.0, 3.0)])], "epoch")
    svg = draw(chart)
    assert svg == draw(chart)
    assert not re.search(r"\bid=|href|url\(|xmlns|<metadata|<defs|<style", svg)


def test_charts_describe_themselves_and_scale():
    lines = [Line(0, "l", [(1.0, 0.25), (2.0, 0.5)]), Line(1, "m", [(1.0, 0.125)])]
    svg = read(Chart("loss", lines, "epoch"))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "loss over epoch, 2 lines from 0.125 to 0.5"
    assert svg.get("viewBox") == f"0 0 {charts.WIDTH} {charts.HEIGHT}"
    assert svg.get("width") is None and svg.get("height") is None
