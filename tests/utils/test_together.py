"""Files that belong together are never taken for a group if they are of two commands."""

import os

import pytest

from recns_tf.utils.files import write_text
from recns_tf.utils.together import written_together
from tests import faults

NAMES = ("a.csv", "plot.png", "z.md", "results.json")


def write(folder, version="new"):
    with written_together(folder, last="results.json") as temporary:
        for name in NAMES:
            write_text(temporary / name, version)


def versions(folder):
    """Return the text of each file of the group, and the hidden names."""
    found = {name: (folder / name).read_text() for name in NAMES if (folder / name).exists()}
    return found, {name for name in os.listdir(folder) if name.startswith(".")}


def other_file_and_old_group(tmp_path):
    def make(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine").touch()
        write(folder, "old")
        return folder

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", faults.FAULTS)
def test_the_last_file_marks_a_group_of_one_command(tmp_path, kind):
    seen = set()
    make = other_file_and_old_group(tmp_path)
    for folder, _ in faults.every_fault(make, write, faults.FAULTS[kind]):
        found, hidden = versions(folder)
        if "results.json" in found:
            assert found == dict.fromkeys(NAMES, found["results.json"])
        seen.add(found.get("results.json"))
        if kind != "killed":
            assert found == dict.fromkeys(NAMES, "old") and not hidden
        write(folder, "newest")
        assert versions(folder) == (dict.fromkeys(NAMES, "newest"), set())
        assert (folder / "mine").exists()
    assert seen == ({"old", None, "new"} if kind == "killed" else {"old"})


def test_failed_block_leaves_the_earlier_group(tmp_path):
    write(tmp_path, "old")
    with pytest.raises(ZeroDivisionError), written_together(tmp_path, "results.json") as temporary:
        write_text(temporary / "a.csv", "new")
        raise ZeroDivisionError
    assert versions(tmp_path) == (dict.fromkeys(NAMES, "old"), set())


@pytest.mark.slow
def test_two_processes_write_one_after_the_other(tmp_path):
    for _ in range(5):
        processes = [faults.start(write, (tmp_path, version)) for version in ("one", "two")]
        for process in processes:
            process.join()
            assert process.exitcode == 0
        found, hidden = versions(tmp_path)
        assert found in (dict.fromkeys(NAMES, "one"), dict.fromkeys(NAMES, "two")) and not hidden
