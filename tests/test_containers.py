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
CAPABILITIES = "--bounding-set=-dac_override,-dac_read_search,-fowner"


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


def as_owner_without_privileges():
    """Return the start of a command line under which file modes hold, or skip the test."""
    if os.getuid():
        return []
    line = ["setpriv", CAPABILITIES]
    if shutil.which("setpriv") is None or subprocess.run([*line, "true"], check=False).returncode:
        pytest.skip("root cannot give up its privileges here")
    return line


@pytest.mark.slow
def test_a_read_only_package_and_no_home(tmp_path):
    line = as_owner_without_privileges()
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, checkout / "recns_tf", ignore=ignored)
    own = tmp_path / "own"
    own.mkdir()
    for path in [*checkout.rglob("*"), checkout]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent/home",
        "TMPDIR": str(own),
        "PYTHONPATH": str(checkout),
        "TF_NUM_INTRAOP_THREADS": "1",
    }
    folders = [f"--data_dir={own}/data", f"--runs_dir={own}/runs"]
    try:
        for arguments in (
            [*TRAIN, *folders],
            ["report", "--help"],
        ):
            done = subprocess.run(
                [*line, sys.executable, "-m", "recns_tf", *arguments],
                cwd=checkout,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, ""), arguments
        assert (own / "runs" / "a" / "results.json").exists()
        assert not list(checkout.rglob("__pycache__"))
    finally:
        for path in [checkout, *checkout.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def public():
    """A folder that every user may read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def python_for(user, folder):
    """Return an interpreter that a user may run, a copy in `folder` if need be."""
    with suppress(PermissionError):
        subprocess.run([sys.executable, "-c", ""], user=user, check=True)
        return sys.executable
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignored = shutil.ignore_patterns("__pycache__", "site-packages", "test", "idlelib")
    shutil.copytree(sysconfig.get_path("stdlib"), folder / "lib" / name, ignore=ignored)
    (folder / "bin").mkdir()
    return shutil.copy(os.path.realpath(sys.executable), folder / "bin" / name)


@pytest.mark.slow
def test_a_user_who_may_write_one_folder_only(public):
    if os.getuid():
        pytest.skip("only root can run a process of another user")
    try:
        group = pwd.getpwnam(NOBODY).pw_gid
    except KeyError:
        pytest.skip(f"there is no user {NOBODY}")
    checkout, own, packages = public / "checkout", public / "own", Path(np.__file__).parents[1]
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, checkout / "recns_tf", ignore=ignored)
    own.mkdir()
    os.chown(own, pwd.getpwnam(NOBODY).pw_uid, group)
    options = {
        "user": NOBODY,
        "group": group,
        "extra_groups": [],
        "env": {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{checkout}:{packages}",
            "TF_NUM_INTRAOP_THREADS": "1",
        },
    }
    python = [python_for(NOBODY, public / "python")]
    if processes.run([*python, "-c", "import numpy"], public, **options).status:
        pytest.skip(f"{NOBODY} cannot read the installed packages")

    def train(*flags):
        return processes.run([*python, "-m", "recns_tf", *TRAIN, *flags], checkout, 300, **options)

    done = train()
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == "recns_tf: data: Permission denied.\n"
    done = train(f"--data_dir={own}/data")
    assert done.status == 1 and done.stderr == "recns_tf: runs: Permission denied.\n"
    done = train(f"--data_dir={own}/data", f"--runs_dir={own}/runs")
    assert (done.status, done.stderr) == (0, "")
    assert (own / "runs" / "a" / "results.json").exists()
    assert sorted(path.name for path in checkout.iterdir()) == ["recns_tf"]
    assert not list(checkout.rglob("__pycache__"))
