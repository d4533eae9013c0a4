import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets import ml_100k
from recns_tf.datasets.download import DownloadError
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs

LINES = "".join(
    f"{user}\t{item}\t{(user * item) % 5 + 1}\t{user + item}\n"
    for user in (9, 3, 5)
    for item in range(20, 0, -1)
)


@pytest.fixture
def small(monkeypatch):
    """Replace u.data by a small file of the same format."""
    content = LINES.encode()
    monkeypatch.setattr(ml_100k, "RATINGS_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(ml_100k, "download_from_grouplens", lambda: content)
    return content


def unreachable():
    raise DownloadError("no answer")


def test_ratings_become_positives_and_exposures(small, tmp_path):
    data = datasets.load(Config(split_seed=3), tmp_path)
    assert data.user_ids.tolist() == [3, 5, 9]
    assert data.item_ids.tolist() == list(range(1, 21))
    positives = {
        (int(data.user_ids[u]), int(data.item_ids[v]))
        for part in (data.train, data.valid, data.test)
        for u, v in to_pairs(part)
    }
    assert positives == {(u, v) for u in (3, 5, 9) for v in range(1, 21) if (u * v) % 5 + 1 >= 4}
    exposed = {(int(data.user_ids[u]), int(data.item_ids[v])) for u, v in to_pairs(data.exposed)}
    assert exposed == {(u, v) for u in (3, 5, 9) for v in range(1, 21)} - positives


def test_split_depends_only_on_its_seed(small, tmp_path):
    one = datasets.load(Config(split_seed=1), tmp_path / "a")
    again = datasets.load(Config(split_seed=1), tmp_path / "b")
    other = datasets.load(Config(split_seed=2), tmp_path / "a")
    assert one.checksum == again.checksum != other.checksum


def test_wheel_is_used_if_grouplens_is_unreachable(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ml_100k, "download_from_grouplens", unreachable)
    monkeypatch.setattr(ml_100k, "download_from_pypi", lambda: small)
    assert datasets.load(Config(), tmp_path).num_users == 3
    assert "no answer; trying the wheel recbole==1.2.1" in capsys.readouterr().err


def test_message_without_a_network_says_which_file_to_put_where(small, tmp_path, monkeypatch):
    monkeypatch.setattr(ml_100k, "download_from_grouplens", unreachable)
    monkeypatch.setattr(ml_100k, "download_from_pypi", unreachable)
    with pytest.raises(UserError, match=r"cannot be downloaded: .* put u\.data of .* at .*u\.data"):
        datasets.load(Config(), tmp_path)
    assert not (tmp_path / "ml-100k").exists()


def test_failure_of_pip_is_an_error(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(ml_100k, "WHEEL", "no-such-package-anywhere==0")
    with pytest.raises(DownloadError, match="pip could not download no-such-package-anywhere==0"):
        ml_100k.download_from_pypi()


def test_damaged_file_is_an_error(small, tmp_path, monkeypatch):
    monkeypatch.setattr(ml_100k, "download_from_grouplens", lambda: small[:-9])
    with pytest.raises(UserError, match="damaged"):
        datasets.load(Config(), tmp_path)
    assert not (tmp_path / "ml-100k" / "u.data").exists()
    (tmp_path / "ml-100k").mkdir(exist_ok=True)
    (tmp_path / "ml-100k" / "u.data").write_bytes(small[:-9])
    with pytest.raises(UserError, match=r"u\.data is not GroupLens' u\.data: delete it"):
        datasets.load(Config(), tmp_path)


def test_unknown_dataset_is_an_error_that_lists_the_known_ones(tmp_path):
    config = SimpleNamespace(dataset="ml-1b")
    with pytest.raises(UserError, match=r"unknown dataset 'ml-1b': choose one of .*ml-100k"):
        datasets.load(config, tmp_path)


@pytest.mark.slow
def test_real_ratings(tmp_path):
    """943 users, 1,682 items, 55,375 positives and 44,625 exposures, from the network."""
    try:
        data = datasets.load(Config(), tmp_path)
    except UserError as error:
        pytest.skip(f"no network: {error}")
    assert (data.num_users, data.num_items) == (943, 1682)
    assert data.train.nnz + data.valid.nnz + data.test.nnz == 55_375
    assert data.exposed.nnz == 44_625
    counts = np.diff(data.train.indptr)
    held_out = np.diff(data.valid.indptr) + np.diff(data.test.indptr)
    assert (counts[held_out > 0] > 0).all()
    assert (counts == 0).sum() == 1, "one user has no rating of 4 or 5"
