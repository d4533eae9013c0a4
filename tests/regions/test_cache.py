import errno
import json
import shutil
import threading

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.regions import cache
from recns_tf.regions.region import build_region
from recns_tf.regions.storage import StoredRegion
from tests.conftest import make_toy


def no_building(*_):
    raise AssertionError("the region is in the cache")


def only(folder):
    (path,) = folder.glob("region-*")
    return path


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_a_region_is_built_once(toy, tmp_path, monkeypatch, memory):
    first = build_region(toy.train, memory=memory, cache=tmp_path)
    monkeypatch.setattr("recns_tf.regions.region.Graph", no_building)
    again = build_region(toy.train, memory=memory, cache=tmp_path)
    assert again.form.name == first.form.name == ("sizes" if memory == 0 else "bitmap")
    np.testing.assert_array_equal(again.counts, first.counts)
    for name, array in first.form.arrays.items():
        assert isinstance(again.form.arrays[name], np.memmap)
        np.testing.assert_array_equal(again.form.arrays[name], array)
    assert [path.name for path in tmp_path.iterdir()] == [only(tmp_path).name]


@pytest.mark.parametrize(
    "other", [{"khop": 5}, {"reading": "shell"}, {"kind": "distant"}, {"memory": 1.0}]
)
def test_other_settings_are_another_region(toy, tmp_path, other):
    build_region(toy.train, cache=tmp_path)
    build_region(toy.train, cache=tmp_path, **other)
    assert len(list(tmp_path.glob("region-*"))) == 2


def test_other_data_are_another_region(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    build_region(make_toy(seed=1).train, cache=tmp_path)
    assert len(list(tmp_path.glob("region-*"))) == 2


def spoil_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_about(path, **changes):
    about = json.loads((path / "about.json").read_text())
    (path / "about.json").write_text(json.dumps(about | changes))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: spoil_byte(path / "words.npy"),
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
def test_a_damaged_region_is_refused(toy, tmp_path, spoil):
    build_region(toy.train, cache=tmp_path)
    spoil(only(tmp_path))
    with pytest.raises(UserError, match=r"cached region .*region-\w+ is damaged .*delete it"):
        build_region(toy.train, cache=tmp_path)


def test_the_region_of_other_data_under_this_name_is_refused(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    own = only(tmp_path)
    build_region(make_toy(seed=1).train, cache=tmp_path)
    (other,) = set(tmp_path.glob("region-*")) - {own}
    shutil.rmtree(own)
    other.rename(own)
    with pytest.raises(UserError, match="of other data or settings"):
        build_region(toy.train, cache=tmp_path)


def rows(starts, items, num_items=3):
    return csr_array((np.ones(len(items), bool), items, starts), shape=(2, num_items))


@pytest.mark.parametrize(
    "other",
    [rows([0, 2, 2], [0, 1]), rows([0, 1, 2], [0, 2]), rows([0, 1, 2], [0, 1], num_items=4)],
)
def test_the_checksum_is_of_all_of_the_data(other):
    assert cache.checksum(other) != cache.checksum(rows([0, 1, 2], [0, 1]))


def test_another_format_is_another_region(toy, tmp_path, monkeypatch):
    build_region(toy.train, cache=tmp_path)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    build_region(toy.train, cache=tmp_path)
    assert len(list(tmp_path.glob("region-*"))) == 2


def test_a_disk_that_fills_up_leaves_no_folder(toy, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(cache, "write_json", full)
    with pytest.raises(OSError, match="no space"):
        build_region(toy.train, cache=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_where_nothing_may_be_written_the_region_is_built_for_once(
    toy, tmp_path, monkeypatch, number, capsys
):
    def refuses(*_, **__):
        raise OSError(number, "not allowed")

    monkeypatch.setattr("pathlib.Path.open", refuses)
    region = build_region(toy.train, cache=tmp_path)
    np.testing.assert_array_equal(region.counts, build_region(toy.train).counts)
    assert "may not be written" in capsys.readouterr().out


def test_a_build_that_fails_leaves_nothing(toy, tmp_path):
    def failing():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.cached(tmp_path, toy.train, {}, failing)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_what_a_killed_build_left_is_replaced(toy, tmp_path):
    build_region(toy.train, cache=tmp_path)
    path = only(tmp_path)
    part = tmp_path / f".{path.name}.part"
    path.rename(part)
    (part / "about.json").unlink()
    build_region(toy.train, cache=tmp_path)
    assert not part.exists() and (path / "about.json").exists()


def test_the_second_of_two_waits_for_the_first(toy, tmp_path):
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
