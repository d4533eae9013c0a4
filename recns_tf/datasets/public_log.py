"""What the public logs share: files that the user put there, rules from the flags, one cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.cache import cached
from recns_tf.datasets.formats.events import Events, read_events
from recns_tf.datasets.preprocessing.log import Log, split_rules, to_interactions
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import sha256

if TYPE_CHECKING:
    from recns_tf.config.config import Config


def load_tables(
    directory: Path, names: Sequence[str], home: str, events: Events, config: Config
) -> Interactions:
    """Return the dataset of a log in tables; see load_log."""
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
    how: dict[str, str] | None = None,
) -> Interactions:
    """Return the dataset of a log that must be there already, split 80/10/10 per user and cached.

    Users without a positive are dropped: there is nothing to learn or to test for them.

    Args:
        directory: data/NAME, with the files.
        names: of the files.
        home: where they can be had, for the user.
        read: makes a Log of the files.
        config: of which `split` and `split_seed` count.
        how: what else the Log depends on.

    Raises:
        UserError: a file is absent or damaged.
    """
    paths = [directory / name for name in names]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise UserError(f"put {', '.join(missing)} of {home} into {directory}/.")
    rules = split_rules(config, user_core=1)
    files = {path.name: sha256(path) for path in paths}
    source = {"files": files, **(how or {}), **asdict(rules)}
    return cached(
        directory,
        source,
        lambda: to_interactions(read(paths), directory.name, rules, source)[0],
    )
