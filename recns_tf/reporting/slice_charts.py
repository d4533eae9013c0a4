"""The section of what the test lists find and hold, by user degree and by item popularity."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from recns_tf.reporting import markup
from recns_tf.reporting.charts import Line, line_chart
from recns_tf.reporting.layout import charts, of_each
from recns_tf.reporting.markup import Html, joined, named, table
from recns_tf.reporting.runs import Group
from recns_tf.reporting.slices import Slice
from recns_tf.runs.summary import mean_and_deviation

KINDS = (
    ("test Recall@20 of users, by their train items", "train items of the user"),
    ("test Recall@20 of held-out pairs, by their item's popularity", "train users of the item"),
    ("share of the test lists, by their items' popularity", "train users of the item"),
)
"""The titles and axes of a run's slices."""


def slices(
    groups: Sequence[Group],
    found: Mapping[str, Sequence[Slice]],
    sentences: Sequence[str],
) -> Html:
    """Return what the lists find and hold, by user degree and by item popularity.

    Args:
        groups: all.
        found: the slices of runs by their paths, one for each of KINDS.
        sentences: on what could not be computed.
    """

    def content(members: Sequence[Group]) -> Html:
        parts = []
        for place, (title, axis) in enumerate(KINDS):
            lines, rows = [], []
            names: list[str] = []
            sizes: list[int] = []
            for style, group in enumerate(members):
                here = [found[str(run.path)][place] for run in group.runs if str(run.path) in found]
                # Runs of one dataset whose data differ have groups of their own.
                here = [one for one in here if one.names == (names or here[0].names)]
                if not here:
                    continue
                names, sizes = here[0].names, here[0].sizes
                columns = list(zip(*(one.shares for one in here), strict=True))
                means = [statistics.mean(column) for column in columns]
                lines.append(Line(style, group.label, list(enumerate(means))))
                rows.append(
                    [
                        named(style, group.label),
                        *(mean_and_deviation(list(each)) for each in columns),
                    ]
                )
            heads = [f"{name} ({size:,})" for name, size in zip(names, sizes, strict=True)]
            if rows:
                chart = line_chart(title, lines, axis, names)
                parts.append(
                    (chart, markup.details(f"{title}, in numbers", table(["", *heads], rows)))
                )
        return joined([charts([chart for chart, _ in parts]), *(Html(more) for _, more in parts)])

    def is_sliced(group: Group) -> bool:
        return any(str(run.path) in found for run in group.runs)

    def none_if_empty(members: Sequence[Group]) -> Html:
        return content(members) if any(map(is_sliced, members)) else Html()

    made = of_each(groups, none_if_empty, is_sliced)
    about = markup.paragraph(
        "Quantile groups, recomputed from the run's embeddings or lists; means over seeds. Among "
        "users Recall is averaged over users; among pairs it is the share that is found. Of items "
        "it is the share of all lists' places that they have."
    )
    missing = joined(markup.paragraph(sentence) for sentence in sentences)
    return joined([about if made else "", made, missing])
