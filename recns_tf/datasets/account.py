"""What `prepare` did with each row of a log, as text."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.datasets.cold_start import FILE, cold_start, sentences
from recns_tf.datasets.preprocessing.log import RowCounts
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.interactions import Interactions

KEPT = ("train", "valid", "test", "exposed")


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
    descriptions = {
        "missing": "rows without an id, a label or a time (--missing=drop)",
        "ignored": "rows that are neither positive nor exposed",
        "repeated_positives": "rows that repeat a positive pair",
        "repeated_exposures": "rows that repeat an exposed pair",
        "below_core": f"pairs of users or items with too few positives ({core})",
        "conflicts": "exposed pairs that are also positives: positives take precedence "
        f"(--conflicts={rules.conflicts})",
        "late_exposures": f"exposed pairs of held-out times or parts (--split={rules.split})",
        "train": "positives to train on",
        "valid": "positives for validation",
        "test": "positives for testing",
        "exposed": "exposed pairs",
    }
    lines = [f"read  {counts.rows:>13,} rows"]
    for name, text in descriptions.items():
        count = getattr(counts, name)
        if name in KEPT or count:
            lines.append(f"{'kept' if name in KEPT else 'less':6}{count:>13,} {text}")
    held_out = interactions.exposed.multiply(interactions.held_out).nnz
    if held_out:
        lines.append(
            f"note  {held_out:>13,} of the exposed pairs are held-out positives; they are kept, "
            "because removing them would leak labels"
        )
    lines += [f"note  {note}" for note in (*remarks(interactions, counts, cold_start_file), *notes)]
    return "\n".join([*lines, "", interactions.summary()])


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
