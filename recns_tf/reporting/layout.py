"""How a section shows what there is of each dataset, and charts side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from recns_tf.reporting import markup
from recns_tf.reporting.markup import Html, joined
from recns_tf.reporting.runs import Group, by_dataset


def of_each(
    groups: Sequence[Group],
    content: Callable[[Sequence[Group]], Html],
    in_legend: Callable[[Group], bool] = lambda group: False,
) -> Html:
    """Return what `content` makes of each dataset's groups, under the dataset's name.

    Args:
        groups: all.
        content: of a dataset's groups; datasets for which it is empty are left out.
        in_legend: which of them a legend is to name.
    """
    parts = []
    for dataset, members in by_dataset(groups).items():
        made = content(members)
        if not made:
            continue
        labels = {n: group.label for n, group in enumerate(members) if in_legend(group)}
        key = markup.legend(labels) if labels else ""
        parts.append(Html(f"<div><h3>{markup.text(dataset)}</h3>{key}{made}</div>"))
    return joined(parts)


def charts(made: Sequence[str]) -> Html:
    """Return charts side by side as far as there is room."""
    found = "".join(made)
    return Html(f'<div class="charts">{found}</div>' if found else "")
