"""Files from the network, verified, and written whole or not at all."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from recns_tf.files import atomic, sha256

TIMEOUT_SECONDS = 20
CHUNK_BYTES = 1 << 16


class DownloadError(Exception):
    """A file could not be had: the sentence says from where and why."""


def download(url: str, path: Path, expected_sha256: str) -> Path:
    """Fetch `url` into `path` with a progress bar, and verify it.

    Raises:
        DownloadError: no answer, a broken transfer, or another content than expected;
            `path` is then as it was before.
    """
    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
            atomic(path) as temporary,
        ):
            length = response.headers.get("Content-Length")
            with (
                temporary.open("wb") as file,
                tqdm(
                    total=int(length) if length else None,
                    desc=path.name,
                    unit="B",
                    unit_scale=True,
                    leave=False,
                    disable=None,
                ) as bar,
            ):
                while chunk := response.read(CHUNK_BYTES):
                    bar.update(file.write(chunk))
                received = file.tell()
            if length and received != int(length):
                raise DownloadError(f"{url} broke off after {received:,} of {int(length):,} bytes")
            if sha256(temporary) != expected_sha256:
                raise DownloadError(f"{url} is not the file expected (its SHA-256 differs)")
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{url} could not be read ({reason})") from error
    return path
