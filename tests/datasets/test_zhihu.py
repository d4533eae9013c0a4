import http.server
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config import flagfiles
from recns_tf.config.config import Config
from recns_tf.datasets import download, zhihu
from recns_tf.datasets.formats.writers import write_lightgcn, write_pinsage
from recns_tf.errors import UserError
from recns_tf.utils.files import git_blob_sha1
from tests.conftest import SHARED, make_toy

ORIGINAL = SHARED / "data" / "zhihu-original"


@pytest.fixture
def repository(tmp_path, monkeypatch, toy):
    """A server with a toy dataset in place of Zhihu, and the list of its requests."""
    root = tmp_path / "repository"
    for layout, write in (("lightgcn", write_lightgcn), ("pinsage", write_pinsage)):
        write(toy, root / zhihu.BLOBS[layout][0])
    blobs = {
        layout: (
            folder,
            {name: git_blob_sha1(root / folder / name) for name in names},
        )
        for layout, (folder, names) in zhihu.BLOBS.items()
    }
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(root))

        def do_GET(self):
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    monkeypatch.setattr(zhihu, "BLOBS", blobs)
    monkeypatch.setattr(zhihu, "SIZES", (toy.num_users, toy.num_items))
    monkeypatch.setattr(download, "WAITS_SECONDS", ())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(zhihu, "REPOSITORIES", (f"{address}/missing", address))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield root, requests
        server.shutdown()


def equal_part(one, two, part):
    return (getattr(one, part) != getattr(two, part)).nnz == 0


def test_files_are_downloaded_once(tmp_path, repository, toy):
    _, requests = repository
    config = Config(dataset="zhihu")
    data = datasets.load(config, tmp_path)
    assert all(equal_part(data, toy, part) for part in ("train", "valid", "test", "exposed"))
    assert len(requests) == 6, "the first repository has none of the three files"
    again = datasets.load(config, tmp_path)
    assert again.checksum == data.checksum and len(requests) == 6
    assert not list((tmp_path / "zhihu").rglob("*.part"))


def test_lightgcn_layout_has_no_validation_part(tmp_path, repository, toy):
    config = Config(dataset="zhihu", layout="lightgcn")
    data = datasets.load(config, tmp_path)
    assert equal_part(data, toy, "test") and equal_part(data, toy, "exposed")
    assert data.train.nnz + data.valid.nnz == toy.train.nnz and data.valid.nnz
    preset = flagfiles.FOLDER / "original.flags"
    config = Config.for_run("zhihu", "lightgcn", [preset], layout="lightgcn")
    whole = datasets.load(config, tmp_path)
    assert equal_part(whole, toy, "train") and not whole.valid.nnz, "the authors train on all"


def test_existing_files_are_used_with_a_warning(tmp_path, repository, toy, capsys):
    root, requests = repository
    shutil.copytree(root / zhihu.BLOBS["pinsage"][0], tmp_path / "zhihu" / "pinsage")
    test = tmp_path / "zhihu" / "pinsage" / "test.txt"
    test.write_text("".join(test.read_text().splitlines(keepends=True)[:5]))
    data = datasets.load(Config(dataset="zhihu"), tmp_path)
    assert data.test.nnz == 5 and not requests
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{test} is not the authors' file; it is used anyway."]


def test_other_splits_are_refused(tmp_path, repository):
    with pytest.raises(UserError, match="--split_seed=1: the files of zhihu are already split"):
        datasets.load(Config(dataset="zhihu", split_seed=1), tmp_path)
    with pytest.raises(UserError, match="--split=temporal: the files of zhihu are already split"):
        datasets.load(Config(dataset="zhihu", split="temporal"), tmp_path)


def test_file_with_a_wrong_checksum_is_refused(tmp_path, repository):
    root, _ = repository
    (root / zhihu.BLOBS["pinsage"][0] / "valid.txt").write_text("0\t41\n")
    with pytest.raises(UserError, match=r"valid\.txt is not the expected file"):
        datasets.load(Config(dataset="zhihu"), tmp_path)
    kept = [path.name for path in (tmp_path / "zhihu").rglob("*") if path.is_file()]
    assert kept == ["train.txt"]


def test_message_without_a_network_says_which_files_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(zhihu, "REPOSITORIES", ("http://127.0.0.1:9",) * 2)
    monkeypatch.setattr(download, "WAITS_SECONDS", ())
    with pytest.raises(UserError) as error:
        datasets.load(Config(dataset="zhihu"), tmp_path)
    message = str(error.value)
    assert "train.txt, valid.txt, test.txt of https://" in message
    assert f"into {tmp_path / 'zhihu' / 'pinsage'}/" in message and "\n" not in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the authors' Zhihu files are missing")
def test_checksums_of_the_authors_files():
    for path in (Path("lightgcn/test.txt"), Path("pinsage/valid.txt"), Path("pinsage/test.txt")):
        _, blobs = zhihu.BLOBS[path.parent.name]
        assert git_blob_sha1(ORIGINAL / path) == blobs[path.name]


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the authors' Zhihu files are missing")
def test_authors_valid_and_test_files_with_a_small_train_file(tmp_path):
    """The real valid and test files; train has one pair of each type."""
    folder = tmp_path / "zhihu" / "pinsage"
    folder.mkdir(parents=True)
    for name in ("valid.txt", "test.txt"):
        shutil.copy(ORIGINAL / "pinsage" / name, folder)
    (folder / "train.txt").write_text("0\t60189\tPos\n16014\t16015\tNeg\n")
    data = datasets.load(Config(dataset="zhihu"), tmp_path)
    assert (data.num_users, data.num_items) == (16_015, 44_175)
    assert (data.valid.nnz, data.test.nnz) == (327_675, 326_042)
    assert data.train[0, 44_174] and data.exposed[16_014, 0]
    np.testing.assert_array_equal(data.test[[0]].indices[:3], [1, 10, 13])


@pytest.mark.parametrize("layout", ["pinsage", "lightgcn"])
def test_alibaba_is_read_from_its_folder(tmp_path, layout):
    toy = make_toy()
    config = Config(dataset="alibaba", layout=layout)
    with pytest.raises(UserError, match=rf"put train.txt, .*test.txt into {tmp_path}"):
        datasets.load(config, tmp_path)
    write = {"pinsage": write_pinsage, "lightgcn": write_lightgcn}[layout]
    write(toy, tmp_path / "alibaba" / layout)
    data = datasets.load(config, tmp_path)
    assert all(equal_part(data, toy, part) for part in ("train", "valid", "test", "exposed"))
    np.testing.assert_array_equal(data.user_ids, toy.user_ids)


def test_pair_in_two_parts_is_kept_in_the_first(tmp_path, capsys):
    folder = tmp_path / "alibaba" / "pinsage"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("0\t2\tPos\n1\t2\tPos\n1\t2\tNeg\n1\t3\tNeg\n")
    (folder / "valid.txt").write_text("0\t2\n0\t3\n0\t4\n")
    (folder / "test.txt").write_text("0\t3\n1\t2\n")
    data = datasets.load(Config(dataset="alibaba"), tmp_path)
    assert data.train.nnz == 2 and data.exposed.nnz == 1
    assert data.test.nnz == 1 and data.test[0, 1]
    assert data.valid.nnz == 1 and data.valid[0, 2]
    said = capsys.readouterr().err
    assert (
        "alibaba: 1 test pair is" in said
        and "2 valid pairs" in said
        and "1 exposed pair is" in said
    )
