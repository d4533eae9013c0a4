"""Settings of the search for items."""

from __future__ import annotations

import dataclasses

from recns_tf.config.flags import Checked, one_of, option, whole

NONE, HNSW = "none", "hnsw"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchSettings(Checked):
    """How items are searched."""

    approximate: str = option(
        NONE,
        "approximate search; hnsw: a graph of the items, for catalogs of a million items or more",
        one_of(NONE, HNSW),
    )
    hnsw_links: int = option(32, "hnsw: M, the links of an item per layer", whole(2, 512))
    hnsw_construction: int = option(
        200, "hnsw: efConstruction, the items kept while a link is chosen", whole(1, 10_000)
    )
    hnsw_search: int = option(
        128, "hnsw: efSearch, the items kept during a search", whole(1, 10_000)
    )
