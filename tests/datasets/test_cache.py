import numpy as np
import pytest

from recns_tf.datasets import cache
from recns_tf.errors import UserError
from tests.conftest import make_toy


def are_equal(one, two):
    same = all(
        (getattr(one, part) != getattr(two, part)).nnz == 0
        for part in ("train", "valid", "test", "exposed")
    )
    ids = np.array_equal(one.user_ids, two.user_ids) and np.array_equal(one.item_ids, two.item_ids)
    return same and ids and one.name == two.name and one.source == two.source


def test_saved_interactions_read_back_equal(tmp_path, toy):
    cache.save(tmp_path / "toy.npz", toy)
    again = cache.read(tmp_path / "toy.npz")
    assert are_equal(again, toy)
    assert again.checksum == toy.checksum


def test_interactions_are_built_once_per_source(tmp_path):
    calls = []

    def build():
        calls.append(1)
        return make_toy(seed=len(calls))

    first = cache.cached(tmp_path, {"log": "a"}, build)
    assert are_equal(cache.cached(tmp_path, {"log": "a"}, build), first)
    assert len(calls) == 1
    assert not are_equal(cache.cached(tmp_path, {"log": "b"}, build), first)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["flip", "empty"])
def test_damaged_cache_is_built_anew(tmp_path, capsys, damage):
    first = cache.cached(tmp_path, {"log": "a"}, make_toy)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else b"")
    assert are_equal(cache.cached(tmp_path, {"log": "a"}, make_toy), first)
    said = capsys.readouterr().err
    assert said.startswith(f"{path} is damaged") and said.count("\n") == 1
    assert are_equal(cache.read(path), first)


def test_failed_build_leaves_no_file(tmp_path):
    def build():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.cached(tmp_path, {}, build)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "other"])
def test_damaged_cache_is_an_error(tmp_path, toy, damage):
    path = tmp_path / "toy.npz"
    cache.save(path, toy)
    whole = path.read_bytes()
    where = whole.index(b"train_items") + 200
    damaged = {
        "cut": whole[: len(whole) // 2],
        "flip": whole[:where] + bytes([whole[where] ^ 255]) + whole[where + 1 :],
        "empty": b"",
        "text": b"user,item\n1,2\n",
    }
    if damage == "other":
        np.savez(path, something=np.arange(3))
    else:
        path.write_bytes(damaged[damage])
    with pytest.raises(UserError, match=r"toy\.npz is damaged.*: the dataset is made anew"):
        cache.read(path)


def test_wrong_checksum_is_an_error(tmp_path, toy):
    path = tmp_path / "toy.npz"
    cache.save(path, toy)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["item_ids"] = arrays["item_ids"] + 1
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="checksum does not match"):
        cache.read(path)
