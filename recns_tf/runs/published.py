"""The paper's published results (Tables 2 to 5), for comparison."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.utils.damage import reading

if TYPE_CHECKING:
    from recns_tf.config.config import Config

FIXED = {
    "num_negatives": 15,
    "num_candidates": 20,
    "alpha": "uniform(0,1)",
    "margin": 0.1,
    "scores": "inner",
    "region": "auto",
    "region_definition": "walk",
    "draw_law": "proportional",
    "merge": "flat",
    "num_exposed": 1,
    "exposed_weight": 1.0,
    "train_share": 1.0,
    "test_exposed_share": 0.0,
    "validate_on": "valid",
}
TABLES = Path(__file__).with_name("paper_tables.csv")


def published(config: Config, tables: Path = TABLES) -> dict[str, float | str] | None:
    """Return the paper's test metrics for the settings of `config`, or None.

    A published result is identified by dataset, encoder, sampler and, if the table lists them,
    khop and L. All other settings that the paper fixed must have its values, and
    epochs must be selected by its metric.

    Args:
        config: settings of a run.
        tables: CSV file of the paper's tables, in percent.

    Returns:
        A dict of "table", its number, and "recall@20", "ndcg@20" and "hr@20" as fractions.

    Raises:
        UserError: the file of the tables is damaged.
    """
    differs = any(getattr(config, name) != FIXED[name] for name in FIXED)
    if differs or config.selection_metric != METRIC:
        return None
    with (
        reading(tables, "install the package again"),
        tables.open(encoding="utf-8", newline="") as file,
    ):
        for row in csv.DictReader(file):
            same_model = all(
                row[key] == getattr(config, key) for key in ("dataset", "encoder", "sampler")
            )
            same_options = all(
                row[key] in ("", str(getattr(config, key))) for key in ("khop", "num_layers")
            )
            if same_model and same_options:
                numbers = {name: round(float(row[name]) / 100, 6) for name in METRICS}
                return {"table": row["table"], **numbers}
    return None
