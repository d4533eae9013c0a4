"""The location of the package, and the name the user called the program by."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of recns_tf."""

HELP = ("--help", "-help", "-h")
"""The flags that ask for help."""

VARIABLE = "RECNS_TF_PROGRAM"
"""The environment variable in which run.sh passes its own name."""


def program() -> str:
    """Return how the user started the program: ./run.sh, recns-tf or python -m recns_tf."""
    if name := os.environ.get(VARIABLE):
        return name
    if Path(sys.argv[0]).name == "__main__.py":
        return "python -m recns_tf"
    return "recns-tf"


def short_name() -> str:
    """Return the prefix of error messages: "run.sh", "recns-tf" or "recns_tf"."""
    return Path(program().split()[-1]).name
