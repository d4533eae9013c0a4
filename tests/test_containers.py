"""A container: the package and the home cannot be written, only the folders that flags name."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from recns_tf.config import flagfiles
from recns_tf.utils.compiled import compiled
from recns_tf.utils.program import PACKAGE
from tests import processes

TRAIN = (
    "synthetic", "lightgcn", "--dim=4", "--epochs=1", "--run_name=a", "--synthetic_users=40",
    "--synthetic_items=60", "--synthetic_clicks=400", "--synthetic_exposures=200",
)  # fmt: skip
NOBODY = "nobody"


def add(first, second):
    return first + second


def test_a_kernel_compiles_where_no_cache_can_be_written(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    kernel = compiled(fastmath=True)(add)
    assert kernel(2, 3) == 5 and kernel.signatures
    assert kernel.targetoptions["nogil"] and kernel.targetoptions["fastmath"]


def test_a_kernel_is_kept_where_a_cache_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    assert compiled()(add)(2, 3) == 5
    assert list(tmp_path.rglob("*add*.nbi"))


def test_other_errors_of_the_compiler_are_raised(monkeypatch):
    def broken(**options):
        raise RuntimeError("another fault")

    monkeypatch.setattr("recns_tf.utils.compiled.njit", broken)
    with pytest.raises(RuntimeError, match="another fault"):
        compiled()(add)


def test_built_in_flagfiles_are_ascii():
    """They are read in the encoding of the locale."""
    for path in flagfiles.FOLDER.glob("*.flags"):
        assert path.read_bytes().isascii(), path


@pytest.fixture
def public():
    """A folder that every user may read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def another_user():
    """Return the options of a process of a user without privileges; none unless this is root."""
    if os.getuid():
        return {}
    try:
        group = pwd.getpwnam(NOBODY).pw_gid
    except KeyError:
        pytest.skip(f"there is no user {NOBODY}")
    return {"user": NOBODY, "group": group, "extra_groups": []}


def python_for(options, folder):
    """Return an interpreter that a process with some options may run, a copy if need be."""
    with suppress(PermissionError):
        subprocess.run([sys.executable, "-c", ""], check=True, **options)
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns("__pycache__", "site-packages", "test", "idlelib")
    shutil.copytree(sysconfig.get_path("stdlib"), folder / "lib" / name, ignore=ignored)
    (folder / "bin").mkdir()
    return shutil.copy(os.path.realpath(sys.executable), folder / "bin" / name)


@pytest.mark.slow
def test_a_user_who_may_write_one_folder_only(public):
    checkout, own = public / "checkout", public / "own"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, checkout / "recns_tf", ignore=ignored)
    own.mkdir()
    own.chmod(0o777)
    for path in [*checkout.rglob("*"), checkout]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    options = another_user()
    python = python_for(options, public / "python")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{checkout}:{Path(np.__file__).parents[1]}",
        "TF_NUM_INTRAOP_THREADS": "1",
    }

    def call(*words):
        return processes.run([python, *words], checkout, seconds=300, env=environment, **options)

    if call("-c", "import numpy").status:
        pytest.skip(f"{NOBODY} cannot read the installed packages")
    folders = [f"--data_dir={own}/data", f"--runs_dir={own}/runs"]
    try:
        refused = call("-m", "recns_tf", *TRAIN)
        assert (refused.status, refused.stdout) == (1, "")
        assert refused.stderr == "recns_tf: data: Permission denied.\n"
        for words in (["report", "--help"], [*TRAIN, *folders]):
            done = call("-m", "recns_tf", *words)
            assert (done.status, done.stderr) == (0, ""), words
        assert (own / "runs" / "a" / "results.json").exists()
        assert [path.name for path in checkout.iterdir()] == ["recns_tf"]
        assert not list(checkout.rglob("__pycache__"))
    finally:
        for path in [checkout, *checkout.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
