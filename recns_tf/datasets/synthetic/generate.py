"""Generate synthetic interactions of any size from a seed, without a download.

Clicks and exposures follow the model in preferences.py, which is calibrated on Zhihu;
weighted_sampling.py draws from it exactly. Exposed items are therefore hard negatives, as in the
paper: popularity alone ranks a held-out positive above a random item with an AUC of 0.9, but above
an exposed item of the same user with an AUC of only 0.6.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recns_tf.datasets.cache import cached
from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.datasets.preprocessing.rules import split_rules
from recns_tf.datasets.synthetic import weighted_sampling
from recns_tf.datasets.synthetic.preferences import Shape, sample_preference_model
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.memory import available_bytes, require_memory

if TYPE_CHECKING:
    from recns_tf.config.config import Config

PRESETS = {
    "small": Shape(1_000, 2_000, 40_000, 46_000),
    "zhihu": Shape(16_015, 44_175, 3_284_734, 3_796_551),
    "alibaba": Shape(434_442, 227_410, 7_104_657, 10_868_570),
}
SIZES = "--synthetic_users, --synthetic_items, --synthetic_clicks or --synthetic_exposures"
MODEL_VERSION = 1
"""Version of the model. Increase it with every change, so that older caches are not read."""


def load(directory: Path, config: Config) -> Interactions:
    """Return a synthetic dataset, split 80/10/10 per user at random.

    Args:
        directory: folder of the binary cache, data/NAME.
        config: all settings. The dataset depends on `dataset`, `synthetic_seed`, `split` and
            `split_seed`; "synthetic" also depends on `synthetic_users` and the other sizes.

    Raises:
        UserError: the sizes are impossible, or the cache is damaged.
    """
    return cached(directory, source_of(config), lambda: interactions_of(config))


def source_of(config: Config) -> dict[str, Any]:
    """Return everything that a synthetic dataset depends on."""
    version = {"law": MODEL_VERSION, "synthetic_seed": config.synthetic_seed}
    return version | asdict(shape_of(config)) | asdict(split_rules(config))


def interactions_of(config: Config) -> Interactions:
    """Generate a synthetic dataset, without a cache."""
    shape = shape_of(config)
    require_memory(
        "the synthetic dataset", bytes_needed(shape), available_bytes(), f"lower {SIZES}"
    )
    log = generate(shape, config.synthetic_seed)
    return to_interactions(log, config.dataset, split_rules(config), source_of(config))[0]


def bytes_needed(shape: Shape) -> dict[str, int]:
    """Return a lower bound on the bytes that `generate` takes, by what needs them.

    The numbers of bytes per user, item and pair are measured.
    """
    return {
        "its users": 60 * shape.num_users,
        "its items": 300 * shape.num_items,
        "its pairs": 40 * (shape.num_clicks + shape.num_exposures),
    }


def shape_of(config: Config) -> Shape:
    """Return the shape of a synthetic dataset: that of its name, or that of the flags.

    Raises:
        UserError: there are too many clicks or exposures, or fewer clicks than users.
    """
    if config.dataset != "synthetic":
        return PRESETS[config.dataset.removeprefix("synthetic-")]
    users, items = config.synthetic_users, config.synthetic_items
    clicks, exposures = config.synthetic_clicks, config.synthetic_exposures
    if not users <= clicks <= users * items:
        raise UserError(
            f"--synthetic_clicks={clicks}: choose a number from {users} (one per user) to "
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
    """Generate a log in which each pair occurs at most once, either clicked or exposed.

    Args:
        shape: the exact sizes of the log.
        seed: at least 0; the same seed gives the same log with the same version of NumPy.

    Returns:
        A log with int32 users and items and without times; clicks come first, and both kinds are
        in ascending order.

    Example:
        >>> log = generate(Shape(num_users=10, num_items=20, num_clicks=50, num_exposures=30), 0)
        >>> int(log.positive.sum()), len(log.users)
        (50, 80)
    """
    model_seeds, click_seeds, exposure_seeds = np.random.SeedSequence(seed).spawn(3)
    model = sample_preference_model(shape, model_seeds)
    clicked = weighted_sampling.weighted_sampling_without_replacement(
        model.click_rates, model.clicks, np.random.default_rng(click_seeds), description="clicks"
    )
    exposed = weighted_sampling.weighted_sampling_without_replacement(
        model.exposure_rates,
        model.exposures,
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
