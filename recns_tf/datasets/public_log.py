"""Loading of public logs: files supplied by the user, a split from the flags, and a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.cache import cached
from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.formats.logs import read_events
from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.datasets.preprocessing.rules import split_rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import sha256

if TYPE_CHECKING:
    from recns_tf.config.config import Config


def load_tables(
    directory: Path, names: Sequence[str], home: str, events: Events, config: Config
) -> Interactions:
    """Load a log stored as tables.

    Args:
        directory: data/NAME, with the files.
        names: names of the files.
        home: where to obtain them, for the error message.
        events: the columns of the tables.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: a file is missing or damaged.
    """
    return load_log(
        directory,
        names,
        home,
        lambda paths: read_events(paths, events),
        config,
        {"label": events.label},
    )


def load_log(
    directory: Path,
    names: Sequence[str],
    home: str,
    read: Callable[[Sequence[Path]], Log],
    config: Config,
    options: dict[str, str] | None = None,
) -> Interactions:
    """Load a log from existing files, split 80/10/10 per user and cached.

    Users without a positive are dropped, because they are useless for training and testing.

    Args:
        directory: data/NAME, with the files.
        names: names of the files.
        home: where to obtain them, for the error message.
        read: reads the files into a Log.
        config: uses `split` and `split_seed`.
        options: other values on which the Log depends, part of the cache key.

    Raises:
        UserError: a file is missing or damaged.
    """
    paths = [directory / name for name in names]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise UserError(f"put {', '.join(missing)} of {home} into {directory}/.")
    rules = split_rules(config, user_core=1)
    files = {path.name: sha256(path) for path in paths}
    source = {"files": files, **(options or {}), **asdict(rules)}
    return cached(
        directory,
        source,
        lambda: to_interactions(read(paths), directory.name, rules, source)[0],
    )
