"""MIND: news shown by Microsoft News, and which of them were clicked.

Source: Wu et al., "MIND: A Large-scale Dataset for News Recommendation", ACL 2020;
https://msnews.github.io (Microsoft Research License). behaviors.tsv has one line per impression and
no header. Its fields are separated by tabs: impression id, user id, time (11/11/2019 9:05:58 AM),
history, shown news. Shown news are `N55689-1 N35729-0`, with 1 for clicked and 0 for not clicked.
The history is a list of the news that the user clicked before: `N55189 N42782`.

Clicked news are positives, the other shown news exposures. News in the history are positives of
train, never of valid or test: their times are unknown, but all are before the impression. That also
holds for news that were clicked again in an impression. --history=none ignores the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recns_tf.datasets.formats.impressions import (
    NOT_SPACE,
    Impressions,
    read_lists,
    require,
    unnest,
)
from recns_tf.datasets.formats.text import Layout
from recns_tf.datasets.formats.timestamps import strptime
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
        config: uses `history`, `split` and `split_seed`.

    Raises:
        UserError: behaviors.tsv is missing or damaged.
    """
    history = config.history
    return load_log(
        directory, FILES, HOME, lambda paths: read(paths, history), config, {"history": history}
    )


def read(paths: Sequence[Path], history: str = "train") -> Log:
    """Read behaviors.tsv.

    Args:
        paths: the file, or several.
        history: "train" to read the histories, "none" to ignore them.

    Raises:
        UserError: a line is malformed; the message gives its number.
    """
    columns = ["user", "time", "shown", *(["history"] if history == "train" else [])]
    return read_lists(paths, LAYOUT, columns, parse)


def parse(
    users: pa.Array, times: pa.Array, shown: pa.Array, histories: pa.Array | None = None
) -> Impressions:
    """Parse a batch of lines, given as Arrow string arrays [n], into impressions.

    The news of the histories, if any, follow those of the impressions. Their time is that of the
    line, an upper bound.

    Raises:
        BadValue: a time, an impression or a history is malformed.
    """
    seconds = to_seconds(times)
    lines, marks = unnest(shown, " ")
    good = pc.match_substring_regex(marks, f"^{NOT_SPACE}+-[01]$")
    require(good, marks, "impression", "such as N55689-1 or N35729-0", lines)
    impressions = Impressions(
        lines=lines,
        users=users.take(lines),
        items=pc.utf8_slice_codeunits(marks, 0, -2),
        positive=pc.ends_with(marks, "-1"),
        times=seconds.take(lines),
    )
    if histories is None:
        return impressions
    before, news = unnest(histories, " ")
    good = pc.match_substring_regex(news, f"^{NOT_SPACE}+$")
    require(good, news, "news in the history", "an id without white space", before)
    return Impressions(
        lines=pa.concat_arrays([lines, before]),
        users=pa.concat_arrays([impressions.users, users.take(before)]),
        items=pa.concat_arrays([impressions.items, news]),
        positive=pa.concat_arrays([impressions.positive, all_of(True, news)]),
        times=pa.concat_arrays([impressions.times, seconds.take(before)]),
        train_only=pa.concat_arrays([all_of(False, marks), all_of(True, news)]),
    )


def all_of(value: bool, like: pa.Array) -> pa.Array:
    """Return an array of the length of `like` that repeats a value."""
    return pa.repeat(value, len(like))


def to_seconds(times: pa.Array) -> pa.Array:
    """Convert times such as 11/11/2019 9:05:58 AM to seconds since 1970, int64 [n].

    Raises:
        BadValue: a time has another form, or does not exist.
    """
    seconds = strptime(times, TIME)
    exist = pa.array(~np.isnan(seconds))
    if not pc.all(exist).as_py():
        has_form = pc.is_valid(pc.strptime(times, format=TIME, unit="s", error_is_null=True))
        require(has_form, times, "time", "such as 11/11/2019 9:05:58 AM")
        require(exist, times, "time", "a time that exists")
    return pa.array(seconds.astype(np.int64))
