"""Find the files that --input names, and open them: folders, globs, archives, compressed files.

They are local, or on a file system with an address such as s3://bucket/clicks/.

Decompression is Apache Arrow's, and Python's for ZIP archives.
"""

from __future__ import annotations

import glob
import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from recns_tf.datasets.formats.remote import RemoteFile, find_remote, is_address
from recns_tf.errors import UserError

Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to each element and returns the results in order, as Python's `map` does."""

CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Arrow's names of compression formats, by file extension."""

ZIP = ".zip"
HIDDEN = ("_", ".")
"""First characters of the files in a folder that hold no rows, such as Spark's _SUCCESS."""

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
SHOWN_MEMBERS = 5
REMOTE_BLOCK = 1 << 20
"""Bytes that are requested at once of a remote file that is read in order."""


class Source(NamedTuple):
    """A file to read.

    Attributes:
        path: the file.
        member: the file inside `path` if that is a ZIP archive; "" otherwise.
        constants: (name, value) of the columns that the folders of a partitioned table give, as
            in "day=2024-05-01/part-0.parquet".
        is_part: whether it was found in a folder or by a glob, where files may have no rows.
    """

    path: Path | RemoteFile
    member: str = ""
    constants: tuple[tuple[str, str], ...] = ()
    is_part: bool = False

    def __str__(self) -> str:
        """Return the name of the file in messages."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def codec(self) -> str | None:
        """Arrow's name of the compression format, or None."""
        return CODECS.get(Path(self.member or str(self.path)).suffix.lower())

    @property
    def size(self) -> int:
        """The number of bytes of the file, in an archive that of the archive."""
        return self.path.stat().st_size if isinstance(self.path, Path) else self.path.size()

    @property
    def extension(self) -> str:
        """The file extension in lower case, without that of a compression format."""
        name = Path(self.member or str(self.path))
        return (name.with_suffix("") if self.codec else name).suffix.lower()


def as_source(file: Source | Path) -> Source:
    """Return a file as a Source."""
    return file if isinstance(file, Source) else Source(file)


class Opened(NamedTuple):
    """An open source.

    Attributes:
        stream: its decompressed bytes.
        total: number of bytes of the file, for a progress bar.
        position: returns how many of them have been read.
    """

    stream: Any
    total: int
    position: Callable[[], int]


def find_sources(inputs: str, flag: str = "input") -> list[Source]:
    """Return the files that the value of --input names, in order.

    Args:
        inputs: names separated by commas. Each is a file; a folder, which stands for all files in
            it and in its subfolders whose names do not start with "_" or "."; a glob such as
            "clicks/part-*"; or a file in a ZIP archive, "logs.zip/clicks.csv". Files of folders
            and globs are sorted by name. A name with a scheme, such as s3://bucket/clicks/, is on
            another file system, where archives cannot be read.
        flag: the flag that names them, for messages.

    Raises:
        UserError: a name stands for no file, or for several files of an archive.
    """
    return [source for name in inputs.split(",") for source in find(name.strip(), flag)]


def find(name: str, flag: str) -> list[Source]:
    """Return the files that one name stands for; see find_sources."""
    if is_address(name):
        remote = find_remote(name, flag)
        return parts(name, remote) if isinstance(remote, list) else [as_table(remote)]
    path = Path(name).expanduser()
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.is_file())
        return parts(name, [(each, each.relative_to(path)) for each in found])
    if path.is_file():
        return [as_table(path)]
    for archive in path.parents:
        if archive.is_file() and archive.suffix.lower() == ZIP:
            return [in_archive(archive, path.relative_to(archive).as_posix())]
    if glob.has_magic(name):
        paths = sorted(map(Path, glob.glob(str(path), recursive=True)))
        # Only the folders of a relative glob are partitions.
        files = [each for each in paths if each.is_file()]
        relative = [Path(each.name) if each.is_absolute() else each for each in files]
        return parts(name, list(zip(files, relative, strict=True)), hidden=True)
    what = "is not a file" if path.exists() else f"does not exist (current folder: {Path.cwd()})"
    raise UserError(f"{name} {what}: name a table.")


