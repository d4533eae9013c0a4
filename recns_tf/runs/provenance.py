"""Provenance of results: package versions, and the commit of this code."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess

from recns_tf import __version__
from recns_tf.utils.program import PACKAGE

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "faiss-cpu")


def versions() -> dict[str, str]:
    """Return the versions of this package, Python, and the packages that results depend on."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"recns_tf": __version__, "python": platform.python_version()} | packages


def git_commit() -> str | None:
    """Return the commit of this code, with "+" if there are uncommitted changes.

    It is None if git does not track the package, as after an installation: the folder may then
    belong to another repository.
    """
    describe = ["describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git(*describe)
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*arguments: str) -> str:
    """Run a git command in the folder of the package and return its output."""
    done = subprocess.run(
        ["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
