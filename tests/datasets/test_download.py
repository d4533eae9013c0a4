import hashlib
import http.server
import threading

import pytest

from recns_tf.datasets.download import DownloadError, download

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /good, and three kinds of failure."""

    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(CONTENT[:1000])
        elif self.path == "/corrupt":
            self.wfile.write(b"x" + CONTENT[1:])
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_good_file_arrives_whole(server, tmp_path):
    path = download(f"{server}/good", tmp_path / "file", SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "could not be read"),
        ("cut", "broke off after 1,000 of 256,000 bytes|could not be read"),
        ("corrupt", "SHA-256 differs"),
    ],
)
def test_a_bad_one_is_told_and_leaves_what_was_there(server, tmp_path, name, reason):
    target = tmp_path / "file"
    target.write_bytes(b"earlier")
    with pytest.raises(DownloadError, match=reason):
        download(f"{server}/{name}", target, SHA256)
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_no_server_is_told(tmp_path):
    with pytest.raises(DownloadError, match="could not be read"):
        download("http://127.0.0.1:9/file", tmp_path / "file", SHA256)
    assert list(tmp_path.iterdir()) == []
