import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from recns_tf.errors import UserError
from recns_tf.utils import files, folders
from recns_tf.utils.files import atomic, git_blob_sha1, process_space, read_json, read_object
from recns_tf.utils.together import written_together

BIG = bytes(range(256)) * 5000


@pytest.mark.parametrize(
    ("content", "sha1"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_git_blob_sha1_matches_known_values(tmp_path, content, sha1):
    (tmp_path / "file").write_bytes(content)
    assert git_blob_sha1(tmp_path / "file") == sha1


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
@pytest.mark.parametrize("content", [b"", b"one\r\ntwo\n", BIG])
def test_git_blob_sha1_matches_git(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    # Without the user's git filters, which may change line endings.
    command = ["git", "hash-object", "--no-filters", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert git_blob_sha1(path) == printed.strip()


def test_file_is_on_disk_before_it_appears(tmp_path, monkeypatch):
    path, synced = tmp_path / "file", []

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic(path) as temporary:
        temporary.write_text("content")
    assert synced == [(path.stat().st_ino, False)]
    assert path.read_text() == "content" and os.listdir(tmp_path) == ["file"]


def test_temporary_files_of_killed_processes_alone_are_deleted(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    path = tmp_path / "a[1].csv"
    place = process_space()
    abandoned = f".{ended.pid}-{place}.{path.name}"
    kept = [
        f".1-{place}.{path.name}",
        f".{ended.pid}-{place}.b.csv",
        f".{ended.pid}-{place}.x.{path.name}",
        f".{ended.pid}-another1.{path.name}",
        f".{ended.pid}.{path.name}",
        ".5.notes",
    ]
    for name in (abandoned, *kept):
        (tmp_path / name).write_text("")
    with atomic(path) as temporary:
        temporary.write_text("content")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, path.name])


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("8 requested and 4 written")],
)
def test_a_full_disk_is_a_sentence_that_names_the_file(tmp_path, error):
    path = tmp_path / "a.csv"
    with pytest.raises(UserError, match=f"^the disk of {path} is full: free"), atomic(path):
        raise error
    with pytest.raises(OSError, match="other"), atomic(path):
        raise OSError(errno.EIO, "other")
    assert os.listdir(tmp_path) == []


UNWRITABLE = Path("/sys")
"""A folder in which not even root can create a file."""


@pytest.mark.skipif(not UNWRITABLE.is_dir(), reason="no /sys")
def test_an_error_names_the_file_that_was_asked_for():
    path = UNWRITABLE / "page.html"
    for writing in (
        lambda: atomic(path),
        lambda: folders.claim(path, "taken"),
        lambda: folders.claim(Path("/sys/page"), "taken"),
    ):
        with pytest.raises(OSError, match=r".") as caught, writing():
            pass
        assert caught.value.filename in (str(path), "/sys/page")
        assert caught.value.filename2 is None
    with pytest.raises(OSError, match=r".") as caught, written_together(UNWRITABLE, "page"):
        pass
    assert caught.value.filename == "/sys"


def test_a_directory_in_the_way_is_named(tmp_path):
    (tmp_path / "out" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match=r".") as caught, atomic(tmp_path / "out") as temporary:
        temporary.touch()
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "out"), None)
    assert os.listdir(tmp_path) == ["out"]


def test_errors_on_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()
    assert str(caught.value.filename) == str(tmp_path / "missing")


def write(path, content):
    path.write_bytes(content)
    return path


def test_json_may_repeat_keys_and_hold_nan(tmp_path):
    read = read_json(write(tmp_path / "a.json", '{"a": 1, "a": "ü", "b": NaN}'.encode()))
    assert read["a"] == "ü" and read["b"] != read["b"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "decode"),
        (b"", "Expecting value"),
        (b'{"a": 1} 2', "Extra data"),
        (b"9" * 5000, "4300"),
        (b"[1, 2]", "not a JSON object"),
    ],
)
def test_what_is_no_json_object_is_a_value_error(tmp_path, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_object(write(tmp_path / "a.json", content))


def test_json_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_JSON", 10)
    assert read_json(write(tmp_path / "a.json", b'["abcdef"]')) == ["abcdef"]
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_json(write(tmp_path / "a.json", b'["abcdefg"]'))
