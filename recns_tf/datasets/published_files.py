"""Files that a repository publishes: downloaded if they are missing, and verified by checksums."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from recns_tf.datasets.download import DownloadError, download
from recns_tf.errors import UserError
from recns_tf.utils.files import sha256


def fetch(
    name: str,
    folder: Path,
    addresses: Sequence[str],
    home: str,
    checksums: Mapping[str, str],
    checksum: Callable[[Path], str] = sha256,
) -> None:
    """Download the files that are missing in `folder`.

    Existing files are used as they are, with a line on standard error if they differ.

    Args:
        name: name of the dataset, for messages.
        folder: where the files belong.
        addresses: HTTP addresses of folders that hold the files; they are tried in this order.
        home: the page that shows the files, for messages.
        checksums: the checksum of each file in hexadecimal, by name.
        checksum: computes the checksum of a file.

    Raises:
        UserError: a download fails; the message says which files to put where.
    """
    for file, expected in checksums.items():
        path = folder / file
        if path.exists():
            if checksum(path) != expected:
                print(f"{path} is not the authors' file; it is used anyway.", file=sys.stderr)
            continue
        try:
            fetch_file([f"{address}/{file}" for address in addresses], path, expected, checksum)
        except DownloadError as error:
            raise UserError(
                f"{name} cannot be downloaded: {error}. Run again to continue the download; "
                f"without a network, put {', '.join(checksums)} of {home} into {folder}/."
            ) from error


def fetch_file(
    urls: Sequence[str], path: Path, expected: str, checksum: Callable[[Path], str]
) -> None:
    """Download one file from the first of some addresses that has it.

    Raises:
        DownloadError: none has it; the message is about the last one.
    """
    *others, last = urls
    for url in others:
        with suppress(DownloadError):
            download(url, path, expected, checksum)
            return
    download(last, path, expected, checksum)
