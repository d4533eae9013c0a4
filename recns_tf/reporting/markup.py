"""The few kinds of HTML that the page is made of. Text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from recns_tf.reporting.charts import swatch
from recns_tf.reporting.style import CSS, SCRIPT


class Html(str):
    """Text that is HTML already."""


def text(content: object) -> str:
    """Return content as HTML: as it is if it is Html, escaped otherwise."""
    return content if isinstance(content, Html) else escape(str(content))


def paragraph(content: object) -> Html:
    """Return a paragraph in softer colour."""
    return Html(f'<p class="soft">{text(content)}</p>')


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> Html:
    """Return a table that scrolls sideways where it is too wide.

    Args:
        heads: of the columns.
        rows: of cells; the first cell of each is its heading, and a cell may be a `Cell`.
        left: columns of text; the others hold numbers and stand to the right.
    """

    def element(name: str, place: int, cell: object, scope: str = "") -> str:
        kind = "n" if place >= left else ""
        if isinstance(cell, Cell):
            kind = f"{kind} {cell.kind}".strip()
            cell = cell.content
        kind = f' class="{kind}"' if kind else ""
        return f"<{name}{scope}{kind}>{text(cell)}</{name}>"

    head = "".join(element("th", place, cell, ' scope="col"') for place, cell in enumerate(heads))
    body = "".join(
        "<tr>"
        + "".join(
            element("td", place, cell) if place else element("th", place, cell, ' scope="row"')
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


class Cell:
    """A cell of a table that looks unlike the others.

    Args:
        content: of the cell.
        kind: its class in the style sheet.
    """

    def __init__(self, content: object, kind: str):
        self.content = content
        self.kind = kind


def named(style: int, label: str) -> Html:
    """Return the name of a line after a sample of it."""
    return Html(swatch(style) + escape(label))


def legend(labels: Mapping[int, str]) -> Html:
    """Return buttons, one a style of line, that show it alone with the others that are pressed."""
    buttons = "".join(
        f'<button type="button" aria-pressed="false" data-line="{style}">{named(style, label)}'
        "</button>"
        for style, label in labels.items()
    )
    return Html(f'<div class="legend" role="group" aria-label="lines">{buttons}</div>')


def details(summary: object, content: object) -> Html:
    """Return what opens at a touch of its summary."""
    return Html(f"<details><summary>{text(summary)}</summary>{text(content)}</details>")


def joined(parts: Iterable[object]) -> Html:
    """Return the parts as one."""
    return Html("".join(text(part) for part in parts))


def page(title: str, sections: Sequence[tuple[str, str, Html]], lead: Html) -> Html:
    """Return the whole page.

    Args:
        title: of the page.
        sections: an id, a heading and the content of each; those without content are left out.
        lead: before the contents.
    """
    there = [section for section in sections if section[2]]
    links = " ".join(f'<a href="#{name}">{escape(head)}</a>' for name, head, _ in there)
    bodies = "".join(
        f'<section id="{name}"><h2>{escape(head)}</h2>{content}</section>'
        for name, head, content in there
    )
    return Html(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body>"
        f"<h1>{escape(title)}</h1>{lead}"
        f'<nav aria-label="contents">{links}</nav>{bodies}<script>{SCRIPT}</script></body></html>\n'
    )
