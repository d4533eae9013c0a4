"""How the user called the program, so that messages can repeat it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "RECNS_TF_PROGRAM"
"""The environment variable by which run.sh passes its own name on."""


def program() -> str:
    """Return the program as the user called it: "./run.sh", "recns-tf" or "python -m recns_tf"."""
    if name := os.environ.get(VARIABLE):
        return name
    if Path(sys.argv[0]).name == "__main__.py":
        return "python -m recns_tf"
    return "recns-tf"


def short_name() -> str:
    """Return what error messages begin with: "run.sh", "recns-tf" or "recns_tf"."""
    return Path(program().split()[-1]).name
