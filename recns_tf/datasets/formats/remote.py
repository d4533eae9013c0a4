"""Files on the file systems that Apache Arrow opens by an address: S3, Google Cloud, HDFS, Azure.

Credentials come from the environment of the process that reads. An address that may hold some is
refused, because messages and datasets repeat it.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pyarrow as pa
import pyarrow.fs

from recns_tf.errors import UserError
from recns_tf.utils.text import one_line

SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "file")
HOST = re.compile(r"([\w.-]+@)?[\w.-]*(:\d+)?", re.ASCII)
"""What precedes the path: perhaps a user, without a password, and a port."""

PARAMETERS = ("region", "scheme", "endpoint_override")
UNRESERVED = "/%=:@!$&'()*+,;~"
"""Characters of a path that stay in an address, besides letters, digits, '_', '.' and '-'."""

MAGIC = re.compile(r"[*\[]")


class RemoteFile(NamedTuple):
    """A file or folder on a file system of Arrow.

    Attributes:
        filesystem: an Arrow file system.
        path: the file there.
        address: its address without parameters, for messages and records.
    """

    filesystem: Any
    path: str
    address: str

    def __str__(self) -> str:
        """Return the address."""
        return self.address

    def info(self) -> pa.fs.FileInfo:
        """Return what the file system knows about it.

        Raises:
            UserError: the file system cannot be reached.
        """
        try:
            return self.filesystem.get_file_info(self.path)
        except OSError as error:
            raise UserError(f"{self} cannot be reached ({one_line(error)}).") from error

    def is_file(self) -> bool:
        """Return whether it is a file."""
        return bool(self.info().is_file)

    def is_dir(self) -> bool:
        """Return whether it is a folder."""
        return bool(self.info().type == pa.fs.FileType.Directory)

    def size(self) -> int:
        """Return the number of bytes of a file."""
        return int(self.info().size)

    def open(self) -> pa.NativeFile:
        """Open it for reading at any place.

        Raises:
            OSError: it cannot be read.
        """
        return self.filesystem.open_input_file(self.path)

    def files(self, recursive: bool = True) -> list[tuple[RemoteFile, PurePosixPath]]:
        """Return the files in this folder, in order of their paths relative to it, and these."""
        selector = pa.fs.FileSelector(self.path, recursive=recursive)
        found = []
        for each in self.filesystem.get_file_info(selector):
            if each.is_file:
                relative = PurePosixPath(posixpath.relpath(each.path, self.path))
                address = f"{self.address.rstrip('/')}/{relative}"
                found.append((RemoteFile(self.filesystem, each.path, address), relative))
        return sorted(found, key=lambda pair: pair[1])


def is_address(name: str) -> bool:
    """Return whether a name starts with a scheme, as in s3://bucket/log.parquet."""
    return bool(SCHEME.match(name))


def find_remote(name: str, flag: str) -> RemoteFile | list[tuple[RemoteFile, PurePosixPath]]:
    """Return the file that an address names, or the files of a folder or a glob.

    Args:
        name: the address of a file or a folder, or of a folder with a glob of its files.
        flag: the flag that names it, for messages.

    Returns:
        The file; or the files by name, each with its path relative to the folder.

    Raises:
        UserError: the address is malformed, may hold credentials, cannot be opened, or stands for
            nothing.
    """
    require_harmless(name, flag)
    parts = urlsplit(name, allow_fragments=False)
    shown = f"--{flag}={parts._replace(query='').geturl()}"
    folder, _, pattern = parts.path.rpartition("/")
    if MAGIC.search(folder):
        raise UserError(f"{shown}: only the last part of an address can be a glob.")
    is_glob = bool(MAGIC.search(pattern))
    parts = parts._replace(path=f"{folder}/") if is_glob else parts
    try:
        filesystem, path = pa.fs.FileSystem.from_uri(
            parts._replace(path=quote(parts.path, UNRESERVED)).geturl()
        )
        file = RemoteFile(filesystem, path, parts._replace(query="").geturl())
        if file.is_file() and not is_glob:
            return file
        if file.is_dir():
            files = file.files(recursive=not is_glob)
            names = pattern if is_glob else "*"
            return [pair for pair in files if fnmatch.fnmatchcase(pair[1].name, names)]
    except (pa.ArrowException, OSError, ImportError) as error:
        raise UserError(f"{shown} cannot be opened ({one_line(error)}).") from error
    raise UserError(f"{shown} does not exist: name a table.")


def require_harmless(name: str, flag: str) -> None:
    """Raise UserError if an address is malformed, may hold credentials, or has an unknown scheme.

    The message shows the scheme alone.
    """
    scheme = name.partition("://")[0]
    shown = f"--{flag}={scheme}://…"
    if scheme.lower() not in SCHEMES:
        raise UserError(f"{shown}: choose a local path, or an address with {', '.join(SCHEMES)}.")
    host, _, query = name.removeprefix(f"{scheme}://").partition("?")
    host = host.partition("/")[0]
    names = {each.partition("=")[0] for each in query.split("&") if each}
    if not HOST.fullmatch(host) or names - {*PARAMETERS}:
        raise UserError(
            f"{shown}: write an address as s3://bucket/path or hdfs://user@host:port/path, with "
            f"no parameters but {', '.join(PARAMETERS)}, and no credentials: set these in the "
            "environment."
        )
