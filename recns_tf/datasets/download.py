"""Files from the network: resumed where they broke off, verified, whole or not there at all."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from recns_tf.utils.files import sha256

TIMEOUT_SECONDS = 20
WAITS_SECONDS = (1.0, 2.0, 4.0)  # between one attempt and the next
CHUNK_BYTES = 1 << 16


class DownloadError(Exception):
    """A file could not be had: the sentence says from where and why."""


class BrokenLine(DownloadError):
    """A failure that another attempt may mend."""


def download(url: str, path: Path, expected: str, checksum: Callable[[Path], str] = sha256) -> Path:
    """Fetch `url` into `path` with a progress bar, verify it and return `path`.

    What has arrived is kept in `path`.part; a transfer that breaks off is taken up where it
    broke, at once and again by the next call, if the server can send a part of a file. A file
    at `path` that verifies already is not fetched again.

    Args:
        url: where from, by HTTP.
        path: where to.
        expected: the checksum in hexadecimal.
        checksum: computes it from a file.

    Raises:
        DownloadError: no answer, a broken transfer, or another content than expected;
            `path` is then as it was before.
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with locked(part) as file:
        # Another process may have fetched it while this one waited for the part.
        if path.is_file() and checksum(path) == expected:
            file.truncate(0)
            return path
        for _ in range(2):
            resumed_at = fetch(url, file)
            if checksum(part) == expected:
                os.replace(part, path)
                return path
            file.truncate(0)
            # An earlier part may be of another version of the file: then once more, from 0.
            if not resumed_at:
                break
    raise DownloadError(f"{url} is not the file expected (its checksum differs)")


@contextmanager
def locked(part: Path) -> Iterator[BinaryIO]:
    """Yield `part` open for appending, while no other process has it; removed if left empty."""
    while True:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it before may have moved or removed it.
            if not is_at(file, part):
                continue
            try:
                yield file
            finally:
                if not file.seek(0, os.SEEK_END) and is_at(file, part):
                    part.unlink()
            return


def is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether the open `file` is the one that `path` names."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def fetch(url: str, file: BinaryIO) -> int:
    """Complete `file` in a few attempts; see fetch_rest."""
    for wait in WAITS_SECONDS:
        try:
            return fetch_rest(url, file)
        except BrokenLine:
            time.sleep(wait)
    return fetch_rest(url, file)


def fetch_rest(url: str, file: BinaryIO) -> int:
    """Append to `file` what it lacks of `url`; return how much was kept of what it held.

    Raises:
        BrokenLine: no answer, or it broke off; `file` keeps what arrived.
        DownloadError: the server refuses.
    """
    start = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with network(url):
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if not start or error.code != 416:
                raise
            error.close()
            return start  # nothing lies behind the part: the checksum tells whether it is whole
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
    received = file.seek(0, os.SEEK_END)  # which also writes out what is buffered
    if total is not None and received < total:
        raise BrokenLine(f"{url} broke off after {received:,} of {total:,} bytes")
    return start


def first_byte(response: Any) -> int:
    """Return where in the file a response begins, -1 if it does not say."""
    if response.status != 206:
        return 0
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(place[1]) if place else -1


def next_chunk(url: str, response: Any) -> bytes:
    """Return the bytes that arrive next, b"" at the end."""
    with network(url):
        # Not read(): it waits for a whole chunk, and loses what came of it if the line breaks.
        chunk: bytes = response.read1(CHUNK_BYTES)
        return chunk


@contextmanager
def network(url: str) -> Iterator[None]:
    """Turn the failures of a network into a DownloadError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        kind = BrokenLine if error.code >= 500 or error.code == 429 else DownloadError
        raise kind(f"{url} could not be read ({error})") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        # Where there is no such host, or nobody listens, another attempt would only wait.
        absent = isinstance(reason, (socket.gaierror, ConnectionRefusedError))
        kind = DownloadError if absent else BrokenLine
        raise kind(f"{url} could not be read ({reason})") from error
