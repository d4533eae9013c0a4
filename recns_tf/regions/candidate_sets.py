"""Item sets inside the graph that candidates are drawn from during training."""

from __future__ import annotations

from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ItemSets, ListedItems, Pool
from recns_tf.regions.pools import draw_pools
from recns_tf.regions.region import Region
from recns_tf.utils.text import count


def exact_sets(region: Region) -> ItemSets | None:
    """Return every user's exact region, or None if only the sizes are stored."""
    if region.form is None:
        return ComplementItems(region.train)
    num_items = region.train.shape[1]
    if region.form.name == "bitmap":
        return Bitmap(region.form.arrays["words"], num_items)
    if region.form.name == "lists":
        missing = region.form.arrays["missing"]
        if missing.all():
            return ComplementItems(region.form.rows(True, num_items))
        listed = ListedItems(region.form.rows(False, num_items))
        if not missing.any():
            return listed
        return Fallback(listed, ComplementItems(region.form.rows(True, num_items)))
    return None


class CandidateSets:
    """The item sets of a region: exact sets, or pools if the exact sets are not stored.

    Args:
        region: the region to draw from.
        pool_size: P, maximum number of items in a pool.
        pool_epochs: epochs before pools are redrawn; 0 for never.
        seed: the run's seed.

    Attributes:
        sets: the item sets to draw from. Pools are empty until `prepare` is called.

    Example:
        >>> region = build_region(train, "intermediate", khop=3)
        >>> candidates = CandidateSets(region, pool_size=512, pool_epochs=1, seed=0)
        >>> candidates.prepare(epoch=0)
        >>> random.without_replacement(candidates.sets, users, 20, random.root(0))
    """

    def __init__(self, region: Region, *, pool_size: int, pool_epochs: int, seed: int):
        self.region = region
        self.pool_size = pool_size
        self.pool_epochs = pool_epochs
        self.seed = seed
        self.generation = -1
        self.pool: Pool | None = None
        sets = exact_sets(region)
        if sets is None:
            sets = self.pool = Pool(*region.train.shape, pool_size)
        self.sets: ItemSets = sets

    def prepare(self, epoch: int) -> None:
        """Draw the pools of an epoch, counted from 0, unless they are current.

        Pools depend only on the seed and the epoch.
        """
        generation = epoch // self.pool_epochs if self.pool_epochs else 0
        if self.pool is not None and generation != self.generation:
            self.pool.assign(*draw_pools(self.region, self.pool_size, self.seed, generation))
            self.generation = generation

    def summary(self, num_candidates: int) -> str:
        """Return a description of the region, and of the pools if they are used."""
        text = self.region.summary(num_candidates)
        if self.pool is not None:
            drawn = f"every {count(self.pool_epochs, 'epoch')}" if self.pool_epochs else "once"
            text += (
                "\nthe exact region needs more than --region_memory: candidates are drawn from "
                f"pools of {count(self.pool_size, 'item')} per user, drawn {drawn}"
            )
        return text
