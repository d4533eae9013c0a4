"""The section of the regions that negatives come from."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.reporting import markup
from recns_tf.reporting.layout import of_each
from recns_tf.reporting.markup import Html, joined, named, table
from recns_tf.reporting.runs import Group, number


def regions(groups: Sequence[Group]) -> Html:
    """Return what the regions hold that negatives come from."""

    def content(members: Sequence[Group]) -> Html:
        rows = []
        for style, group in enumerate(members):
            region = next(
                (found for run in group.finished if (found := (run.results or {}).get("region"))),
                None,
            )
            if not isinstance(region, dict):
                continue
            words = [str(region.get(name, "")) for name in ("kind", "khop", "reading")]
            if region.get("kind") == "all":
                words[1:] = ["", ""]
            shares = [
                number(region, "coverage", name) for name in ("mean", "p5", "median", "p95")
            ] + [number(region, "share_of_unobserved")]
            cells = ["" if share is None else f"{share:.1%}" for share in shares]
            few = number(region, "users_under_num_candidates")
            none = number(region, "users_without")
            counts = ["" if found is None else f"{found:,.0f}" for found in (few, none)]
            rows.append([named(style, group.label), *words, *cells, *counts])
        heads = ["", "region", "khop", "reading", "mean", "5 %", "median", "95 %"]
        heads += ["of unobserved", "users under M", "users without"]
        return table(heads, rows, left=4) if rows else Html()

    found = of_each(groups, content)
    about = markup.paragraph(
        "Share of the catalogue that a user's region holds, over users, and of all unobserved "
        "items; users whose region holds fewer than M items, or none."
    )
    return joined([about, found]) if found else Html()
