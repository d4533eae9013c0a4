"""MIND: news shown by Microsoft News, and which of them were clicked.

Source: Wu et al., "MIND: A Large-scale Dataset for News Recommendation", ACL 2020;
https://msnews.github.io (Microsoft Research License). behaviors.tsv has one line per impression and
no header. Its fields are separated by tabs: impression id, user id, time (11/11/2019 9:05:58 AM),
history, shown news. Shown news are `N55689-1 N35729-0`, with 1 for clicked and 0 for not clicked.
The history is not read, because it lists clicks without impressions and times.

Clicked news are positives, the other shown news exposures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from recns_tf.datasets.formats.impressions import Impressions, read_lists, require, unnest
from recns_tf.datasets.formats.text import Layout
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.datasets.public_log import load_log
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://msnews.github.io (MINDsmall_train.zip or MINDlarge_train.zip)"
FILES = ("behaviors.tsv",)
LAYOUT = Layout("\t", ("impression", "user", "time", "history", "shown"))
TIME = "%m/%d/%Y %I:%M:%S %p"


def load(directory: Path, config: Config) -> Interactions:
    """Load MIND: clicked news are positives, the other shown news exposures.

    Args:
        directory: data/mind.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: behaviors.tsv is missing or damaged.
    """
    return load_log(directory, FILES, HOME, read, config)


def read(paths: Sequence[Path]) -> Log:
    """Read behaviors.tsv.

    Raises:
        UserError: a line is malformed; the message gives its number.
    """
    return read_lists(paths, LAYOUT, ("user", "time", "shown"), parse)


def parse(users: pa.Array, times: pa.Array, shown: pa.Array) -> Impressions:
    """Parse a batch of lines, given as Arrow string arrays [n], into impressions.

    Raises:
        BadValue: a time or an impression is malformed.
    """
    when = pc.strptime(times, format=TIME, unit="s", error_is_null=True)
    require(pc.is_valid(when), times, "time", "such as 11/11/2019 9:05:58 AM")
    lines, marks = unnest(shown, " ")
    good = pc.match_substring_regex(marks, "^[^ ]+-[01]$")
    require(good, marks, "impression", "such as N55689-1 or N35729-0", lines)
    return Impressions(
        lines=lines,
        users=users.take(lines),
        items=pc.utf8_slice_codeunits(marks, 0, -2),
        positive=pc.ends_with(marks, "-1"),
        times=pc.cast(when, pa.int64()).take(lines),
    )
