"""The paper's own numbers, to stand beside ours (Tables 2 to 5)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from recns_tf.config.config import Config

FIXED = {
    "num_negatives": 15,
    "num_candidates": 20,
    "alpha": "uniform(0,1)",
    "margin": 0.1,
    "region": "auto",
    "region_definition": "walk",
    "draw_law": "proportional",
    "merge": "flat",
    "num_exposed": 1,
    "validate_on": "valid",
}
TABLES = Path(__file__).with_name("paper_tables.csv")


def published(config: Config, tables: Path = TABLES) -> dict[str, float | str] | None:
    """Return what the paper prints for the cell that `config` describes, or None.

    A cell is a dataset, an encoder, a sampler, and, where the table tells them, khop and L; what
    else the paper fixed must stand at its value. The paper prints percentages; these are
    fractions, like our own results.

    Returns:
        "table", "recall@20", "ndcg@20" and "hr@20".
    """
    fixed = all(getattr(config, name) == FIXED[name] for name in FIXED)
    if not fixed:
        return None
    with tables.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            same = all(
                row[key] == getattr(config, key) for key in ("dataset", "encoder", "sampler")
            )
            told = all(
                row[key] in ("", str(getattr(config, key))) for key in ("khop", "num_layers")
            )
            if same and told:
                numbers = {name: round(float(row[name]) / 100, 6) for name in METRICS}
                return {"table": row["table"], **numbers}
    return None
