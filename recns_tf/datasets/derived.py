"""Datasets that flags derive from any other: thinned, or with held-out exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recns_tf.datasets.held_out_exposures import hold_out_exposures
from recns_tf.datasets.thinning import thin
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config


def changes(config: Config) -> dict[str, float]:
    """Return the flags of `config` that derive a dataset; none leave the dataset as it is."""
    found = {}
    if config.train_share < 1:
        found["train_share"] = config.train_share
    if config.test_exposed_share:
        found["test_exposed_share"] = config.test_exposed_share
    return found


def derive(interactions: Interactions, config: Config) -> Interactions:
    """Return the dataset that the flags derive, with `split_seed` as the seed of all draws.

    Raises:
        UserError: exposures are to be held out, and there are too few.
    """
    chosen, seed = changes(config), config.split_seed
    if "train_share" in chosen:
        interactions = thin(interactions, chosen["train_share"], seed)
    if "test_exposed_share" in chosen:
        interactions = hold_out_exposures(interactions, chosen["test_exposed_share"], seed)
    return interactions
