"""Small line charts as inline SVG, drawn in the size they are shown in on a phone.

Lines are told apart by colour and by dashes. Colours have a contrast of 4.5 or more on white.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

COLORS = ("#0b63a5", "#b84a00", "#00725a", "#a5308a", "#555555", "#7a4f1d", "#5b4bc4", "#8c1d2f")
DASHES = ("", "6 2", "2 2", "8 2 2 2")
WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 38
MOST_POINTS = 300

Place = Callable[[tuple[float, float]], str]
"""From a point to "x y" in the picture."""


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        style: number of its colour and dashes, and of its entry in the legend.
        label: shown where the pointer rests on it.
        points: x, y, in the order of x.
        marked: a point to mark, if any.
    """

    style: int
    label: str
    points: list[tuple[float, float]]
    marked: tuple[float, float] | None = None


def color(style: int) -> str:
    """Return the colour of a style."""
    return COLORS[style % len(COLORS)]


def dashes(style: int) -> str:
    """Return the dashes of a style."""
    return DASHES[style // len(COLORS) % len(DASHES)]


def swatch(style: int) -> str:
    """Return a short line of a style, for legends and tables."""
    stroke = f'stroke="{color(style)}" stroke-width="3" stroke-dasharray="{dashes(style)}"'
    return (
        '<svg class="swatch" width="26" height="8" aria-hidden="true">'
        f'<path d="M0 4H26" {stroke}/></svg>'
    )


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most MOST_POINTS of the points, evenly spread, the last one included."""
    step = -(-len(points) // MOST_POINTS)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def line_chart(
    title: str, lines: Sequence[Line], x_label: str, categories: Sequence[str] = ()
) -> str:
    """Return a figure with a chart of some lines; empty without any point.

    Args:
        title: above it.
        lines: what to draw.
        x_label: below it.
        categories: names of x = 0, 1, …, in place of numbers.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return ""
    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    x_low, x_high = (-0.3, len(categories) - 0.7) if categories else padded_range(xs)
    y_ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*padded_range(ys))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(point: tuple[float, float]) -> str:
        x = LEFT + (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f} {y:.1f}"

    parts = []
    for tick in y_ticks:
        x, y = place((x_low, tick)).split()
        parts.append(f'<path class="grid" d="M{x} {y}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 5}" y="{y}" dy="4" text-anchor="end">{tick:.5g}</text>'
        )
    for tick, name in x_ticks(x_low, x_high, categories):
        x = place((tick, y_low)).split()[0]
        parts.append(
            f'<text class="tick" x="{x}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
            f"{escape(name)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    parts += [draw(line, place, bool(categories)) for line in lines if line.points]
    about = f"{title} over {x_label}, {len(lines)} lines from {min(ys):.4g} to {max(ys):.4g}"
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(about)}">{"".join(parts)}</svg></figure>'
    )


def draw(line: Line, place: Place, with_dots: bool) -> str:
    """Return the elements of one line: its path, and dots where it is short or marked."""
    points = thinned(line.points)
    path = "M" + "L".join(place(point) for point in points)
    dots = list(points) if with_dots or len(points) < 3 else []
    dots += [line.marked] if line.marked else []
    circles = "".join(
        '<circle cx="{}" cy="{}" r="3"/>'.format(*place(point).split()) for point in dots
    )
    return (
        f'<g class="line" data-line="{line.style}" stroke="{color(line.style)}" '
        f'fill="{color(line.style)}"><title>{escape(line.label)}</title>'
        f'<path fill="none" stroke-dasharray="{dashes(line.style)}" d="{path}"/>{circles}</g>'
    )


def padded_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, apart even if they are equal."""
    low, high = min(values), max(values)
    if low < high:
        return low, high
    margin = abs(low) / 2 or 0.5
    return low - margin, high + margin


def x_ticks(low: float, high: float, categories: Sequence[str]) -> list[tuple[float, str]]:
    """Return places on the x axis and their names; whole numbers without categories."""
    if categories:
        return list(enumerate(categories))
    ticks = MaxNLocator(nbins=6, integer=True).tick_values(low, high)
    return [(float(tick), f"{tick:.0f}") for tick in ticks if low <= tick <= high]


def interval(mean: float, deviation: float, low: float, high: float, style: int) -> str:
    """Return a dot with a bar of one deviation to each side, on a scale from low to high."""

    def x(value: float) -> float:
        return 6 + 108 * (value - low) / (high - low or 1)

    return (
        '<svg class="interval" width="120" height="14" aria-hidden="true">'
        f'<path d="M6 7H114" class="grid"/><path d="M{x(mean - deviation):.1f} 7'
        f'H{x(mean + deviation):.1f}" stroke="{color(style)}" stroke-width="3" opacity="0.5"/>'
        f'<circle cx="{x(mean):.1f}" cy="7" r="4" fill="{color(style)}"/></svg>'
    )
