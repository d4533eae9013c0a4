"""Synthetic interactions: a seeded world of the size that is asked for, from no download.

Users click and are shown items by the law of recns_tf/datasets/planted.py, which is calibrated on
Zhihu; recns_tf/datasets/successive.py draws from it exactly. Exposed items are then the hard
negatives that the paper is about: by popularity alone a held-out positive beats a random item with
an AUC of 0.9, but an exposed item of the same user with one of 0.6.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recns_tf.datasets.cache import cached
from recns_tf.datasets.preprocessing.log import Log, split_rules, to_interactions
from recns_tf.datasets.synthetic import weighted_sampling
from recns_tf.datasets.synthetic.preferences import Shape, plant
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

PRESETS = {
    "small": Shape(1_000, 2_000, 40_000, 46_000),
    "zhihu": Shape(16_015, 44_175, 3_284_734, 3_796_551),
    "alibaba": Shape(434_442, 227_410, 7_104_657, 10_868_570),
}
LAW = 1
"""Number of the law, which a change of it must raise: caches of another law are not read."""


def load(directory: Path, config: Config) -> Interactions:
    """Return a synthetic dataset, split 80/10/10 per user at random.

    Args:
        directory: where its binary cache is kept, data/NAME.
        config: of which `dataset`, `synthetic_seed` and `split_seed` count, and for the dataset
            "synthetic" the sizes `synthetic_users` and so on.

    Raises:
        UserError: the sizes make no world, or the cache is damaged.
    """
    name, seed = config.dataset, config.synthetic_seed
    shape = shape_of(config) if name == "synthetic" else PRESETS[name.removeprefix("synthetic-")]
    rules = split_rules(config)
    source = {"law": LAW, "synthetic_seed": seed} | asdict(shape) | asdict(rules)
    return cached(
        directory,
        source,
        lambda: to_interactions(generate(shape, seed), name, rules, source)[0],
    )


def shape_of(config: Config) -> Shape:
    """Return the shape that the flags ask for.

    Raises:
        UserError: users could not click or be shown so many items, or would have none.
    """
    users, items = config.synthetic_users, config.synthetic_items
    clicks, exposures = config.synthetic_clicks, config.synthetic_exposures
    if not users <= clicks <= users * items:
        raise UserError(
            f"--synthetic_clicks={clicks}: choose a number from {users} (one a user) to "
            f"{users * items} (--synthetic_users times --synthetic_items)."
        )
    if exposures > users * items - clicks:
        raise UserError(
            f"--synthetic_exposures={exposures}: choose a number from 0 to "
            f"{users * items - clicks} (--synthetic_users times --synthetic_items, less "
            "--synthetic_clicks)."
        )
    return Shape(users, items, clicks, exposures)


def generate(shape: Shape, seed: int) -> Log:
    """Return the log of a world: no pair twice, and none both clicked and exposed.

    Args:
        shape: its sizes, which the log has exactly.
        seed: from 0; the same seed makes the same log wherever NumPy's version is the same.

    Returns:
        Users and items int32, without times; clicks first, each kind in ascending order.
    """
    world_seeds, click_seeds, exposure_seeds = np.random.SeedSequence(seed).spawn(3)
    world = plant(shape, world_seeds)
    clicked = weighted_sampling.weighted_sampling_without_replacement(
        world.click_rates, world.clicks, np.random.default_rng(click_seeds), description="clicks"
    )
    exposed = weighted_sampling.weighted_sampling_without_replacement(
        world.exposure_rates,
        world.exposures,
        np.random.default_rng(exposure_seeds),
        excluded=clicked,
        description="exposures",
    )
    users, items = np.divmod(np.concatenate([clicked, exposed]), shape.num_items)
    return Log(
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        positive=np.arange(len(users)) < len(clicked),
        times=None,
        user_ids=np.arange(shape.num_users, dtype=np.int64),
        item_ids=np.arange(shape.num_items, dtype=np.int64),
    )
