"""What a report shows, as plain data that the templates turn into HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from recns_tf.reporting.charts import Chart
from recns_tf.reporting.groups import Group, group_by_dataset


class Interval(NamedTuple):
    """A dot with a bar on a scale from 0 to 1.

    Attributes:
        start, middle, end: ends of the bar and place of the dot.
        style: number of the color.
    """

    start: float
    middle: float
    end: float
    style: int


class Cell(NamedTuple):
    """A table cell.

    Attributes:
        text: its text.
        kind: a class of the style sheet, if any.
        style: number of a line style to show a sample of before the text.
        interval: drawn instead of text.
    """

    text: str = ""
    kind: str = ""
    style: int | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heads: headings of the columns.
        rows: the cells; the first cell of a row is its heading.
        left: number of leading columns that hold text; the others hold numbers, aligned right.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 1


class Details(NamedTuple):
    """A table or preformatted text that opens when its summary is selected."""

    summary: str
    table: Table | None = None
    text: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a section, shown in the order of the attributes.

    Attributes:
        heading: above it, if any.
        legend: labels of line styles, by number; each is a button that highlights its lines.
        charts: shown side by side where there is room.
        tables: tables, one below the other.
        details: closed at first.
    """

    heading: str = ""
    legend: Sequence[Cell] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    details: Sequence[Details] = ()


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: its id.
        heading: its heading.
        about: a paragraph above the parts; shown only if there are parts.
        parts: the content.
        notes: paragraphs below the parts.
    """

    name: str
    heading: str
    about: str
    parts: Sequence[Part]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        title: its title.
        summary: a paragraph below the title.
        notes: sentences on what is wrong, highlighted.
        remarks: further paragraphs above the sections.
        sections: the sections, none of them empty.
    """

    title: str
    summary: str
    notes: Sequence[str]
    remarks: Sequence[str]
    sections: Sequence[Section]


def make_table(heads: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> Table:
    """Return a table in which every value that is not a `Cell` becomes a plain cell."""
    return Table(
        heads,
        [[cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in row] for row in rows],
        left,
    )


def make_legend(
    groups: Sequence[Group], is_shown: Callable[[Group], bool] = lambda group: True
) -> list[Cell]:
    """Return a legend entry for each group to show; the place of a group is its line style."""
    return [Cell(group.label, style=style) for style, group in enumerate(groups) if is_shown(group)]


def parts_by_dataset(
    groups: Sequence[Group], make_part: Callable[[str, Sequence[Group]], Part | None]
) -> list[Part]:
    """Return the parts that `make_part` makes of each dataset and its groups, without None."""
    parts = [make_part(name, members) for name, members in group_by_dataset(groups).items()]
    return [part for part in parts if part is not None]
