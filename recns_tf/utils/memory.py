"""The memory that is available, and the sentences about too little of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.text import bytes_text

ADVICE = "choose a smaller --dim, --batch_size, --num_negatives or --num_candidates"
SIGNS = (
    "OOM",
    "bad_alloc",
    "allocate memory",
    "Unable to allocate",
    "out of memory",
    "Out of memory",
    "STATUS_ALLOC_FAILED",
    "Dst tensor is not initialized",
)
"""What the messages of TensorFlow, C++, NumPy, CUDA and its libraries contain when memory runs out.

The last one is TensorFlow's, for data that do not fit on a GPU.
"""
DEVICE = re.compile(r"/device:(?!CPU)(\w+:\d+)")
"""A device other than the CPU in a message of TensorFlow."""


def available_bytes(root: Path = Path("/")) -> int:
    """Return the memory that this process can still take, in bytes.

    On Linux, that is the available memory and the swap space, or what the limits of the control
    groups, such as a container's, leave. Elsewhere, it is all memory of the machine.

    Args:
        root: the root of the file system.
    """
    found = [free for free in (*machine_bytes(root), *group_bytes(root)) if free is not None]
    if not found:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(0, min(found))


def machine_bytes(root: Path) -> Iterator[int]:
    """Yield the available memory and swap space of a Linux machine."""
    entries = numbers_of(root / "proc/meminfo", unit=1024)
    if "MemAvailable" in entries:
        yield entries["MemAvailable"] + entries.get("SwapFree", 0)


def group_bytes(root: Path) -> Iterator[int]:
    """Yield what the memory limit of each control group of this process leaves.

    Cached files count as free, because the kernel drops them when memory is needed.
    """
    for line in lines_of(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, used = root / "sys/fs/cgroup", "memory.max", "anon"
        elif "memory" in controllers.split(","):
            top, limit, used = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "total_rss"
        else:
            continue
        # In a container, the path may be the host's, and the container's group is at the top.
        folder = top / path.lstrip("/")
        while True:
            for text in lines_of(folder / limit):
                if text.strip().isdecimal():
                    taken = numbers_of(folder / "memory.stat").get(used, 0)
                    yield int(text) - taken
            if folder == top or top not in folder.parents:
                break
            folder = folder.parent


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file, none if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def numbers_of(path: Path, unit: int = 1) -> dict[str, int]:
    """Return the numbers of a file with lines such as "MemFree: 12 kB", by name."""
    fields = [line.replace(":", " ").split() for line in lines_of(path)]
    return {
        field[0]: int(field[1]) * unit
        for field in fields
        if len(field) > 1 and field[1].isdecimal()
    }


def require_memory(what: str, parts: Mapping[str, int], available: int, advice: str) -> None:
    """Raise UserError if parts need more memory than is available.

    Args:
        what: what needs the memory, to precede "needs".
        parts: bytes of each part, by what it is.
        available: bytes.
        advice: what to do, to follow a colon.
    """
    needed = sum(parts.values())
    if needed > available:
        largest = max(parts, key=lambda part: parts[part])
        raise UserError(
            f"{what} needs at least {bytes_text(needed)} of memory, {bytes_text(parts[largest])} "
            f"of it for {largest}, and {bytes_text(available)} are available: {advice}."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, and not, for example, a disk."""
    if isinstance(error, MemoryError):
        return True
    return not isinstance(error, OSError) and any(sign in str(error) for sign in SIGNS)


def device_of(error: BaseException) -> str:
    """Return the device that an error names, such as "GPU:0"; "" for the CPU or none."""
    found = DEVICE.search(str(error))
    return found[1] if found else ""
