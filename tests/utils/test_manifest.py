"""What a manifest lists, notices and accepts."""

import hashlib
import json
import os

import pytest

from recns_tf.errors import UserError
from recns_tf.utils.manifest import Manifest

ADVICE = "start anew"


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path, ADVICE)


def replace(manifest, name, content):
    with manifest.replacing(manifest.folder / name) as temporary:
        temporary.write_bytes(content)
    return manifest.folder / name


def listed(manifest):
    return json.loads(manifest.path.read_text())["files"]


def test_manifest_lists_size_and_sha256(manifest):
    replace(manifest, "best/a.h5", b"abc")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert listed(manifest) == {"best/a.h5": [{"size": 3, "sha256": digest}]}
    replace(manifest, "best/a.h5", b"xy")
    assert [state["size"] for state in listed(manifest)["best/a.h5"]] == [2]


@pytest.mark.parametrize("content", [b"abd", b"ab", b"abcd", b"", None])
def test_change_of_a_file_is_noticed(manifest, content):
    path = replace(manifest, "a", b"abc")
    manifest.verify(path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"/a is (damaged, or was changed|missing).*: start anew\."):
        manifest.verify(path)


def test_files_that_are_not_listed_pass(manifest):
    path = manifest.folder / "a"
    path.write_bytes(b"abc")
    manifest.verify(path)
    replace(manifest, "b", b"abc")
    manifest.verify(path)


@pytest.mark.parametrize("at", ["before", "after"])
def test_file_is_in_a_listed_state_before_and_after_it_is_replaced(manifest, monkeypatch, at):
    """Also if it was not listed before, as in the folder of an earlier version."""
    path = manifest.folder / "a"
    path.write_bytes(b"old")

    class Killed(BaseException):
        pass

    def dying(source, target, move=os.replace):
        if at == "after" or target != path:
            move(source, target)
        if target == path:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", dying)
        replace(manifest, "a", b"new one")
    assert path.read_bytes() == (b"old" if at == "before" else b"new one")
    manifest.verify(path)
    assert len(listed(manifest)["a"]) == 2
    path.write_bytes(b"newer")
    with pytest.raises(UserError):
        manifest.verify(path)
    replace(manifest, "a", b"newest")
    assert len(listed(manifest)["a"]) == 1


def test_start_of_a_growing_file_is_checked(manifest):
    path = manifest.folder / "rows"
    path.write_bytes(b"1\n2\n")
    manifest.record([path])
    manifest.verify_start(path, b"1\n2\n")
    manifest.verify_start(path, b"1\n2\n3\n")
    for lost in (b"1\n", b"1\n3\n", b""):
        with pytest.raises(UserError, match="rows is damaged, or was changed"):
            manifest.verify_start(path, lost)


def test_files_are_recorded_and_forgotten_in_one_step(manifest):
    old, new = (replace(manifest, name, b"x") for name in ("old", "new"))
    manifest.record([new], forget=[old])
    assert list(listed(manifest)) == ["new"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: text.replace('"size": 3', '"size": 4'),
        lambda text: text.replace('"a"', '"b"'),
        lambda text: text.replace('"checksum"', '"checksun"'),
        lambda text: "[" * 100_000,
    ],
)
def test_damaged_manifest_is_an_error(manifest, damage):
    path = replace(manifest, "a", b"abc")
    text = manifest.path.read_text()
    manifest.path.write_text(damage(text))
    with pytest.raises(UserError, match=r"manifest\.json is damaged.*: delete it .* or start anew"):
        manifest.verify(path)
    manifest.path.write_text(json.dumps(json.loads(text)))
    manifest.verify(path)
