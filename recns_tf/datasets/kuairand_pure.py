"""KuaiRand-Pure: 7,583 videos shown to 27,285 users of Kuaishou, and their reactions.

Source: Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed
Videos", CIKM 2022; https://kuairand.com, https://zenodo.org/records/10439422 (CC BY-SA 4.0). The
logs are CSV with a header: user_id, video_id, …, time_ms, is_click, …, long_view, …; each row is a
video that was shown. Both logs of the standard policy are read. The log of random exposures is not
read, because its exposures follow another distribution.

A video with long_view = 1 is a positive (is_click = 1 with --positive_label=is_click); the other
shown videos are exposures.
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
    """Load KuaiRand-Pure: long-watched (or clicked) videos are positives, the rest exposures.

    Args:
        directory: data/kuairand-pure.
        config: uses `positive_label`, `split` and `split_seed`.

    Raises:
        UserError: a file is missing or damaged.
    """
    events = Events("user_id", "video_id", label=config.positive_label, timestamp="time_ms")
    return load_tables(directory, FILES, HOME, events, config)
