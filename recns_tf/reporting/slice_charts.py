"""The section on test lists by user degree and by item popularity."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from recns_tf.evaluation.display import label
from recns_tf.reporting.charts import Chart, Line
from recns_tf.reporting.content import (
    Cell,
    Details,
    Part,
    Section,
    make_legend,
    make_table,
    parts_by_dataset,
)
from recns_tf.reporting.groups import Group, comparable_recall
from recns_tf.reporting.slices import Slice
from recns_tf.runs.summary import mean_and_deviation

KINDS = (
    ("test {recall} of users, by their train items", "train items of the user"),
    ("test {recall} of held-out pairs, by their item's popularity", "train users of the item"),
    ("share of the test lists, by their items' popularity", "train users of the item"),
)
"""Title and axis of each slice of a run; {recall} stands for Recall@K."""


def slices_section(
    groups: Sequence[Group], slices: Mapping[str, Sequence[Slice]], notes: Sequence[str]
) -> Section:
    """Return recall and the content of the test lists by user degree and item popularity.

    Args:
        groups: all groups.
        slices: by the path of a run, one slice for each of KINDS.
        notes: sentences on what could not be computed.
    """

    def has_slices(group: Group) -> bool:
        return any(str(run.path) in slices for run in group.runs)

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        if not any(map(has_slices, members)):
            return None
        pairs = [slice_chart(members, slices, kind) for kind in range(len(KINDS))]
        return Part(
            dataset,
            make_legend(members, has_slices),
            charts=[chart for chart, _ in pairs if chart.lines],
            details=[details for _, details in pairs],
        )

    return Section(
        "slices",
        "By user degree and item popularity",
        "Quantile groups, recomputed from the run's embeddings or lists; means over seeds. For "
        "users, Recall is averaged over users; for pairs, it is the share of pairs found. For "
        "items, it is their share of all list entries.",
        parts_by_dataset(groups, make_part),
        notes,
    )


def slice_chart(
    groups: Sequence[Group], slices: Mapping[str, Sequence[Slice]], kind: int
) -> tuple[Chart, Details]:
    """Return one kind of slice as a chart and as a table, with a line and a row per group."""
    title, axis = KINDS[kind]
    title = title.format(recall=label(comparable_recall(groups)))
    first = None
    lines, rows = [], []
    for style, group in enumerate(groups):
        found = [slices[str(run.path)][kind] for run in group.runs if str(run.path) in slices]
        first = first or next(iter(found), None)
        # Groups whose data differ may have other ranges, which do not fit the axis.
        found = [one for one in found if first and one.names == first.names]
        if not found:
            continue
        columns = list(zip(*(one.shares for one in found), strict=True))
        means = [statistics.mean(column) for column in columns]
        if means:
            lines.append(Line(style, group.label, list(enumerate(means))))
        cells = [mean_and_deviation(list(column)) for column in columns]
        rows.append([Cell(group.label, style=style), *cells])
    names, sizes = (first.names, first.sizes) if first else ([], [])
    heads = [f"{name} ({size:,})" for name, size in zip(names, sizes, strict=True)]
    table = make_table(["", *heads], rows)
    return Chart(title, lines, axis, names), Details(f"{title}, in numbers", table)
