"""KuaiRand-Pure: what Kuaishou showed to 27,285 users among 7,583 videos, and how they reacted.

Source: Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed
Videos", CIKM 2022; https://kuairand.com, https://zenodo.org/records/10439422 (CC BY-SA 4.0). The
logs are CSV with a heading: user_id, video_id, …, time_ms, is_click, …, long_view, …; every row was
shown. Both logs of the standard policy are read; the log of random exposures is another law, and
is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.public_log import load_tables
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://zenodo.org/records/10439422 (KuaiRand-Pure.tar.gz, folder data)"
FILES = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")


def load(directory: Path, config: Config) -> Interactions:
    """Return KuaiRand-Pure: videos watched long (or clicked) are positives, the rest exposed.

    Args:
        directory: data/kuairand-pure.
        config: of which `positive_label`, `split` and `split_seed` count.

    Raises:
        UserError: a file is absent or damaged.
    """
    events = Events("user_id", "video_id", label=config.positive_label, timestamp="time_ms")
    return load_tables(directory, FILES, HOME, events, config)
