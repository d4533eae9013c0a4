"""The log behind the paper's Zhihu data: CCIR 2018, "content recommendation on mobile Zhihu".

Source: Zhihu and THUIR for the CCIR 2018 challenge, https://biendata.com/competition/CCIR2018. We
could not open that page, so the format follows a second-hand description: training_set.txt has one
line per user and no header. Its fields are separated by tabs: the user id, possibly a count, the
list of shown items, and more. The list is `item|shown|clicked,item|shown|clicked,…` with two Unix
times, the second 0 if the item was not clicked. The first column whose first line contains such a
list is read.

Clicked items are positives, the other shown items exposures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from recns_tf.datasets.formats.delimited import lines
from recns_tf.datasets.formats.impressions import (
    WHITE_SPACE,
    Impressions,
    read_lists,
    require,
    unnest,
)
from recns_tf.datasets.formats.sources import Source
from recns_tf.datasets.formats.text import BadText, Layout
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.datasets.public_log import load_log
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "the CCIR 2018 challenge (https://biendata.com/competition/CCIR2018)"
FILES = ("training_set.txt",)
TRIPLE = rf"^[^|,{WHITE_SPACE}]+\|[0-9]{{1,18}}\|[0-9]{{1,18}}$"
FORM = "item|shown|clicked with two Unix times, the second 0 for no click"


def load(directory: Path, config: Config) -> Interactions:
    """Load the CCIR 2018 log: clicked items are positives, the other shown items exposures.

    Args:
        directory: data/ccir-zhihu.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: training_set.txt is missing or damaged.
    """
    return load_log(directory, FILES, HOME, read, config)


def read(paths: Sequence[Path]) -> Log:
    """Read training_set.txt.

    Raises:
        UserError: a line is malformed; the message gives its number.
    """
    (path,) = paths
    layout, column = layout_of(path)
    return read_lists(paths, layout, ("0", column), parse)


def layout_of(path: Path) -> tuple[Layout, str]:
    """Detect the layout of the file.

    Returns:
        The layout, with columns named 0, 1, …, and the name of the column with the lists.

    Raises:
        UserError: no field of the first line contains a list.
    """
    try:
        fields = next((fields for _, fields in lines(Source(path), Layout("\t")) if fields), [])
    except BadText as bad:
        raise UserError(f"{path} {bad}.") from bad
    for place, field in enumerate(fields):
        if re.fullmatch(TRIPLE, field.partition(",")[0].strip()):
            return Layout("\t", tuple(map(str, range(len(fields))))), str(place)
    raise UserError(f"{path} line 1: no field is a list of {FORM}.")


def parse(users: pa.Array, lists: pa.Array) -> Impressions:
    """Parse a batch of lines, given as Arrow string arrays [n], into impressions.

    Raises:
        BadValue: an impression is malformed.
    """
    rows, triples = unnest(lists, ",")
    require(pc.match_substring_regex(triples, TRIPLE), triples, "impression", FORM, rows)
    fields = pc.split_pattern(triples, "|")
    item, shown, clicked = (pc.list_element(fields, place) for place in range(3))
    return Impressions(
        lines=rows,
        users=users.take(rows),
        items=item,
        positive=pc.not_equal(pc.cast(clicked, pa.int64()), 0),
        times=pc.cast(shown, pa.int64()),
    )