def as_table(path: Path | RemoteFile) -> Source:
    """Return a file that is one table, perhaps the only one in an archive."""
    if PurePath(str(path)).suffix.lower() != ZIP:
        return Source(path)
    if isinstance(path, RemoteFile):
        raise UserError(f"{path}: an archive must be a local file; copy it, or unpack it.")
    return in_archive(path)


def parts(
    name: str, files: Sequence[tuple[Path | RemoteFile, PurePath]], hidden: bool = False
) -> list[Source]:
    """Return the parts of a table that is stored in several files.

    Args:
        name: the folder or glob, for the message.
        files: its files, and where they are in it; folders called "column=value" are partitions.
        hidden: whether files with names such as _SUCCESS are read, too.
    """
    found = []
    for path, relative in files:
        if hidden or not is_hidden(relative):
            folders = relative.parent.parts
            pairs = (unquote(folder).partition("=") for folder in folders if "=" in folder)
            constants = tuple((key, "" if value == HIVE_NULL else value) for key, _, value in pairs)
            found.append(as_table(path)._replace(constants=constants, is_part=True))
    if not found:
        raise UserError(f"{name} holds no file: name a table, or a folder or glob of tables.")
    return found


def is_hidden(path: PurePath) -> bool:
    """Return whether a file, relative to the named folder, holds no rows of the table."""
    return any(part.startswith(HIDDEN) and "=" not in part for part in path.parts)


def in_archive(path: Path, member: str = "") -> Source:
    """Return a file of a ZIP archive; if `member` is "", the archive must have only one.

    Raises:
        UserError: the archive is damaged, has no such file, or has several to choose from.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [
                each.filename
                for each in archive.infolist()
                if not each.is_dir() and not is_hidden(Path(each.filename.split("/")[-1]))
            ]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} is not a valid ZIP archive ({error}).") from error
    if member in names or (not member and len(names) == 1):
        return Source(path, member or names[0])
    shown = ", ".join(names[:SHOWN_MEMBERS]) + (", …" if len(names) > SHOWN_MEMBERS else "")
    if not names:
        raise UserError(f"{path} holds no file.")
    what = f"has no file {member}" if member else f"holds {len(names)} files"
    raise UserError(f"{path} {what}: name one of {shown}, as in --input={path}/{names[0]}.")


@contextmanager
def opened(source: Source, in_order: bool = True) -> Iterator[Opened]:
    """Open a source for reading.

    Args:
        source: the file.
        in_order: whether the bytes are read from first to last. If not, the stream is seekable
            unless the file is compressed.

    Raises:
        OSError, zipfile.BadZipFile, RuntimeError: it cannot be read; later reads raise them, too.
    """
    if source.member:
        with zipfile.ZipFile(str(source.path)) as archive, archive.open(source.member) as member:
            size = archive.getinfo(source.member).file_size
            codec = source.codec
            stream = pa.CompressedInputStream(pa.PythonFile(member), codec) if codec else member
            yield Opened(stream, size, member.tell)
        return
    with opened_path(source.path) as file:
        stream = file
        if isinstance(source.path, RemoteFile) and in_order:
            stream = pa.BufferedInputStream(file, REMOTE_BLOCK)
        if source.codec:
            stream = pa.CompressedInputStream(stream, source.codec)
        yield Opened(stream, file.size(), file.tell)


def checksum(path: Path | RemoteFile) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with opened_path(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(sources: Sequence[Source], each: Map = map) -> list[dict[str, str]]:
    """Return the names and checksums of the files of some sources, for a dataset's description."""
    paths = list({str(source.path): source.path for source in sources}.values())
    return [
        {"path": str(path), "sha256": found}
        for path, found in zip(paths, each(checksum, paths), strict=True)
    ]


def opened_path(path: Path | RemoteFile) -> pa.NativeFile:
    """Open a file for reading at any place.

    Raises:
        OSError: it cannot be read.
    """
    return path.open() if isinstance(path, RemoteFile) else pa.OSFile(str(path))
