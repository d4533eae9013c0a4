"""The manifest of a folder: size and SHA-256 of its files, to notice changes and damage.

manifest.json lists for each file one state, or two while the file is being replaced: the new state
is listed before the new file takes the place of the old one. So whenever the process is killed,
every listed file is in a listed state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.files import atomic, read_object, sha256, write_json
from recns_tf.utils.seal import check_seal, seal

State = dict[str, Any]
"""The "size" in bytes and the "sha256" of a file."""

FORMAT = 1
CHANGED = "is damaged, or was changed after the run wrote it"


def state_of(path: Path) -> State:
    """Return the present state of a file."""
    return {"size": path.stat().st_size, "sha256": sha256(path)}


class Manifest:
    """The manifest of a folder.

    Files that it does not list, such as those of earlier versions, pass every check.

    Args:
        folder: the folder; paths in manifest.json are relative to it.
        advice: what to do if a file is damaged, to follow a colon.
    """

    def __init__(self, folder: Path, advice: str):
        self.folder = folder
        self.path = folder / "manifest.json"
        self.advice = advice

    def files(self) -> dict[str, list[State]]:
        """Return the states of the listed files by relative path; empty without a manifest.

        Raises:
            UserError: manifest.json is damaged.
        """
        if not self.path.exists():
            return {}
        with reading(self.path, f"delete it to read the files unchecked, or {self.advice}"):
            content = check_seal(read_object(self.path))
            if content["format"] != FORMAT:
                raise ValueError("it is of a later version")
            files: dict[str, list[State]] = content["files"]
            return files

    def verify(self, path: Path) -> None:
        """Raise UserError if a listed file is missing or not in a listed state."""
        states = self.files().get(self.name(path))
        if states is None:
            return
        with reading(path, self.advice):
            found = state_of(path) if path.stat().st_size in sizes(states) else None
        if found not in states:
            raise Damaged(f"{path} {CHANGED}: {self.advice}.")

    def verify_start(self, path: Path, content: bytes) -> None:
        """Raise UserError if a listed file that grows line by line has lost its listed start.

        Args:
            path: the file.
            content: its content.
        """
        for state in self.files().get(self.name(path), []):
            start = content[: state["size"]]
            if {"size": len(start), "sha256": hashlib.sha256(start).hexdigest()} != state:
                raise Damaged(f"{path} {CHANGED}: {self.advice}.")

    @contextmanager
    def replacing(self, path: Path) -> Iterator[Path]:
        """Yield a temporary path, renamed to `path` and listed when the block succeeds."""
        with atomic(path) as temporary:
            yield temporary
            new = state_of(temporary)
            files = self.files()
            earlier = files.get(self.name(path), [])
            if not earlier and path.exists():
                earlier = [state_of(path)]
            self.write(files | {self.name(path): [*earlier, new]})
        self.write(files | {self.name(path): [new]})

    def record(self, paths: Iterable[Path], forget: Collection[Path] = ()) -> None:
        """List the present states of files, in one step.

        Args:
            paths: the files.
            forget: files to list no longer.
        """
        forgotten = {self.name(path) for path in forget}
        kept = {name: states for name, states in self.files().items() if name not in forgotten}
        self.write(kept | {self.name(path): [state_of(path)] for path in paths})

    def lists(self, path: Path) -> bool:
        """Return whether a file is listed."""
        return self.name(path) in self.files()

    def write(self, files: Mapping[str, list[State]]) -> None:
        """Replace the manifest atomically."""
        write_json(self.path, seal({"format": FORMAT, "files": dict(files)}))

    def name(self, path: Path) -> str:
        """Return the path of a file relative to the folder."""
        return path.relative_to(self.folder).as_posix()


def sizes(states: Iterable[State]) -> set[int]:
    """Return the sizes of some states."""
    return {state["size"] for state in states}
