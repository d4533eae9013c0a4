"""The flags of the baselines: grids of hyperparameters, searched on validation."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from recns_tf.config.flags import LARGEST_INTEGER, Checked, Rule, above, list_of, one_of, option

NUMBER = r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
LARGEST = 1e12
NEIGHBORS = list_of(1, LARGEST_INTEGER, "10,20,50")
NOT_NEGATIVE = Rule(
    f"numbers from 0 to {LARGEST:.15g}, such as 0,10,100",
    lambda text: (
        bool(re.fullmatch(f"{NUMBER}(,{NUMBER})*", text))
        and max(map(float, text.split(","))) <= LARGEST
    ),
)
POSITIVE = Rule(
    f"numbers above 0, at most {LARGEST:.15g}, such as 10,100,1000",
    lambda text: NOT_NEGATIVE.holds(text) and min(numbers(text)) > 0,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineSettings(Checked):
    """Grids of hyperparameters. A single number fixes a hyperparameter.

    The name of a field begins with the name of its baseline.
    """

    itemknn_neighbors: str = option(
        "10,20,50,100,200,500,1000", "itemknn: k, number of neighbors per item; a grid", NEIGHBORS
    )
    itemknn_lists: str = option(
        "scored",
        "itemknn: whose neighbor lists count, those of the scored item, or those of the user's "
        "items (Deshpande and Karypis)",
        one_of("scored", "owned"),
    )
    itemknn_scores: str = option(
        "sum",
        "itemknn: sum of the similarities to the user's items, or a predicted rating, the item's "
        "mean plus the weighted mean deviation of its neighbors from theirs (Ma et al. 2007)",
        one_of("sum", "deviations"),
    )
    itemknn_shrink: str = option(
        "0,10,50,100,300",
        "itemknn: added to the denominator of the cosine, which damps rare items; a grid",
        NOT_NEGATIVE,
    )
    ease_l2: str = option(
        "10,30,100,300,1000,3000", "ease: lambda, the L2 penalty of item weights; a grid", POSITIVE
    )
    ease_memory: float = option(
        8.0, "ease: memory limit of the item-by-item matrix, in GB", above(0, 1e6)
    )

    def of(self, name: str) -> dict[str, Any]:
        """Return the settings of the baseline called `name`."""
        settings = dataclasses.asdict(self)
        return {key: value for key, value in settings.items() if key.startswith(f"{name}_")}


def numbers(grid: str) -> list[float]:
    """Return the numbers of a grid, integers as int."""
    found = [float(text) for text in grid.split(",")]
    return [int(number) if number.is_integer() else number for number in found]
