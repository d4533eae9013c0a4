"""Downloads that resume after an interruption, are verified, and complete atomically."""

from __future__ import annotations

import http.client
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from recns_tf.utils.files import sha256
from recns_tf.utils.locks import lock

TIMEOUT_SECONDS = 20
WAITS_SECONDS = (1.0, 2.0, 4.0)  # between attempts
CHUNK_BYTES = 1 << 16


class DownloadError(Exception):
    """A download failed; the message gives the address and the reason."""


class TransientError(DownloadError):
    """A failure that another attempt may overcome."""


def download(url: str, path: Path, expected: str, checksum: Callable[[Path], str] = sha256) -> Path:
    """Download `url` to `path` with a progress bar, verify it and return `path`.

    Received data is kept in `path`.part. If the server supports ranges, an interrupted transfer
    resumes from there, both in this call and in the next one. A file at `path` with the expected
    checksum is not downloaded again.

    Args:
        url: HTTP or HTTPS address.
        path: destination.
        expected: the checksum in hexadecimal.
        checksum: computes the checksum of a file.

    Raises:
        DownloadError: no response, an interrupted transfer, or a wrong checksum; `path` is
            unchanged.
        OSError: the file cannot be written.

    Example:
        >>> download("https://example.com/log.csv", Path("log.csv"), expected="9f86d08…")
        PosixPath('log.csv')
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with lock(part) as file:
        # Another process may have downloaded it while this one waited for the lock.
        if path.is_file() and checksum(path) == expected:
            file.truncate(0)
            return path
        for _ in range(2):
            resumed_at = fetch(url, file)
            if checksum(part) == expected:
                os.replace(part, path)
                return path
            file.truncate(0)
            # The earlier part may be of another version of the file: download it again from 0.
            if not resumed_at:
                break
    raise DownloadError(f"{url} is not the expected file (its checksum differs)")


def fetch(url: str, file: BinaryIO) -> int:
    """Call fetch_rest, and retry after a TransientError."""
    for wait in WAITS_SECONDS:
        try:
            return fetch_rest(url, file)
        except TransientError:
            time.sleep(wait)
    return fetch_rest(url, file)


def fetch_rest(url: str, file: BinaryIO) -> int:
    """Append the missing rest of `url` to `file`.

    Returns:
        The number of bytes of `file` that were kept, 0 if the download started over.

    Raises:
        TransientError: no response, or an interrupted transfer; `file` keeps the received data.
        DownloadError: the server refuses the request.
    """
    start = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with network_errors(url):
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if not start or error.code != 416:
                raise
            error.close()
            return start  # nothing follows the part: the checksum shows whether it is complete
    with response:
        if start and first_byte(response) != start:
            start = file.truncate(0)
            if first_byte(response):
                return fetch_rest(url, file)
        total = None if response.length is None else start + response.length
        with tqdm(
            initial=start,
            total=total,
            desc=Path(file.name).stem,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
        ) as bar:
            while chunk := next_chunk(url, response):
                bar.update(file.write(chunk))
    received = file.seek(0, os.SEEK_END)  # also flushes the buffer
    if total is not None and received < total:
        raise TransientError(f"{url} was interrupted after {received:,} of {total:,} bytes")
    return start


def first_byte(response: Any) -> int:
    """Return the position in the file at which a response begins, -1 if it is unknown."""
    if response.status != 206:
        return 0
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(place[1]) if place else -1


def next_chunk(url: str, response: Any) -> bytes:
    """Return the next bytes of a response, b"" at its end."""
    with network_errors(url):
        # read() waits for a full chunk, and loses a partial one if the connection breaks.
        chunk: bytes = response.read1(CHUNK_BYTES)
        return chunk


@contextmanager
def network_errors(url: str) -> Iterator[None]:
    """Convert network errors to DownloadError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        kind = TransientError if error.code >= 500 or error.code == 429 else DownloadError
        raise kind(f"{url} could not be read ({error})") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        # Retrying is useless if the host does not exist or refuses connections.
        absent = isinstance(reason, (socket.gaierror, ConnectionRefusedError))
        kind = DownloadError if absent else TransientError
        raise kind(f"{url} could not be read ({reason})") from error
