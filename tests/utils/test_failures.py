"""A full disk: one sentence, nothing half-written, and the same numbers once there is room."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf.errors import UserError
from recns_tf.main import main
from recns_tf.utils import failures
from tests.commands.test_train import ROOT, call
from tests.fuzz import LONG

KILOBYTES = (12, 700, 2300, 2900)
if LONG:
    KILOBYTES = (12, 16, 44, 92, 400, 700, 1300, 2000, 2300, 2600, 2900, 3200)
SMALL_KILOBYTES = (40,)
if LONG:
    SMALL_KILOBYTES = (0, 4, 8, 12, 20, 28, 40, 60, 90, 150, 250, 400)
LARGEST_REFUSED = 90
"""Kilobytes that suffice for none of WRITERS."""
TRAIN = (
    "synthetic-small", "mf", "--epochs=2", "--dim=16", "--num_candidates=8", "--num_negatives=2",
)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a file system of a size in kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "tmpfs", str(folder), "-o"]

    def mount(kilobytes):
        done = subprocess.run([*options, f"size={kilobytes}k"], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")
        return folder

    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def flags_of(folder, data_dir):
    return (*TRAIN, f"--runs_dir={folder / 'runs'}", f"--data_dir={data_dir}")


def results_of(folder):
    path = folder / "runs" / "synthetic-small-mf-recns" / "results.json"
    found = json.loads(path.read_text())
    return found["valid"], found["test"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of a run that never stops, and the folder of its data."""
    folder = tmp_path_factory.mktemp("whole")
    main(flags_of(folder, folder / "data"))
    return results_of(folder), folder / "data"


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", KILOBYTES)
def test_training_on_a_full_disk_ends_with_a_sentence_and_resumes(small_disk, whole, kilobytes):
    expected, data_dir = whole
    folder = small_disk(kilobytes)
    done = call(sys.executable, "-m", "recns_tf", *flags_of(folder, data_dir))
    if done.returncode:
        assert done.stderr.startswith("recns_tf: the disk of ") and done.stderr.count("\n") == 1
        assert "free some space" in done.stderr
    subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
    main(flags_of(folder, data_dir))
    assert results_of(folder) == expected


def files_in(folder):
    """Return the content of the files in a folder or of a file, with "" as its name."""
    if folder.is_file():
        return {"": folder.read_bytes()}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


WRITERS = {
    "data/log": ("prepare", "log", "--input=../log.csv", "--data_dir=data"),
    "out": ("export", "synthetic-small", "out", "--format=lightgcn", "--data_dir=../made"),
    "other": ("export", "synthetic-small", "other", "--format=pinsage", "--data_dir=../made"),
    "out.csv": ("export", "synthetic-small", "out.csv", "--data_dir=../made"),
    "out.parquet": ("export", "synthetic-small", "out.parquet", "--data_dir=../made"),
}
"""Commands by what they write in the working directory."""


