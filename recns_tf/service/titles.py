"""Titles of items, from a table of the user or from the dataset's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recns_tf.datasets.formats.tables import line_of_row, read_batches
from recns_tf.datasets.formats.text import NO_QUOTING, Layout
from recns_tf.errors import UserError
from recns_tf.utils.text import shown

Titles = Mapping[str, str]
"""Titles by the ids of items as text. Items without a title are missing."""

LONGEST_TITLE = 300
"""Characters of a title that are kept."""

ML_100K = "ml-100k"
U_ITEM = Layout(
    "|", ("item", "title", *(f"column {n}" for n in range(3, 25))), NO_QUOTING, encoding="latin-1"
)
"""The layout of u.item in MovieLens 100k."""


def read_titles(path: Path, item: str, title: str, layout: Layout) -> Titles:
    """Return the titles in a table.

    Args:
        path: the table, of any format that `prepare` reads.
        item, title: names of the columns with ids and titles.
        layout: of a text table.

    Raises:
        UserError: the table cannot be read, lacks a column, or has two titles for an item.
    """
    found: dict[str, str] = {}
    rows = 0
    for ids, titles in read_batches(path, (item, title), layout):
        for each, text in zip(as_text(ids), as_text(titles), strict=True):
            if each and text:
                text = text[:LONGEST_TITLE]
                if found.setdefault(each, text) != text:
                    raise UserError(
                        f"{line_of_row(path, rows, layout)}: item {shown(each)} already has the "
                        f"title '{shown(found[each])}'."
                    )
            rows += 1
    return found


def as_text(values: pa.Array) -> list[str]:
    """Return a column as text, "" where it is null."""
    return list(pc.cast(values, pa.string()).fill_null("").to_pylist())


def own_titles(dataset: str, data_dir: str | Path) -> Titles:
    """Return the titles that a dataset comes with: those of ml-100k, if u.item is in its folder."""
    path = Path(data_dir) / ML_100K / "u.item"
    if dataset != ML_100K or not path.exists():
        return {}
    return read_titles(path, "item", "title", U_ITEM)


def require_known(titles: Titles, path: Path, item: str, labels: np.ndarray) -> None:
    """Raise UserError if no title is of an item of the data."""
    if not any(str(each) in titles for each in labels.tolist()):
        raise UserError(
            f"{path}: no id in its column '{item}' is that of an item, such as "
            f"{shown(labels[0])}; choose the column with --item_column."
        )
