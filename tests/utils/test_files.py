import os
import shutil
import subprocess

import pytest

from recns_tf.utils.files import atomic, git_blob_sha1

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