def call_in(folder, words):
    """Run a command in a folder beside the log."""
    log = folder.parent / "log.csv"
    if not log.exists():
        rows = "".join(f"{n % 97},{n % 1013}\n" for n in range(20_000))
        log.write_text(f"user_id,item_id\n{rows}")
    return call(sys.executable, "-m", "recns_tf", *words, cwd=folder, PYTHONPATH=str(ROOT))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files that each of WRITERS writes where there is room."""
    folder = tmp_path_factory.mktemp("roomy") / "disk"
    folder.mkdir()
    for words in WRITERS.values():
        assert call_in(folder, words).returncode == 0
    return {name: files_in(folder / name) for name in WRITERS}


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", SMALL_KILOBYTES)
def test_prepare_and_export_on_a_full_disk_leave_nothing(small_disk, written, kilobytes):
    folder = small_disk(max(kilobytes, 4))
    filler = folder / "filler"
    for name, words in WRITERS.items():
        if not kilobytes:
            filler.write_bytes(b"x" * 4096)
        done = call_in(folder, words)
        if done.returncode:
            assert done.stderr.startswith("recns_tf: the disk of "), done.stderr
            assert done.stderr.count("\n") == 1 and "/." not in done.stderr, done.stderr
            left = [path for path in folder.rglob("*") if path != filler]
            assert left == [], name
            filler.unlink(missing_ok=True)
            subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True)
            done = call_in(folder, words)
            assert done.returncode == 0, done.stderr
        else:
            assert kilobytes > LARGEST_REFUSED, name
        assert files_in(folder / name) == written[name]
        for path in folder.iterdir():
            (shutil.rmtree if path.is_dir() else os.unlink)(path)
        size = f"remount,size={max(kilobytes, 4)}k"
        subprocess.run(["mount", "-o", size, str(folder)], check=True)


def test_space_is_required_before_it_is_used(small_disk):
    folder = small_disk(100)
    failures.require_space(folder, 50_000, "this")
    with pytest.raises(
        UserError, match=r"disk of .* is full: this needs 0\.2 MB, 0\.1 MB are free"
    ):
        failures.require_space(folder, 200_000, "this")
    assert list(folder.iterdir()) == []


CHECK = """
import sys
from pathlib import Path
from recns_tf.utils.failures import require_space
events = []
sys.addaudithook(lambda event, _: events.append(event))
require_space(Path(sys.argv[1]), 10**6, "this")
print([event for event in events if event in ("open", "os.mkdir", "os.truncate")])
"""


def test_the_check_of_space_opens_no_file(tmp_path):
    """Where space cannot be allocated in advance, as on NFS, every block would be written."""
    done = call(sys.executable, "-c", CHECK, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def raised(action):
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_errors_of_libraries_on_a_full_disk_are_recognized(small_disk):
    folder = small_disk(20)
    array = np.zeros(100_000)
    for error in (
        raised(lambda: np.save(folder / "a.npy", array)),
        raised(lambda: (folder / "b").write_bytes(array.tobytes())),
    ):
        assert failures.sentence(error, folder=folder).startswith("the disk of "), error


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (OSError(28, "No space left on device", "runs/a"), "the disk of runs/a is full: free"),
        (OSError(122, "Disk quota exceeded"), "the disk of X is full: free"),
        (OSError("2992 requested and 2032 written"), "the disk of X is full: free"),
        (RuntimeError("file write failed: errno = 28, 'No space left on device'"), "the disk of X"),
        (MemoryError(), "out of memory: choose less."),
        (RuntimeError("std::bad_alloc"), "out of memory: choose less."),
        (ValueError("a value"), ""),
        (OSError(2, "No such file or directory", "x"), ""),
    ],
)
def test_sentences(error, start):
    found = failures.sentence(error, folder="X", advice="choose less")
    assert found.startswith(start) and bool(found) == bool(start)
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = error
    assert failures.sentence(wrapped, folder="X", advice="choose less") == found


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("", "the disk"),
        ("a/b.csv", "the disk of a/b.csv"),
        ("a/.12.b.csv", "the disk of a"),
        ("a/.b.recns-new/c.npz", "the disk of a"),
        ("a/.b.recns-new/.12.c.npz", "the disk of a"),
        (".12.b.csv", "the disk of ."),
        (".", "the disk of ."),
    ],
)
def test_of_hidden_files_the_folder_is_named(place, shown):
    assert failures.full_disk(place).startswith(f"{shown} is full: ")


def test_errors_are_turned_into_sentences_once():
    with pytest.raises(UserError, match="out of memory"), failures.explained():
        raise MemoryError
    with pytest.raises(UserError, match=r"^as it is$"), failures.explained():
        raise UserError("as it is")
    with pytest.raises(KeyError), failures.explained():
        raise KeyError(1)


def test_an_unexpected_error_is_one_sentence_and_a_file(monkeypatch, capsys, tmp_path):
    from recns_tf.commands import app

    monkeypatch.setattr(app.tempfile, "gettempdir", lambda: str(tmp_path))

    def fail(call):
        raise ZeroDivisionError("two\nlines")

    with pytest.raises(SystemExit) as stop:
        app.run(app.Command(about="", words="", example="", settings=(), run=fail), [], "x")
    assert "unexpected error (ZeroDivisionError: two lines). This is a fault" in str(
        stop.value.code
    )
    (path,) = tmp_path.iterdir()
    assert str(path) in stop.value.code and "in fail" in Path(path).read_text()
