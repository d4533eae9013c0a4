"""The section on the regions that negatives are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.reporting.content import Cell, Part, Section, make_table, parts_by_dataset
from recns_tf.reporting.groups import Group
from recns_tf.reporting.runs import number

HEADS = ["", "region", "khop", "definition", "mean", "5 %", "median", "95 %"]
HEADS += ["of unobserved", "users under M", "users without"]


def regions_section(groups: Sequence[Group]) -> Section:
    """Return the share of items that the regions hold."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        rows = [row for style, group in enumerate(members) if (row := region_row(style, group))]
        return Part(dataset, tables=[make_table(HEADS, rows, left=4)]) if rows else None

    return Section(
        "regions",
        "Regions",
        "Share of the catalog in a user's region, over users, and of all unobserved items; users "
        "whose region holds fewer than M items, or none.",
        parts_by_dataset(groups, make_part),
    )


def region_row(style: int, group: Group) -> list[object]:
    """Return the cells of a group's first recorded region; empty if there is none."""
    regions = ((run.results or {}).get("region") for run in group.finished)
    region = next(filter(None, regions), None)
    if not isinstance(region, dict):
        return []
    words = [region.get(name, "") for name in ("kind", "khop", "reading")]
    if region.get("kind") == "all":
        words[1:] = ["", ""]
    shares = [number(region, "coverage", name) for name in ("mean", "p5", "median", "p95")]
    shares.append(number(region, "share_of_unobserved"))
    counts = [number(region, name) for name in ("users_under_num_candidates", "users_without")]
    return [
        Cell(group.label, style=style),
        *words,
        *("" if share is None else f"{share:.1%}" for share in shares),
        *("" if count is None else f"{count:,.0f}" for count in counts),
    ]
