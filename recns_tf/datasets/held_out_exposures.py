"""Exposed items that are held out of training, to test a model within the items a user was shown.

Metrics of full rankings compare held-out positives with all unseen items, of which a user was shown
few. With some exposures held out, they can also be compared with items that the user was shown and
did not choose; see `evaluation.shown_metrics`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from recns_tf.datasets.preprocessing.split import TEST, split_per_user
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, to_pairs, to_rows

FLAG = "--test_exposed_share"


def hold_out_exposures(interactions: Interactions, share: float, seed: int = 0) -> Interactions:
    """Return a dataset of which a share of each user's exposures is held out of training.

    Of a user's n exposures, round(n * share) are drawn at random, with halves rounded up, and at
    least one stays. The positives are unchanged.

    Args:
        interactions: the dataset; its `test_exposed` is None.
        share: the share, more than 0 and less than 1.
        seed: seed of the draw; data loaded by name use `split_seed`.

    Raises:
        UserError: there are no exposures, or too few per user for the share.

    Example:
        >>> from recns_tf import datasets
        >>> from recns_tf.config.config import Config
        >>> data = datasets.load(Config(dataset="synthetic-small"))
        >>> held_out = hold_out_exposures(data, 0.1)
        >>> data.exposed.nnz == held_out.exposed.nnz + held_out.test_exposed.nnz
        True
    """
    pairs = to_pairs(interactions.exposed)
    if not len(pairs):
        raise UserError(f"{FLAG}={share}: {interactions.name} has no exposed items.")
    order = np.random.default_rng(seed).random(len(pairs))
    chosen = split_per_user(pairs[:, 0], order, valid=0, test=share) == TEST
    if not chosen.any():
        largest = int(np.diff(interactions.exposed.indptr).max())
        raise UserError(
            f"{FLAG}={share}: no user of {interactions.name} has more than {largest} exposed "
            "items, too few to hold one out; choose a larger share."
        )
    return dataclasses.replace(
        interactions,
        exposed=to_rows(pairs[~chosen], interactions.exposed.shape),
        test_exposed=to_rows(pairs[chosen], interactions.exposed.shape),
        source=interactions.source | {"test_exposed": {"share": share, "seed": seed}},
    )
