"""The section on the settings in which runs differ."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.reporting.content import Cell, Part, Section, make_table, parts_by_dataset
from recns_tf.reporting.groups import Group, setting

IN_LABELS = ("dataset", "encoder", "sampler", "seed", "data")


def settings_section(groups: Sequence[Group]) -> Section:
    """Return the settings in which the groups of a dataset differ."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        names = dict.fromkeys(name for group in members for name in group.settings)
        values = {
            name: [setting(group, name) for group in members]
            for name in names
            if name not in IN_LABELS
        }
        differing = {
            name: found
            for name, found in values.items()
            if len({value for value, _ in found if value}) > 1
        }
        if not differing:
            return None
        columns = [
            [Cell(value, "" if is_recorded else "default") for value, is_recorded in found]
            for found in differing.values()
        ]
        rows = [
            [Cell(group.label, style=style), *(column[style] for column in columns)]
            for style, group in enumerate(members)
        ]
        return Part(dataset, tables=[make_table(["", *differing], rows)])

    return Section(
        "settings",
        "Settings that differ",
        "In italics: defaults of settings that the run's version did not have.",
        parts_by_dataset(groups, make_part),
    )
