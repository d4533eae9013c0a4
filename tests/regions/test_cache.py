import errno
import json
import re
import shutil
import threading

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.regions import cache
from recns_tf.regions.region import build_region
from recns_tf.regions.storage import StoredRegion
from recns_tf.utils import array_cache
from tests.conftest import make_toy


def forbid_build(*_):
    raise AssertionError("the region should be read from the cache")


def cached_folder(folder):
    (path,) = folder.glob("region-*")
    return path


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_region_is_built_once(toy, tmp_path, monkeypatch, memory):
    first = build_region(toy.train, memory=memory, cache=tmp_path)
    monkeypatch.setattr("recns_tf.regions.region.Graph", forbid_build)
    again = build_region(toy.train, memory=memory, cache=tmp_path)
    assert again.form.name == first.form.name == ("sizes" if memory == 0 else "bitmap")
    np.testing.assert_array_equal(again.counts, first.counts)
    for name, array in first.form.arrays.items():
        assert isinstance(again.form.arrays[name], np.memmap)
        np.testing.assert_array_equal(again.form.arrays[name], array)
    assert [path.name for path in tmp_path.iterdir()] == [cached_folder(tmp_path).name]


@pytest.mark.parametrize(
    "other", [{"khop": 5}, {"definition": "shell"}, {"kind": "distant"}, {"memory": 1.0}]
)
def test_other_settings_use_another_folder(toy, tmp_path, other):
    build_region(toy.train, cache=tmp_path)
    build_region(toy.train, cache=tmp_path, **other)
    assert len(list(tmp_path.glob("region-*"))) == 2


def test_other_data_use_another_folder(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    build_region(make_toy(seed=1).train, cache=tmp_path)
    assert len(list(tmp_path.glob("region-*"))) == 2


def flip_last_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_about(path, **changes):
    about = json.loads((path / "about.json").read_text())
    (path / "about.json").write_text(json.dumps(about | changes))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: flip_last_bit(path / "words.npy"),
        lambda path: (path / "words.npy").write_bytes((path / "words.npy").read_bytes()[:-4]),
        lambda path: (path / "counts.npy").unlink(),
        lambda path: (path / "about.json").write_text("{"),
        lambda path: (path / "about.json").write_text("[]"),
        lambda path: change_about(path, form="sizes"),
        lambda path: change_about(path, form="bitmaq"),
        lambda path: change_about(path, form="lists"),
        lambda path: change_about(path, sha256={}),
        lambda path: change_about(path, key={}),
    ],
)
def test_damaged_region_is_built_anew(toy, tmp_path, spoil, capsys):
    words = np.array(build_region(toy.train, cache=tmp_path).form.arrays["words"])
    spoil(cached_folder(tmp_path))
    again = build_region(toy.train, cache=tmp_path)
    said = capsys.readouterr().err
    assert re.fullmatch(r".*region-.* is (damaged|missing).*: the region is built anew\.\n", said)
    np.testing.assert_array_equal(again.form.arrays["words"], words)
    build_region(toy.train, cache=tmp_path)
    assert not capsys.readouterr().err


def test_region_of_other_data_under_the_same_name_is_built_anew(toy, tmp_path, capsys):
    build_region(toy.train, cache=tmp_path)
    own = cached_folder(tmp_path)
    build_region(make_toy(seed=1).train, cache=tmp_path)
    (other,) = set(tmp_path.glob("region-*")) - {own}
    shutil.rmtree(own)
    other.rename(own)
    again = build_region(toy.train, cache=tmp_path)
    assert "belongs to other data or settings" in capsys.readouterr().err
    np.testing.assert_array_equal(again.counts, build_region(toy.train).counts)


def rows(starts, items, num_items=3):
    return csr_array((np.ones(len(items), bool), items, starts), shape=(2, num_items))


@pytest.mark.parametrize(
    "other",
    [rows([0, 2, 2], [0, 1]), rows([0, 1, 2], [0, 2]), rows([0, 1, 2], [0, 1], num_items=4)],
)
def test_checksum_covers_rows_items_and_shape(other):
    assert cache.checksum(other) != cache.checksum(rows([0, 1, 2], [0, 1]))


def test_another_format_uses_another_folder(toy, tmp_path, monkeypatch):
    build_region(toy.train, cache=tmp_path)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    build_region(toy.train, cache=tmp_path)
    assert len(list(tmp_path.glob("region-*"))) == 2


def test_lock_of_a_process_killed_after_it_had_saved_the_region_is_removed(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    path = cached_folder(tmp_path)
    (tmp_path / f".{path.name}.lock").touch()
    build_region(toy.train, cache=tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_no_folder(toy, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(array_cache, "write_json", full)
    with pytest.raises(UserError, match=f"the disk of {tmp_path}.* is full"):
        build_region(toy.train, cache=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_region_is_built_but_not_cached_in_a_read_only_folder(
    toy, tmp_path, monkeypatch, number, capsys
):
    def refuses(*_, **__):
        raise OSError(number, "not allowed")

    monkeypatch.setattr("pathlib.Path.open", refuses)
    region = build_region(toy.train, cache=tmp_path)
    np.testing.assert_array_equal(region.counts, build_region(toy.train).counts)
    assert "is not writable" in capsys.readouterr().out


def test_failed_build_leaves_no_folder(toy, tmp_path):
    def failing():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.cached(tmp_path, toy.train, {}, failing)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_partial_folder_of_a_killed_build_is_replaced(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    path = cached_folder(tmp_path)
    part = tmp_path / f".{path.name}.part"
    path.rename(part)
    (part / "about.json").unlink()
    build_region(toy.train, cache=tmp_path)
    assert not part.exists() and (path / "about.json").exists()


def test_concurrent_build_waits_for_the_first(toy, tmp_path):
    built = []
    entered, finish = threading.Event(), threading.Event()

    def build():
        built.append(1)
        entered.set()
        assert finish.wait(20)
        return StoredRegion("sizes", np.arange(3), {})

    forms = []

    def ask():
        forms.append(cache.cached(tmp_path, toy.train, {}, build))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive(), "it waits"
    finish.set()
    for thread in threads:
        thread.join(20)
    assert built == [1] and len(forms) == 2
