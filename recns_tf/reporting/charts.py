"""Line charts, drawn by matplotlib and returned as SVG for an HTML page.

Lines differ by color, then by dashes. Every color has a contrast of at least 4.5 on white. A chart
is drawn at the size that it has on a phone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recns_tf.utils.text import count

COLORS = ("#0b63a5", "#b84a00", "#00725a", "#a5308a", "#555555", "#7a4f1d", "#5b4bc4", "#8c1d2f")
DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2))
WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 8, 38
"""Margins around the axes, in pixels like the width and the height."""
MAX_POINTS = 300
DOT_RADIUS = 3
POINTS_PER_INCH = 72
"""A point is a pixel of the SVG."""

TEXT_COLOR, GRID_COLOR = "#59636e", "#e3e8ed"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": TEXT_COLOR,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": GRID_COLOR,
    "grid.linewidth": 1,
    "lines.linewidth": 1.6,
    "lines.marker": "o",
    "lines.markeredgecolor": "white",
    "lines.markersize": 2 * DOT_RADIUS,
    "lines.scale_dashes": False,
    # Every point is drawn: only `thin` drops some.
    "path.simplify": False,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "xtick.color": TEXT_COLOR,
    "xtick.major.pad": 6,
    "xtick.major.size": 0,
    "ytick.color": TEXT_COLOR,
    "ytick.major.size": 0,
}

Point = tuple[float, float]


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        style: number of its color and dashes, and of its legend entry.
        label: shown when the pointer is over the line.
        points: (x, y), in the order of x.
        marked: a point of the line to mark with a dot, if any.
    """

    style: int
    label: str
    points: list[Point]
    marked: Point | None = None


class Chart(NamedTuple):
    """A line chart.

    Attributes:
        title: shown above the chart.
        lines: the lines, each with at least one point.
        x_label: shown below the chart.
        categories: names of x = 0, 1, …, instead of numbers.
    """

    title: str
    lines: list[Line]
    x_label: str
    categories: Sequence[str] = ()

    @property
    def description(self) -> str:
        """The chart in words, for screen readers."""
        ys = [y for line in self.lines for _, y in line.points]
        return (
            f"{self.title} over {self.x_label}, {count(len(self.lines), 'line')} "
            f"from {min(ys):.4g} to {max(ys):.4g}"
        )


def get_color(style: int) -> str:
    """Return the color of a style."""
    return COLORS[style % len(COLORS)]


def get_dashes(style: int) -> tuple[int, ...]:
    """Return the lengths of the dashes and gaps of a style; empty for a solid line."""
    return DASHES[style // len(COLORS) % len(DASHES)]


def thin(line: Line) -> list[Point]:
    """Return about MAX_POINTS evenly spaced points; the last and the marked one are kept."""
    points = line.points
    step = -(-len(points) // MAX_POINTS)
    last = len(points) - 1
    return [
        point
        for place, point in enumerate(points)
        if place % step == 0 or place == last or point == line.marked
    ]


def draw(chart: Chart) -> str:
    """Return the chart as an SVG element without ids, so that a page can hold many of them.

    Each line is a group of class "line" with its style in `data-line` and its label as title.
    Equal charts give equal text.
    """
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        inches = WIDTH / POINTS_PER_INCH, HEIGHT / POINTS_PER_INCH
        figure = Figure(figsize=inches, frameon=False)
        size = (WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - TOP - BOTTOM) / HEIGHT
        axes = figure.add_axes((LEFT / WIDTH, BOTTOM / HEIGHT, *size), frameon=False)
        for number, line in enumerate(chart.lines):
            draw_line(axes, line, f"line-{number}", mark_all=bool(chart.categories))
        set_axes(axes, chart)
        figure.savefig(file, format="svg")
    return make_inline(file.getvalue(), chart)


def draw_line(axes: Axes, line: Line, gid: str, mark_all: bool) -> None:
    """Draw a line with dots at its marked point, or at all points if there are fewer than 3."""
    points = thin(line)
    mark_all = mark_all or len(points) < 3
    dashes = get_dashes(line.style)
    axes.plot(
        *zip(*points, strict=True),
        color=get_color(line.style),
        linestyle=(0, dashes) if dashes else "solid",
        markevery=[n for n, point in enumerate(points) if mark_all or point == line.marked],
        clip_on=False,
        gid=gid,
    )


def set_axes(axes: Axes, chart: Chart) -> None:
    """Set the limits, ticks and label of the axes. The y axis starts and ends at a tick."""
    xs, ys = zip(*(point for line in chart.lines for point in line.points), strict=True)
    axes.set_xlabel(chart.x_label)
    if chart.categories:
        axes.set_xticks(range(len(chart.categories)), chart.categories)
        axes.set_xlim(-0.3, len(chart.categories) - 0.7)
    else:
        axes.set_xlim(pad_range(xs))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter("{x:.0f}")
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*pad_range(ys))
    axes.set_yticks(ticks)
    axes.set_ylim(ticks[0], ticks[-1])
    axes.yaxis.set_major_formatter("{x:.5g}")
    for grid_line in axes.get_ygridlines():
        grid_line.set_clip_on(False)


def pad_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, moved apart if they are equal."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    margin = abs(low) / 2 or 0.5
    return low - margin, high + margin


def make_inline(svg: str, chart: Chart) -> str:
    """Return the SVG of a chart that matplotlib wrote as an element for an HTML page."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        if element.tag != "text":
            element.text = None
    picture = ElementTree.Element(
        "svg", {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": chart.description}
    )
    picture.extend(root.findall("g"))
    lines = {f"line-{number}": line for number, line in enumerate(chart.lines)}
    for group in list(picture.iter("g")):
        # Symbols of dots, which are circles below.
        for symbols in group.findall("defs"):
            group.remove(symbols)
        line = lines.get(group.attrib.pop("id", ""))
        if line is not None:
            group.attrib = {"class": "line", "data-line": str(line.style)}
            title = ElementTree.Element("title")
            title.text = line.label
            group.insert(0, title)
    for dot in picture.iter("use"):
        center = {"cx": dot.attrib["x"], "cy": dot.attrib["y"]}
        dot.tag = "circle"
        dot.attrib = center | {"r": str(DOT_RADIUS), "style": dot.attrib["style"]}
    for path in picture.iter("path"):
        path.attrib["d"] = shorten(path.attrib["d"])
    return ElementTree.tostring(picture, encoding="unicode")


def shorten(path: str) -> str:
    """Return the data of an SVG path with its numbers rounded to two decimals."""
    return re.sub(r"-?[0-9.]+", lambda number: f"{float(number[0]):.2f}", " ".join(path.split()))
