"""The section of the settings in which runs differ."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.reporting import markup
from recns_tf.reporting.layout import of_each
from recns_tf.reporting.markup import Cell, Html, joined, named, table
from recns_tf.reporting.runs import Group, setting

IN_LABELS = ("dataset", "encoder", "sampler", "seed", "data")


def differences(groups: Sequence[Group]) -> Html:
    """Return the settings in which the groups of a dataset differ."""

    def content(members: Sequence[Group]) -> Html:
        names = dict.fromkeys(name for group in members for name in group.settings)
        cells = {
            name: [setting(group, name) for group in members]
            for name in names
            if name not in IN_LABELS
        }
        told = {
            name: found
            for name, found in cells.items()
            if len({value for value, _ in found if value}) > 1
        }
        if not told:
            return Html()
        rows = [
            [
                named(style, group.label),
                *(
                    value if recorded else Cell(value, "default")
                    for value, recorded in (found[style] for found in told.values())
                ),
            ]
            for style, group in enumerate(members)
        ]
        return table(["", *told], rows)

    found = of_each(groups, content)
    about = markup.paragraph("In italics: defaults of settings that a run's version did not know.")
    return joined([about, found]) if found else Html()
