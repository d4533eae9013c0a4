"""On-disk cache of built regions; see utils/array_cache.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recns_tf.regions.storage import StoredRegion
from recns_tf.utils import array_cache
from recns_tf.utils.array_cache import Kind, Stored, checksum

FORMAT = 1
REGION = Kind(
    "region",
    "the region",
    {
        "lists": {"counts", "starts", "items", "missing"},
        "bitmap": {"counts", "words"},
        "sizes": {"counts"},
    },
)


def cached(
    directory: Path | None,
    train: csr_array,
    settings: dict[str, Any],
    build: Callable[[], StoredRegion],
) -> StoredRegion:
    """Return the regions that `build` makes, read from `directory` if they are cached there.

    Args:
        directory: folder of the cache; None disables it.
        train: boolean CSR array [num_users, num_items] of train positives.
        settings: everything else that the regions depend on.
        build: builds the regions.
    """
    if directory is None:
        return build()

    def entry() -> Stored:
        form = build()
        return Stored(form.name, {"counts": form.counts, **form.arrays})

    key = {"format": FORMAT, "train": checksum(train), **settings}
    form, arrays = array_cache.cached(directory, REGION, key, entry)
    return StoredRegion(form, np.asarray(arrays.pop("counts")), arrays)
