"""Write the items of a finished run as a Faiss index, to be searched with embeddings of users.

RUN is a folder under runs/. The index finds the items with the largest inner products, seen ones
included: those of recommend --include_seen. Its ids are those of the log if they are integers of 0
or more; otherwise they are numbers, and OUTPUT.ids.json lists the id of each number.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf.api import load
from recns_tf.commands.app import Call, Command
from recns_tf.commands.recommend import require_topk
from recns_tf.config.flags import A_FOLDER, LARGEST_K, Checked, option, whole
from recns_tf.config.search import HNSW, SearchSettings
from recns_tf.errors import UserError
from recns_tf.serving import faiss_index
from recns_tf.serving.approximate import empty_index
from recns_tf.utils.new_files import refuse_existing


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexSettings(Checked):
    """The flags of this command."""

    output: str = option("", "file for the index, such as items.faiss")
    topk: int = option(20, "hnsw: length of the lists that measure recall", whole(1, LARGEST_K))
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    overwrite: bool = option(False, "replace an existing file")


def main(call: Call) -> None:
    """Run the command."""
    settings, search = call.settings(IndexSettings), call.settings(SearchSettings)
    if not settings.output:
        raise UserError("--output is needed: a file such as items.faiss.")
    path = Path(settings.output)
    refuse_existing(path, settings.overwrite)
    model = load(call.words[0], data_dir=settings.data_dir, stored_ids=True)
    users, items = model.embeddings
    ids = model.items.labels
    if search.approximate == HNSW:
        require_topk(settings.topk, len(items), "items")
    index = faiss_index.with_ids(empty_index(search, items.shape[1]), items, ids)
    written = faiss_index.write(index, ids, path, settings.overwrite)
    if search.approximate == HNSW:
        found = faiss_index.recall(index, items, ids, users, settings.topk)
        sample = min(len(users), faiss_index.SAMPLE)
        print(f"Recall@{settings.topk} against exact search: {found:.4f}, of {sample:,} users.")
    names = " ".join(file.name for file in written)
    print(
        f"{path.absolute().parent}/: {names}, {len(items):,} items of dimension {items.shape[1]}."
    )


COMMAND = Command(
    about=__doc__ or "",
    words="RUN",
    example="runs/ml-100k-lightgcn-recns --output=items.faiss",
    settings=(IndexSettings, SearchSettings),
    run=main,
    interrupted="run it again",
)
