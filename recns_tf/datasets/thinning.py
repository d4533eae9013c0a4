"""Sparser datasets: a share of each user's train positives, with the same test."""

from __future__ import annotations

import dataclasses

import numpy as np

from recns_tf.datasets.preprocessing.split import TRAIN, split_per_user
from recns_tf.interactions import Interactions, to_pairs, to_rows


def thin(interactions: Interactions, share: float, seed: int = 0) -> Interactions:
    """Return a dataset with a share of each user's train positives, drawn at random.

    Of a user's n train positives, round(n * (1 - share)) are removed, with halves rounded up, and
    at least one stays. Held-out positives and exposures are unchanged, so that results on the same
    data with other shares are comparable. A removed pair is unobserved: a sampler may draw it, and
    a list may contain it.

    Args:
        interactions: the dataset.
        share: the share that stays, more than 0 and at most 1.
        seed: seed of the draw; data loaded by name use `split_seed`.

    Example:
        >>> from recns_tf import datasets
        >>> from recns_tf.config.config import Config
        >>> data = datasets.load(Config(dataset="synthetic-small"))
        >>> thin(data, 0.2).train.nnz < 0.3 * data.train.nnz
        True
    """
    pairs = to_pairs(interactions.train)
    order = np.random.default_rng(seed).random(len(pairs))
    kept = split_per_user(pairs[:, 0], order, valid=0, test=1 - share) == TRAIN
    return dataclasses.replace(
        interactions,
        train=to_rows(pairs[kept], interactions.train.shape),
        source=interactions.source | {"thinned": {"share": share, "seed": seed}},
    )
