"""Taobao display advertising: 26 million ads shown to 1.14 million users in 8 days of May 2017.

Source: https://tianchi.aliyun.com/dataset/56 ("Ad Display/Click Data on Taobao.com", Alibaba). Only
raw_sample.csv is read. Each row is an ad that was shown; the header is user, time_stamp,
adgroup_id, pid, nonclk, clk; clk is 1 for a click and 0 for none. The item is the ad (adgroup_id).

Clicked ads are positives, the other shown ads exposures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.public_log import load_tables
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://tianchi.aliyun.com/dataset/56"
FILES = ("raw_sample.csv",)
EVENTS = Events("user", "adgroup_id", label="clk", timestamp="time_stamp")


def load(directory: Path, config: Config) -> Interactions:
    """Load the Taobao ads: clicked ads are positives, the rest exposures.

    Args:
        directory: data/taobao.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: raw_sample.csv is missing or damaged.
    """
    return load_tables(directory, FILES, HOME, EVENTS, config)
