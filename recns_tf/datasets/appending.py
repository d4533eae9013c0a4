"""Further rows for a prepared dataset: tomorrow's part of a log.

The rows are read as those before them, and the whole log is split anew. The result is the same as
if all files had been prepared at once. Datasets of earlier runs stay in the folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.config.cluster import LOCALLY, ClusterSettings
from recns_tf.datasets import prepared
from recns_tf.datasets.account import account
from recns_tf.datasets.formats.engines import engine
from recns_tf.datasets.formats.logs import read_events
from recns_tf.datasets.formats.sources import Source, checksums, find_sources
from recns_tf.datasets.preparation import Preparation, events_of
from recns_tf.datasets.preprocessing.log import Log, RowCounts
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.registry import PREPARED
from recns_tf.utils.damage import reading
from recns_tf.utils.text import count


def append(
    directory: Path, inputs: str, cluster: ClusterSettings = LOCALLY
) -> tuple[Interactions, RowCounts]:
    """Add rows to a prepared dataset, replace it as a whole, and print what happened to all rows.

    Args:
        directory: data/NAME.
        inputs: the files, as in --input.
        cluster: what reads the files; the dataset does not depend on it.

    Returns:
        The dataset, and what happened to the rows of the whole log.

    Raises:
        UserError: there is no such dataset, it has a split of its own files, a file was read
            already or is invalid, or ids are of another type; nothing is written.
    """
    if not prepared.is_prepared(directory):
        raise UserError(
            f"--append={inputs}: {directory} is not a prepared dataset; prepare it with --input."
        )
    with prepared.claim(directory, overwrite=True):
        about, log = prepared.contents(directory)
        with reading(directory / PREPARED, "prepare the dataset again"):
            settings = Preparation(**about["settings"])
            rules = Rules(**about["rules"])
            earlier = RowCounts(**{name: about["account"][name] for name in RowCounts._fields})
        if settings.train_input:
            raise UserError(
                f"--append={inputs}: {directory.name} was made of files that are split already; "
                "prepare it again with the further rows in them."
            )
        sources = find_sources(inputs, "append")
        further, files = read_further(sources, about, settings, directory.name, cluster)
        rows = len(further.users) + further.ignored + further.missing
        print(
            f"{count(rows, 'row')} read, besides the {count(earlier.rows, 'row')} of "
            f"{directory.name}; sorting and splitting them …",
            flush=True,
        )
        whole = joined(log, further, directory.name)._replace(
            ignored=earlier.ignored + further.ignored, missing=earlier.missing + further.missing
        )
        notes = [*about["notes"], *(note for note in further.notes if note not in about["notes"])]
        interactions, counts = prepared.prepare(
            directory,
            whole,
            rules,
            {
                "settings": about["settings"],
                "inputs": [*about["inputs"], *files],
                "notes": notes,
            },
            kept=sorted(directory.glob("interactions-*.npz")),
        )
    print(account(interactions, counts, rules, notes))
    return interactions, counts


def read_further(
    sources: Sequence[Source],
    about: dict[str, Any],
    settings: Preparation,
    name: str,
    cluster: ClusterSettings,
) -> tuple[Log, list[dict[str, str]]]:
    """Return the log in further files of a dataset, and their names and checksums.

    Args:
        sources: the files.
        about: the content of prepared.json.
        settings: how the dataset was prepared.
        name: name of the dataset, for messages.
        cluster: what reads the files.

    Raises:
        UserError: a file was read already or is invalid.
    """
    known = {each["sha256"]: each["path"] for each in about["inputs"]}
    with engine(cluster) as each:
        files = checksums(sources, each)
        for file in files:
            if file["sha256"] in known:
                raise UserError(
                    f"{file['path']} has the content of {known[file['sha256']]}, which "
                    f"{name} holds already."
                )
        return read_events(sources, events_of(settings), each=each), files


def joined(first: Log, second: Log, name: str) -> Log:
    """Return the rows of two logs, the first ones first.

    Args:
        first, second: logs with the same columns.
        name: name of the dataset, for messages.

    Raises:
        UserError: the ids of one are integers, and those of the other text.
    """
    columns: dict[str, Any] = {}
    for kind in ("user", "item"):
        one, other = (getattr(log, f"{kind}_ids") for log in (first, second))
        if one.dtype.kind in "iu" and other.dtype.kind not in "iu":
            raise UserError(
                f"the {kind} ids of {name} are integers, and '{other[-1]}' is none; prepare all "
                "files together."
            )
        other = other.astype(one.dtype) if one.dtype.kind in "iu" else other.astype(str)
        ids = np.union1d(one, other)
        columns[f"{kind}_ids"] = ids
        columns[f"{kind}s"] = np.concatenate(
            [
                places(ids, known)[getattr(log, f"{kind}s")]
                for known, log in ((one, first), (other, second))
            ]
        )
    for field in ("positive", "times", "parts"):
        both = [getattr(log, field) for log in (first, second)]
        columns[field] = None if both[0] is None else np.concatenate(both)
    return first._replace(**columns)


def places(ids: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int32]:
    """Return the place of each of `known` in the ascending `ids`, int32 [n]."""
    return np.searchsorted(ids, known).astype(np.int32)
