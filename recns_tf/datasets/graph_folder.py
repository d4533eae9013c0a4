"""Load a folder in one of the authors' two formats, with its split and, if present, its ids."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recns_tf.datasets.cache import cached
from recns_tf.datasets.formats.graph_files import Files, read_lightgcn, read_pinsage
from recns_tf.datasets.preprocessing.split import TRAIN, VALID, split_per_user
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, Pairs, distinct, is_among, make_interactions
from recns_tf.utils.files import sha256
from recns_tf.utils.text import count

if TYPE_CHECKING:
    from recns_tf.config.config import Config

FORMATS: dict[str, Callable[[Path, tuple[int, int] | None], Files]] = {
    "lightgcn": read_lightgcn,
    "pinsage": read_pinsage,
}
NAMES = {
    "lightgcn": (
        "train.txt",
        "valid.txt",
        "test.txt",
        "train_exposed.txt",
        "user_list.txt",
        "item_list.txt",
    ),
    "pinsage": ("train.txt", "valid.txt", "test.txt", "user_list.txt", "item_list.txt"),
}


def load_folder(
    name: str,
    folder: Path,
    file_format: str,
    cache: Path,
    config: Config,
    sizes: tuple[int, int] | None = None,
) -> Interactions:
    """Load the dataset in a folder and cache it.

    The split is that of the files. If they have no validation part, it is drawn with
    `config.split_seed` from the train positives, a share of `config.valid_share` per user. A pair
    in several parts is kept in the first of train, test, valid, so that no train pair is tested.

    Args:
        name: name of the dataset.
        folder: folder of the files.
        file_format: "lightgcn" or "pinsage".
        cache: folder of the binary cache.
        config: uses `split`, `valid_share` and `split_seed`.
        sizes: num_users and num_items, if known.

    Raises:
        UserError: a file is missing or damaged, --split is given, or --split_seed is given although
            the files contain all parts.
    """
    if config.split != "auto":
        raise UserError(f"--split={config.split}: the files of {name} are already split.")
    paths = {each: folder / each for each in NAMES[file_format] if (folder / each).exists()}
    if "valid.txt" in paths:
        own_split = {}
        if config.split_seed:
            raise UserError(
                f"--split_seed={config.split_seed}: the files of {name} are already split."
            )
    else:
        own_split = {"valid_share": config.valid_share, "split_seed": config.split_seed}
    source = {
        "format": file_format,
        "files": {each: sha256(path) for each, path in paths.items()},
        "sizes": sizes,
        **own_split,
    }

    def build() -> Interactions:
        files = FORMATS[file_format](folder, sizes)
        return assemble(name, files, sizes, config, source)

    return cached(cache, source, build)


def assemble(
    name: str,
    files: Files,
    sizes: tuple[int, int] | None,
    config: Config,
    source: dict[str, Any],
) -> Interactions:
    """Build Interactions from files; report dropped pairs on standard error.

    Raises:
        UserError: there are no train positives.
    """
    train, valid = files.train, files.valid
    if not len(train):
        raise UserError(f"{name}: train.txt has no positives to train on.")
    num_users, num_items = graph_size(files, sizes)
    train_keys = distinct(train[:, 0] * num_items + train[:, 1])
    test = drop_duplicates(name, "test", files.test, train_keys, num_items)
    if valid is None:
        # Only train is divided, so valid and test cannot overlap.
        users = train_keys // num_items
        order = np.random.default_rng(config.split_seed).random(len(users))
        part = split_per_user(users, order, valid=config.valid_share, test=0)
        pairs = np.stack(np.divmod(train_keys, num_items), axis=1)
        train, valid = pairs[part == TRAIN], pairs[part == VALID]
    else:
        taken = np.concatenate([train_keys, test[:, 0] * num_items + test[:, 1]])
        valid = drop_duplicates(name, "valid", valid, np.sort(taken), num_items)
    drop_duplicates(name, "exposed", files.exposed, train_keys, num_items)
    return make_interactions(
        name,
        train=train,
        valid=valid,
        test=test,
        exposed=files.exposed,
        user_ids=np.arange(num_users) if files.user_ids is None else files.user_ids,
        item_ids=np.arange(num_items) if files.item_ids is None else files.item_ids,
        source=source,
    )


def graph_size(files: Files, sizes: tuple[int, int] | None) -> tuple[int, int]:
    """Return num_users and num_items from the ids, else `sizes`, else the largest indices."""
    parts = [files.train, files.test, files.exposed]
    parts += [] if files.valid is None else [files.valid]
    highest = np.max([part.max(axis=0) for part in parts if len(part)], axis=0) + 1
    users, items = sizes or highest
    users = users if files.user_ids is None else len(files.user_ids)
    items = items if files.item_ids is None else len(files.item_ids)
    return int(users), int(items)


def drop_duplicates(name: str, part: str, pairs: Pairs, keys: Any, num_items: int) -> Pairs:
    """Return the pairs that are not in another part, and report the number of the others.

    Args:
        name: name of the dataset, for the message.
        part: name of the part, for the message.
        pairs: int64 [n, 2].
        keys: pairs of the other parts as user * num_items + item, ascending.
        num_items: number of items of the graph.
    """
    duplicate = is_among(pairs[:, 0] * num_items + pairs[:, 1], keys)
    if duplicate.any():
        print(
            f"{name}: {count(duplicate.sum(), f'{part} pair is', f'{part} pairs are')} also in "
            f"another part: dropped from {part}.",
            file=sys.stderr,
        )
    return pairs[~duplicate]
