"""Folders appear whole or not at all, wherever the process that writes them is killed."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from recns_tf.errors import UserError
from recns_tf.utils import folders
from tests import faults

OLD, NEW = {"a": "old a", "b": "old b"}, {"a": "new a", "c/d": "new d"}


def fill(folder, content):
    for name, text in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def content_of(folder):
    """Return the files of a folder with their texts, None without a folder."""
    if not folder.exists():
        return None
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def write(target, content=NEW):
    with folders.claim(target, "another process writes it."), folders.replace(target) as new:
        fill(new, content)


def write_place(parent):
    write(parent / "place")


def world(tmp_path, content):
    def make(number):
        parent = tmp_path / str(number)
        parent.mkdir()
        if content is not None:
            (parent / "place").mkdir()
            fill(parent / "place", content)
        return parent

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", faults.FAULTS)
@pytest.mark.parametrize("earlier", [None, OLD])
def test_folder_is_the_old_or_the_new_one_after_any_fault(tmp_path, kind, earlier):
    found, hidden = [], set()
    for parent, _ in faults.every_fault(world(tmp_path, earlier), write_place, faults.FAULTS[kind]):
        hidden |= {name.removeprefix(".place") for name in os.listdir(parent)}
        lost = content_of(parent / ".place.recns-old")
        assert lost in (None, earlier), "a part of a folder is never put back"
        if kind != "killed":
            assert content_of(parent / "place") == earlier
            assert set(os.listdir(parent)) <= {"place"}
        folders.restore(parent / "place")
        found.append(content_of(parent / "place"))
        assert found[-1] in (earlier, NEW)
        assert set(os.listdir(parent)) <= {"place"}
        write(parent / "place", {"e": "newest"})
        assert content_of(parent / "place") == {"e": "newest"}
        assert os.listdir(parent) == ["place"]
    assert found[0] == earlier
    if kind == "killed":
        assert found[-1] == NEW
        states = {".recns-lock", ".recns-new"} | ({".recns-old"} if earlier else set())
        assert states <= hidden, "it was killed in every state"


def test_lost_folder_is_found_by_its_parent(tmp_path):
    for name in ("one", "two.v2"):
        (tmp_path / f".{name}.recns-old").mkdir()
        fill(tmp_path / f".{name}.recns-old", OLD)
    folders.restore_all(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["one", "two.v2"]
    assert content_of(tmp_path / "two.v2") == OLD


def test_leftovers_do_not_replace_a_folder(tmp_path):
    for name in ("place", ".place.recns-old", ".place.recns-new"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, {"a": name})
    folders.restore(tmp_path / "place")
    assert os.listdir(tmp_path) == ["place"] and content_of(tmp_path / "place") == {"a": "place"}


def test_other_hidden_files_are_left_alone(tmp_path):
    others = {".place.new", ".place.lock", "place.recns-new", ".places.recns"}
    for name in others:
        (tmp_path / name).mkdir()
    write(tmp_path / "place")
    folders.restore_all(tmp_path)
    assert set(os.listdir(tmp_path)) == others | {"place"}


def test_second_writer_is_refused_and_leaves_the_first_alone(tmp_path):
    target = tmp_path / "place"
    with folders.claim(target, "unused"), folders.replace(target) as new:
        fill(new, NEW)
        with pytest.raises(UserError, match=r"^another process writes it\.$"):
            write(target, OLD)
        folders.restore(target)
        assert new.exists() and not target.exists(), "a reader does not disturb the writer"
    assert content_of(target) == NEW and os.listdir(tmp_path) == ["place"]


def test_reader_waits_while_the_folder_is_between_its_two_names(tmp_path, monkeypatch):
    target, seen, readers = tmp_path / "place", [], []
    write(target, OLD)
    move = os.replace

    def read():
        folders.restore(target)
        seen.append(content_of(target))

    def slow(source, destination):
        move(source, destination)
        if not target.exists():
            readers.append(threading.Thread(target=read))
            readers[0].start()
            readers[0].join(0.1)

    monkeypatch.setattr(os, "replace", slow)
    write(target, NEW)
    readers[0].join()
    assert seen == [NEW]


def test_writer_waits_for_a_reader_that_puts_the_folder_in_order(tmp_path, monkeypatch):
    target, put_in_order, held = tmp_path / "place", folders.put_in_order, threading.Event()
    target.with_name(".place.recns-new").mkdir()

    def slow(place):
        held.set()
        time.sleep(0.1)
        put_in_order(place)

    monkeypatch.setattr(folders, "put_in_order", slow)
    reader = threading.Thread(target=folders.restore, args=(target,))
    reader.start()
    assert held.wait(10)
    write(target)
    reader.join()
    assert content_of(target) == NEW and os.listdir(tmp_path) == ["place"]


def test_folders_of_one_name_are_distinguished(tmp_path):
    target, file, loop = tmp_path / "place", tmp_path / "file", tmp_path / "loop"
    file.touch()
    loop.symlink_to(loop)
    for missing in (target, file / "place", loop):
        assert folders.identity(missing) is None
    write(target, OLD)
    first = folders.identity(target)
    assert first and folders.identity(target) == first
    write(target, NEW)
    assert folders.identity(target) != first


def test_folder_replaced_after_it_is_put_in_order_is_not_missing(tmp_path, monkeypatch):
    """The writer is between its two renames when the reader looks, until the reader waits again."""
    target, restore, calls = tmp_path / "place", folders.restore, []
    write(target, OLD)
    target.rename(folders.beside(target, folders.OLD))

    def waits_later(place):
        calls.append(place)
        if len(calls) > 1:
            restore(place)

    monkeypatch.setattr(folders, "restore", waits_later)
    assert folders.identity(target) and len(calls) == 2
    assert content_of(target) == OLD


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("number", [1, 2])
def test_error_in_a_rename_keeps_the_old_folder(tmp_path, monkeypatch, number, error):
    target, moves, move = tmp_path / "place", [], os.replace
    write(target, OLD)

    def interrupted(source, destination):
        moves.append(source)
        if len(moves) == number:
            raise error
        move(source, destination)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(error):
        write(target, NEW)
    assert content_of(target) == OLD and os.listdir(tmp_path) == ["place"]


def test_link_stays_and_its_folder_is_replaced(tmp_path):
    (tmp_path / "disk" / "real").mkdir(parents=True)
    (tmp_path / "place").symlink_to(tmp_path / "disk" / "real")
    write(tmp_path / "place")
    assert (tmp_path / "place").is_symlink() and os.listdir(tmp_path / "disk") == ["real"]
    assert content_of(tmp_path / "disk" / "real") == NEW
    shutil.move(tmp_path / "disk" / "real", tmp_path / "disk" / ".real.recns-old")
    folders.restore(tmp_path / "place")
    assert content_of(tmp_path / "place") == NEW


def test_parents_are_created_and_removed_again_if_nothing_is_written(tmp_path):
    target = tmp_path / "x" / "y" / "place"
    with pytest.raises(ZeroDivisionError), folders.claim(target, ""), folders.replace(target):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    write(target)
    assert content_of(target) == NEW


@pytest.mark.parametrize("made", ["data", f".shop{folders.NEW}"])
def test_interrupt_right_after_a_folder_is_made_leaves_nothing(tmp_path, monkeypatch, made):
    """Python handles a signal when the call during which it came returns."""
    target = tmp_path / "data" / "shop"
    mkdir = Path.mkdir

    def interrupted(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        if path.name == made:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        folders.claim(target, "is locked"),
        folders.replace(target),
    ):
        pytest.fail("the interrupt came before")
    assert list(tmp_path.iterdir()) == []


def test_files_are_on_disk_before_the_folder_appears(tmp_path, monkeypatch):
    target, synced = tmp_path / "place", []
    monkeypatch.setattr(folders, "sync", lambda path: synced.append((path.name, target.exists())))
    write(target)
    before = {name for name, appeared in synced if not appeared}
    assert before == {"a", "d", "c", ".place.recns-new"}
    assert synced[-1] == (tmp_path.name, True)
