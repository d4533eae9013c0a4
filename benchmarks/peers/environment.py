"""The virtual environment of RecBole, which needs other versions of NumPy and SciPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.files import write_text
from recns_tf.utils.text import printable

RECBOLE = "recbole==1.2.1"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NEWEST = (3, 12)
"""The newest Python that has wheels of the pinned NumPy and SciPy."""
STAMP = "installed.txt"
"""Written last, so that an interrupted installation is repeated."""


def prepare(folder: Path) -> Path:
    """Return the Python of RecBole's environment, which is created on first use.

    Args:
        folder: the environment's folder.

    Raises:
        UserError: this Python is too new, or a package cannot be installed.
    """
    python = folder / "bin" / "python"
    wanted = f"{REQUIREMENTS.read_text(encoding='utf-8')}{RECBOLE}\n"
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    if sys.version_info[:2] > NEWEST:
        newest = ".".join(map(str, NEWEST))
        raise UserError(
            f"RecBole needs a NumPy without wheels for this Python: choose one up to {newest}."
        )
    if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise UserError(
            f"--environment={folder} holds other files: choose a new folder, or an environment "
            "that this command has made."
        )
    print(f"Setting up {folder}, once (some minutes, 1.4 GB) …", flush=True)
    require_success([sys.executable, "-m", "venv", "--clear", str(folder)], folder)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    require_success([*install, "--requirement", str(REQUIREMENTS)], folder)
    require_success([*install, "--no-deps", RECBOLE], folder)
    write_text(stamp, wanted)
    return python


def require_success(command: list[str], folder: Path) -> None:
    """Run a command, and raise UserError with its last error if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no output"]
        what = " ".join(command[1:4])
        raise UserError(
            f"--environment={folder}: RecBole could not be installed, as `{what}` failed: "
            f"{printable(errors[-1].strip())}"
        )
