"""What `prepare` did with each row of a log, as text."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.datasets.cold_start import FILE, cold_start, sentences
from recns_tf.datasets.preprocessing.log import RowCounts
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.interactions import Interactions

KEPT = {"rows": "read"} | dict.fromkeys(("train", "valid", "test", "exposed"), "kept")


def account(
    interactions: Interactions,
    counts: RowCounts,
    rules: Rules,
    notes: Sequence[str] = (),
    cold_start_file: bool = True,
) -> str:
    """Return what happened to the rows of a log, in lines whose numbers add up.

    Args:
        interactions: the dataset made from the log.
        counts: the number of rows by what happened to them.
        rules: how the log was filtered and split.
        notes: further sentences.
        cold_start_file: whether the dataset has a folder with the cold users and items.
    """
    core = f"--user_core={rules.user_core}, --item_core={rules.item_core}"
    # What is counted, in the singular and the plural, and the rest of the line.
    descriptions = {
        "rows": ("row", "rows", ""),
        "missing": ("row", "rows", " without an id, a label or a time (--missing=drop)"),
        "ignored": ("row that is", "rows that are", " neither positive nor exposed"),
        "repeated_positives": ("row that repeats", "rows that repeat", " a positive pair"),
        "repeated_exposures": ("row that repeats", "rows that repeat", " an exposed pair"),
        "below_core": ("pair", "pairs", f" of users or items with too few positives ({core})"),
        "conflicts": (
            "exposed pair that is also a positive",
            "exposed pairs that are also positives",
            f": positives take precedence (--conflicts={rules.conflicts})",
        ),
        "late_exposures": (
            "exposed pair",
            "exposed pairs",
            f" of held-out times or parts (--split={rules.split})",
        ),
        "train": ("positive", "positives", " to train on"),
        "valid": ("positive", "positives", " for validation"),
        "test": ("positive", "positives", " for testing"),
        "exposed": ("exposed pair", "exposed pairs", ""),
    }
    lines = []
    for name, (one, many, rest) in descriptions.items():
        if (number := getattr(counts, name)) or name in KEPT:
            lines.append(row(KEPT.get(name, "less"), number, one, many) + rest)
    held_out = interactions.exposed.multiply(interactions.held_out).nnz
    if held_out:
        one = "is a held-out positive; it is kept, because removing it"
        many = "are held-out positives; they are kept, because removing them"
        lines.append(
            row("note", held_out, *(f"of the exposed pairs {each}" for each in (one, many)))
            + " would leak labels"
        )
    lines += [f"note  {note}" for note in (*remarks(interactions, counts, cold_start_file), *notes)]
    return "\n".join([*lines, "", interactions.summary()])


def row(kind: str, number: int, one: str, many: str) -> str:
    """Return a line with a number in a column, and what is counted, in the singular or plural."""
    return f"{kind:6}{number:>13,} {one if number == 1 else many}"


def remarks(interactions: Interactions, counts: RowCounts, cold_start_file: bool) -> list[str]:
    """Return sentences on what the dataset lacks."""
    found = cold_start(interactions)
    cold_users, cold_items = sentences(found)
    lacking = []
    if any(part.users for part in found.values()):
        lacking.append(cold_users)
    if any(part.items for part in found.values()):
        lacking.append(cold_items)
    if lacking and cold_start_file:
        lacking.append(f"{FILE} in the dataset's folder lists them")
    if not counts.exposed:
        lacking.append(
            "no pair is exposed: samplers that use exposures draw from the region instead"
        )
    if not counts.valid + counts.test:
        lacking.append("no positive is held out: validation and testing are not possible")
    return lacking
