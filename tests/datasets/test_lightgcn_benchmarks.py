"""The benchmarks that are downloaded in LightGCN's format."""

import functools
import hashlib
import http.server
import threading
from typing import ClassVar

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets import download, lightgcn_benchmarks
from recns_tf.errors import UserError

FILES = {"train.txt": b"0 0 1 2\n1 2 3\n2 4\n", "test.txt": b"0 3\n2 0 1\n"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    requests: ClassVar[list] = []

    def do_GET(self):
        self.requests.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture(params=["gowalla", "dens-toy"])
def server(request, tmp_path, monkeypatch):
    """A server whose second folder has small files in place of a dataset's."""
    root = tmp_path / "server"
    (root / "there").mkdir(parents=True)
    for name, content in FILES.items():
        (root / "there" / name).write_bytes(content)
    monkeypatch.setattr(download, "WAITS_SECONDS", ())
    monkeypatch.setattr(Quiet, "requests", [])
    handler = functools.partial(Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        address = f"http://127.0.0.1:{site.server_port}"
        known = lightgcn_benchmarks.PUBLISHED[request.param]
        made_up = known._replace(
            addresses=(f"{address}/missing", f"{address}/there"),
            checksums={name: hashlib.sha256(text).hexdigest() for name, text in FILES.items()},
        )
        monkeypatch.setitem(lightgcn_benchmarks.PUBLISHED, request.param, made_up)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield request.param, root / "there", tmp_path / "data"
        site.shutdown()


def test_files_are_downloaded_once_from_the_first_address_that_has_them(server):
    name, _, data = server
    config = Config(dataset=name, valid_share=0.0)
    found = datasets.load(config, data)
    np.testing.assert_array_equal(
        found.train.toarray(), [[1, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    )
    np.testing.assert_array_equal(
        found.test.toarray(), [[0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]
    )
    assert found.valid.nnz == found.exposed.nnz == 0
    folders = ["missing", "there"] * 2
    files = ["train.txt", "train.txt", "test.txt", "test.txt"]
    assert Quiet.requests == [f"/{a}/{b}" for a, b in zip(folders, files, strict=True)]
    assert datasets.load(config, data).checksum == found.checksum and len(Quiet.requests) == 4
    assert not list(data.rglob("*.part"))


def test_a_file_with_a_wrong_checksum_is_refused(server):
    name, folder, data = server
    (folder / "test.txt").write_bytes(b"0 4\n")
    with pytest.raises(UserError, match=rf"{name} cannot be .*/test\.txt is not the expected file"):
        datasets.load(Config(dataset=name), data)
    assert [path.name for path in (data / name).iterdir() if path.is_file()] == ["train.txt"]


def test_existing_files_are_used_with_a_warning(server, capsys):
    name, _, data = server
    (data / name).mkdir(parents=True)
    (data / name / "train.txt").write_bytes(FILES["train.txt"])
    (data / name / "test.txt").write_bytes(b"1 0\n")
    found = datasets.load(Config(dataset=name), data)
    assert found.test.nnz == 1 and not Quiet.requests
    said = f"{data / name / 'test.txt'} is not the authors' file; it is used anyway.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("name", list(lightgcn_benchmarks.PUBLISHED))
def test_message_without_a_network_says_which_files_to_put_where(tmp_path, monkeypatch, name):
    unreachable = lightgcn_benchmarks.PUBLISHED[name]._replace(addresses=("http://127.0.0.1:9",))
    monkeypatch.setitem(lightgcn_benchmarks.PUBLISHED, name, unreachable)
    monkeypatch.setattr(download, "WAITS_SECONDS", ())
    with pytest.raises(UserError) as error:
        datasets.load(Config(dataset=name), tmp_path)
    message = str(error.value)
    assert message.startswith(f"{name} cannot be downloaded: http://127.0.0.1:9/train.txt could")
    assert f"put train.txt, test.txt of {unreachable.home} into {tmp_path / name}/." in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_addresses_are_folders_of_https_sites():
    for published in lightgcn_benchmarks.PUBLISHED.values():
        assert set(published.checksums) == {"train.txt", "test.txt"}
        assert all(len(each) == 64 for each in published.checksums.values())
        for address in (*published.addresses, published.home):
            assert address.startswith("https://") and not address.endswith("/")
