"""List the items or users of a finished run that are most similar to given ones.

RUN is a folder under runs/. Similarity is the cosine of the embeddings. --items and --users take
ids separated by commas, @FILE for the ids of a file, or all. A file is needed for ids that contain
a comma, begin with @ or are the word all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from recns_tf.api import load
from recns_tf.commands.app import Call, Command
from recns_tf.commands.recommend import named_in, require_topk
from recns_tf.config.flags import A_FOLDER, LARGEST_K, Checked, option, whole
from recns_tf.errors import UserError
from recns_tf.serving.chosen_ids import of_list
from recns_tf.serving.list_files import LEGAL, list_writer, require_ending
from recns_tf.serving.lists import Columns
from recns_tf.utils.new_files import new_file, refuse_existing
from recns_tf.utils.text import LONGEST_LIST, count, printable

EVERYTHING = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Similar(Checked):
    """The flags of this command."""

    items: str = option("", "items: ids separated by commas, @FILE, or all", longest=LONGEST_LIST)
    users: str = option("", "users: ids separated by commas, @FILE, or all", longest=LONGEST_LIST)
    topk: int = option(10, "length of the lists", whole(1, LARGEST_K))
    output: str = option("", f"file whose name ends in {LEGAL}; if empty, the lists are printed")
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    overwrite: bool = option(False, "replace an existing file")


def main(call: Call) -> None:
    """Run the command."""
    settings = call.settings(Similar)
    if bool(settings.items) == bool(settings.users):
        raise UserError("--items or --users is needed, one of the two.")
    kind, text = ("item", settings.items) if settings.items else ("user", settings.users)
    if text == EVERYTHING and not settings.output:
        raise UserError(f"--{kind}s=all needs --output: a file that ends in {LEGAL}.")
    path = None
    if settings.output:
        path = require_ending(settings.output)
        refuse_existing(path, settings.overwrite)
    model = load(call.words[0], data_dir=settings.data_dir, stored_ids=True)
    known = model.items if kind == "item" else model.users
    require_topk(settings.topk, len(known.labels) - 1, f"other {kind}s")
    ids = None
    if text != EVERYTHING:
        ids = named_in(text, of_list(f"--{kind}s", text, known)).ids
    parts = model.similar(kind, ids, settings.topk)
    if path is None:
        for part in parts:
            print(aligned(part))
        return
    rows = 0
    with new_file(path, settings.overwrite) as temporary, list_writer(temporary) as write:
        for part in parts:
            write(part)
            rows += len(part["rank"])
    print(f"{path.absolute()}: {count(rows, 'row')}.")


def aligned(columns: Columns) -> str:
    """Return columns as a table whose numbers are aligned on the right, and text on the left."""
    cells = []
    for name, values in columns.items():
        texts = [name, *map(text_of, values.tolist())]
        width = max(map(len, texts))
        is_text = values.dtype.kind not in "iuf"
        cells.append([each.ljust(width) if is_text else each.rjust(width) for each in texts])
    rows: Iterable[tuple[str, ...]] = zip(*cells, strict=True)
    return "\n".join("  ".join(row).rstrip() for row in rows)


def text_of(value: Any) -> str:
    """Return a cell of the table: scores with four digits, text without control characters."""
    return f"{value:.4f}" if isinstance(value, float) else printable(str(value))


COMMAND = Command(
    about=__doc__ or "",
    words="RUN",
    example="runs/ml-100k-lightgcn-recns --items=50,181",
    settings=(Similar,),
    run=main,
    interrupted="nothing was written",
)
