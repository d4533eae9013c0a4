"""Run a command, and write the peak resident memory of its process to a file, in KiB.

Run: python launcher.py FILE COMMAND…

Linux counts the memory of a process also as that of the processes it starts. Hence this small one
starts the command. It ends as the command does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

from recns_tf.utils.child_processes import kill_with_parent


def main(file: str, *command: str) -> None:
    """Run the command."""
    status = subprocess.call(command, preexec_fn=partial(kill_with_parent, os.getpid()))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(file).write_text(str(peak), encoding="utf-8")
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
