import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.errors import UserError
from recns_tf.utils import memory

GIGA = 10**9


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MACHINE = {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 500000 kB\n"}


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({}, 4_500_000 * 1024),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "3000000000\n",
                "sys/fs/cgroup/memory.stat": "anon 1000000000\nfile 1900000000\n",
            },
            2 * GIGA,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 4_500_000 * 1024),
        (
            # The limit of a parent holds, too.
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "700000000\n",
                "sys/fs/cgroup/a/b/memory.max": "900000000\n",
            },
            700_000_000,
        ),
        (
            # In a container, the path is the host's.
            {
                "proc/self/cgroup": "9:cpu:/\n4:memory:/docker/12\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "600000000\n",
                "sys/fs/cgroup/memory/memory.stat": "total_rss 100000000\n",
            },
            500_000_000,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,memory:/\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            4_500_000 * 1024,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "100\n",
                "sys/fs/cgroup/memory.stat": "anon 200\n",
            },
            0,
        ),
    ],
)
def test_available_memory_is_the_least_of_the_machines_and_the_limits(tmp_path, files, available):
    write(tmp_path, MACHINE | files)
    assert memory.available_bytes(tmp_path) == available


def test_a_system_without_these_files_has_the_memory_of_the_machine(tmp_path):
    pages = os.sysconf("SC_PHYS_PAGES")
    assert memory.available_bytes(tmp_path) == os.sysconf("SC_PAGE_SIZE") * pages


def test_this_machine_has_some_memory():
    assert 10**7 < memory.available_bytes() < 10**15


def test_the_sentence_names_the_largest_part_and_what_to_do():
    parts = {"the users": GIGA, "the items": 3 * GIGA}
    memory.require_memory("a step", parts, 4 * GIGA, "lower x")
    sentence = (
        "a step needs at least 4.0 GB of memory, 3.0 GB of it for the items, and 3.9 GB are "
        "available: lower x."
    )
    with pytest.raises(UserError) as caught:
        memory.require_memory("a step", parts, 4 * GIGA - 10**8, "lower x")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("std::bad_alloc"), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), True),
        (tf.errors.ResourceExhaustedError(None, None, "a.index; No space left on device"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (OSError(errno.EIO, "OOM.txt"), False),
        (ValueError("shapes differ"), False),
    ],
)
def test_which_errors_are_of_memory(error, is_memory):
    assert memory.is_out_of_memory(error) is is_memory


def test_numpys_error_is_of_memory():
    with pytest.raises(MemoryError) as caught:
        np.empty(2**60, np.uint8)
    assert memory.is_out_of_memory(caught.value)
