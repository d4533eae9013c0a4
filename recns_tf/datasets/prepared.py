"""Datasets made from your own log by `./run.sh prepare NAME …`.

data/NAME/ contains log.npz, the events in binary form; prepared.json, how they were read and how
they are split; cold_start.csv, the users and items with held-out positives but no train positive,
if there are any; and the caches of the splits. The seed of the split is a setting of the run, so a
log that is prepared once can be split in several ways.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recns_tf.datasets.cache import cached
from recns_tf.datasets.cold_start import FILE, cold_start, write_cold_start
from recns_tf.datasets.preprocessing.log import Log, RowCounts, to_interactions
from recns_tf.datasets.preprocessing.rules import Rules, split_rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.registry import PREPARED
from recns_tf.utils import folders
from recns_tf.utils.arrays import read_npz
from recns_tf.utils.damage import reading
from recns_tf.utils.files import read_object, sha256, write_json
from recns_tf.utils.seal import SEAL, check_seal, seal

if TYPE_CHECKING:
    from recns_tf.config.config import Config

LOG, ABOUT = "log.npz", PREPARED
ARRAYS = ("users", "items", "positive", "times", "user_ids", "item_ids", "parts", "train_only")


def is_prepared(directory: Path) -> bool:
    """Return whether a folder contains a prepared log, after putting it back if necessary.

    If `prepare` replaces it meanwhile, this looks again.
    """
    while True:
        identity = folders.identity(directory)
        if has_about(directory):
            return True
        if folders.identity(directory) == identity:
            return False


def has_about(directory: Path) -> bool:
    """Return whether a folder has the file that marks a prepared log."""
    return (directory / ABOUT).is_file()


@contextmanager
def claim(directory: Path, overwrite: bool) -> Iterator[None]:
    """Lock data/NAME for `prepare`, for the length of the block.

    Args:
        directory: data/NAME.
        overwrite: whether an existing dataset may be replaced.

    Raises:
        UserError: another process prepares it, it exists and `overwrite` is False, or the folder
            has other files.
    """
    with folders.claim(directory, f"another process is preparing {directory}."):
        if has_about(directory) and not overwrite:
            raise UserError(f"{directory} already exists: choose another name, or use --overwrite.")
        if directory.exists() and not has_about(directory) and any(directory.iterdir()):
            raise UserError(
                f"{directory} is not a prepared dataset: choose another name, or remove the folder."
            )
        yield


def contents(directory: Path) -> tuple[dict[str, Any], Log]:
    """Return the content of prepared.json, and the log of a prepared dataset.

    The log lacks the numbers of ignored and missing rows.

    Raises:
        UserError: a file is damaged or was changed.
    """
    about = read_about(directory)
    return about, read(directory / LOG, str(about["log_sha256"]))


def read_about(directory: Path) -> dict[str, Any]:
    """Return the content of prepared.json, whose rules and checksum of the log are legal.

    Raises:
        UserError: it is damaged or was changed.
    """
    path = directory / ABOUT
    with reading(path, f"prepare {directory.name} again"):
        about = read_object(path)
        # Earlier versions wrote no checksum.
        if SEAL in about:
            about = check_seal(about)
        Rules(**about["rules"])
        str(about["log_sha256"])
        return about


def prepare(
    directory: Path,
    log: Log,
    rules: Rules,
    about: dict[str, Any],
    kept: Sequence[Path] = (),
) -> tuple[Interactions, RowCounts]:
    """Store a log in `directory`, which is replaced as a whole.

    Args:
        directory: data/NAME, locked by `claim`.
        log: the events.
        rules: how to filter and split. The seed is not stored, because each run has its own.
        about: the source of the log and how it was read, for prepared.json.
        kept: files of `directory` that stay.

    Returns:
        The dataset split with the seed of `rules`, and what happened to the rows of the log.

    Raises:
        UserError: as in to_interactions; nothing is written.
    """
    accounts = []
    with folders.replace(directory) as temporary:
        for path in kept:
            shutil.copy2(path, temporary)
        arrays = {name: getattr(log, name) for name in ARRAYS if getattr(log, name) is not None}
        np.savez(temporary / LOG, allow_pickle=False, **arrays)
        source = {"log_sha256": sha256(temporary / LOG)} | dataclasses.asdict(rules)

        def build() -> Interactions:
            interactions, counts = to_interactions(log, directory.name, rules, source)
            accounts.append(counts)
            return interactions

        interactions = cached(temporary, source, build)
        (counts,) = accounts
        write_cold_start(interactions, temporary / FILE)
        settings = dataclasses.asdict(rules)
        del settings["split_seed"]
        write_json(
            temporary / ABOUT,
            seal(
                {
                    "rules": settings,
                    "log_sha256": source["log_sha256"],
                    **about,
                    "account": {
                        **counts._asdict(),
                        "split_seed": rules.split_seed,
                        "cold_start": {
                            part: found._asdict()
                            for part, found in cold_start(interactions).items()
                        },
                    },
                }
            ),
        )
    return interactions, counts


def load(directory: Path, config: Config) -> Interactions:
    """Load a prepared dataset with the prepared split or that of the flags, and cache it.

    If `prepare` replaces it meanwhile, the new one is loaded.

    Args:
        directory: data/NAME.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: a file in `directory` is damaged, or the log has no times for a split by time.
    """
    while True:
        identity = folders.identity(directory)
        try:
            return load_once(directory, config)
        except (UserError, OSError):
            # Files of two datasets never match: their checksums differ.
            if folders.identity(directory) == identity:
                raise


def load_once(directory: Path, config: Config) -> Interactions:
    """Load a prepared dataset that is not replaced meanwhile; see `load`."""
    about = read_about(directory)
    log_sha256 = str(about["log_sha256"])
    rules = split_rules(config, **about["rules"])
    source = {"log_sha256": log_sha256} | dataclasses.asdict(rules)

    def build() -> Interactions:
        log = read(directory / LOG, log_sha256)
        return to_interactions(log, directory.name, rules, source)[0]

    return cached(directory, source, build)


def read(path: Path, expected_sha256: str) -> Log:
    """Read a log written by `prepare`, without its number of ignored rows.

    Raises:
        UserError: the file is damaged or was changed.
    """
    with reading(path, "prepare the log again"):
        if sha256(path) != expected_sha256:
            raise ValueError("its checksum does not match")
        arrays: dict[str, Any] = {
            name: array for name, array in read_npz(path).items() if name in ARRAYS
        }
        return Log(**({"times": None} | arrays))
