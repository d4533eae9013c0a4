"""What the program imports before it needs it; imports take most of the time to the first step."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "synthetic", "mf", "--epochs=1", "--dim=4", "--run_name=a", "--synthetic_users=40",
    "--synthetic_items=60", "--synthetic_clicks=400", "--synthetic_exposures=200",
)  # fmt: skip

LATER = {
    "matplotlib", "pandas", "polars", "narwhals", "pyarrow", "faiss", "optuna", "jinja2", "ray",
}  # fmt: skip
"""Packages that training needs after its first step or not at all."""
HEAVY = {"tensorflow", "keras", "numba", *LATER}

AT_EXIT = """
import sys
sys.argv = ["recns-tf", *sys.argv[1:]]
from recns_tf.main import main
main()
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""

AT_FIRST_STEP = """
import sys
from contextlib import contextmanager
from recns_tf.commands import train

lean = train.lean_imports

@contextmanager
def watched(*unused):
    with lean(*unused):
        yield
    from recns_tf.training.sampled_rec import SampledRec
    step = SampledRec.train_step

    def train_step(self, data):
        print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
        return step(self, data)

    SampledRec.train_step = train_step

train.lean_imports = watched
from recns_tf.main import main
main()
"""


def imported(program, *words):
    """Return the top-level packages that a program lists on stderr."""
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    (line,) = done.stderr.splitlines()
    return set(line.split())


def test_the_usage_needs_no_package():
    known = {*sys.stdlib_module_names, "recns_tf"}
    alone = imported("import sys; print(*sys.modules, file=sys.stderr)")
    names = imported(AT_EXIT, "--help") - {name.partition(".")[0] for name in alone}
    assert "recns_tf" in names
    assert names <= known


@pytest.mark.parametrize("command", ["train", "launch"])
def test_the_flags_of_training_need_no_heavy_package(command):
    assert not imported(AT_EXIT, command, "--help") & HEAVY


@pytest.mark.slow
def test_regions_of_this_process_need_no_ray(tmp_path):
    sizes = [word for word in TINY if word.startswith("--synthetic")]
    found = imported(AT_EXIT, "regions", "synthetic", *sizes, f"--data_dir={tmp_path}")
    assert "numba" in found and "ray" not in found


def test_a_log_is_prepared_without_ray(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id\n" + "".join(f"u{n % 7},i{n % 5}\n" for n in range(35)))
    found = imported(AT_EXIT, "prepare", "shop", f"--input={log}", f"--data_dir={tmp_path}")
    assert "pyarrow" in found and not found & {"ray", "tensorflow"}


@pytest.mark.slow
def test_what_the_first_step_does_not_need_is_imported_later(tmp_path):
    folders = [f"--data_dir={tmp_path}/data", f"--runs_dir={tmp_path}/runs"]
    found = imported(AT_FIRST_STEP, *TINY, *folders)
    assert {"tensorflow", "keras", "numba"} <= found
    assert not found & LATER
    assert (tmp_path / "runs" / "a" / "curves.png").stat().st_size > 1000
