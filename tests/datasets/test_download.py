import fcntl
import hashlib
import http.server
import importlib
import resource
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from tqdm import tqdm

from recns_tf.datasets.download import DownloadError, download
from recns_tf.utils.files import git_blob_sha1

module = importlib.import_module("recns_tf.datasets.download")

CONTENT = bytes(n * n % 251 for n in range(256_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WRONG = b"x" + CONTENT[1:]
CUT = 100_000


@dataclass
class Answer:
    """How the server answers one request.

    Attributes:
        status: an error, or 200 to send a file, which becomes 206 if a range is requested.
        content: the file.
        cut: bytes to send before the connection ends, -1 for all.
        how: how the connection ends, "close", "reset" or "stall".
        ranges: whether ranges are supported.
        shift: offset between the requested and the actual start of a range.
        framing: "length" (Content-Length), "chunked" or "none".
        pieces: number of writes that send the file, 0.02 s apart.
    """

    status: int = 200
    content: bytes = CONTENT
    cut: int = -1
    how: str = "close"
    ranges: bool = True
    shift: int = 0
    framing: str = "length"
    pieces: int = 1


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends the answers of the site in order, and repeats the last one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server
        requested = self.headers["Range"]
        with site.lock:
            site.ranges.append(requested)
            answer = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
        self.close_connection = True
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif answer.status != 200:
            self.send_error(answer.status)
        else:
            start = int(requested.removeprefix("bytes=").removesuffix("-")) if requested else 0
            self.send_file(answer, start if answer.ranges else None)

    def send_file(self, answer, start):
        if start and start >= len(answer.content):
            self.send_error(416)
            return
        first = start + answer.shift if start else 0
        rest = answer.content[first:]
        self.send_response(206 if start else 200)
        if start:
            last = len(answer.content) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{last + 1}")
        if answer.framing == "length":
            self.send_header("Content-Length", str(len(rest)))
        if answer.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = rest if answer.cut < 0 else rest[: answer.cut]
        with self.server.lock:
            self.server.sent.append(len(body))
        if answer.framing == "chunked":
            body = b"%x\r\n%s" % (len(rest), body) + b"\r\n0\r\n\r\n" * (len(body) == len(rest))
        self.send_body(answer, body)

    def send_body(self, answer, body):
        step = -(-len(body) // answer.pieces) or 1
        try:
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                if answer.pieces > 1:
                    time.sleep(0.02)
        except ConnectionError:
            return  # the client closed the connection
        if answer.how == "stall":
            self.server.ended.wait(5)
        if answer.how == "reset":
            time.sleep(0.1)  # let the sent bytes arrive first
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def finish(self):
        if self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, *arguments):
        pass


class Site(http.server.ThreadingHTTPServer):
    """A local server that records the requested ranges and the bytes sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/file"
        self.answers = [Answer()]
        self.ranges = []
        self.sent = []


@pytest.fixture
def site():
    with Site() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.ended.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(module, "WAITS_SECONDS", (0.01, 0.01))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "folder" / "file"


def files_in_folder(target):
    """Return the contents of the files in the folder of `target` by name."""
    return {path.name: path.read_bytes() for path in target.parent.iterdir()}


def write_part(target, content):
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(content)


def test_file_is_downloaded(site, target):
    assert download(site.url, target, SHA256) == target
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None]


def test_file_with_a_wrong_checksum_is_replaced(site, target):
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}


def test_existing_file_is_not_downloaded_again(site, target):
    write_part(target, CONTENT[:CUT])
    target.write_bytes(CONTENT)
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == []


def test_empty_file_is_downloaded(site, target):
    site.answers = [Answer(content=b"")]
    download(site.url, target, hashlib.sha256(b"").hexdigest())
    assert files_in_folder(target) == {"file": b""}


def test_other_checksum_functions_are_supported(site, target, tmp_path):
    (tmp_path / "same").write_bytes(CONTENT)
    download(site.url, target, git_blob_sha1(tmp_path / "same"), git_blob_sha1)
    assert files_in_folder(target) == {"file": CONTENT}


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_slow_server_does_not_time_out(site, target, monkeypatch, framing):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.5)  # less than the total time
    site.answers = [Answer(pieces=35, framing=framing)]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None]


@pytest.mark.parametrize(
    "broken",
    [Answer(cut=CUT), Answer(cut=CUT, framing="chunked"), Answer(cut=CUT, how="stall")],
    ids=["closed", "chunked", "stalled"],
)
def test_interrupted_transfer_resumes(site, target, monkeypatch, broken):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.5)
    site.answers = [broken, Answer()]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None, f"bytes={CUT}-"]
    assert sum(site.sent) == len(CONTENT), "no byte twice"


def test_reset_connection_is_retried(site, target):
    """The number of bytes kept depends on the system, which may drop unread data."""
    site.answers = [Answer(cut=CUT, how="reset"), Answer()]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert len(site.ranges) == 2


def test_later_call_resumes(site, target, monkeypatch):
    bars = []

    class Bar(tqdm):
        def __init__(self, **settings):
            bars.append((settings["desc"], settings["initial"], settings["total"]))
            super().__init__(**settings)

    monkeypatch.setattr(module, "tqdm", Bar)
    site.answers = [Answer(cut=CUT), Answer(cut=0)]
    with pytest.raises(DownloadError, match="was interrupted after 100,000 of 256,000 bytes"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file.part": CONTENT[:CUT]}
    site.answers = [Answer()]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None] + [f"bytes={CUT}-"] * 3
    assert sum(site.sent) == len(CONTENT), "no byte twice"
    assert bars == [("file", 0, len(CONTENT))] + [("file", CUT, len(CONTENT))] * 3


def test_redirection_keeps_the_range(site, target):
    write_part(target, CONTENT[:CUT])
    download(site.url.replace("/file", "/moved"), target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [f"bytes={CUT}-"] * 2


def test_transfer_that_never_completes_is_an_error_and_keeps_its_part(site, target):
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    site.answers = [Answer(cut=1000, ranges=False)]
    with pytest.raises(DownloadError, match="/file was interrupted after 1,000 of 256,000 bytes"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": b"earlier", "file.part": CONTENT[:1000]}
    assert site.ranges == [None, "bytes=1000-", "bytes=1000-"]


def test_wrong_content_is_an_error_and_is_removed(site, target):
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    site.answers = [Answer(content=WRONG)]
    with pytest.raises(DownloadError, match=r"/file is not the expected file \(its checksum"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": b"earlier"}
    assert site.ranges == [None]


@pytest.mark.parametrize("part", [WRONG[:CUT], WRONG, CONTENT + b"x"], ids=["cut", "all", "more"])
def test_part_of_another_file_is_downloaded_again(site, target, part):
    write_part(target, part)
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [f"bytes={len(part)}-", None]


def test_wrong_content_after_a_part_is_an_error_after_two_downloads(site, target):
    write_part(target, CONTENT[:CUT])
    site.answers = [Answer(content=CONTENT[:-1] + b"x")]
    with pytest.raises(DownloadError, match="is not the expected file"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {}
    assert site.ranges == [f"bytes={CUT}-", None]


def test_complete_part_is_used(site, target):
    write_part(target, CONTENT)
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [f"bytes={len(CONTENT)}-"]
    assert site.sent == []


@pytest.mark.parametrize(
    ("answers", "ranges"),
    [
        ([Answer(ranges=False)], [f"bytes={CUT}-"]),
        ([Answer(shift=1)], [f"bytes={CUT}-", None]),
        ([Answer(shift=-CUT)], [f"bytes={CUT}-"]),
    ],
    ids=["ignored", "shifted", "from the beginning"],
)
def test_wrong_range_restarts_the_download(site, target, answers, ranges):
    write_part(target, CONTENT[:CUT])
    site.answers = answers
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == ranges


@pytest.mark.parametrize("framing", ["none", "chunked"])
def test_length_is_not_required(site, target, framing):
    write_part(target, CONTENT[:CUT])
    site.answers = [Answer(framing=framing)]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert sum(site.sent) == len(CONTENT) - CUT


def test_truncated_file_without_a_length_is_an_error(site, target):
    site.answers = [Answer(cut=CUT, framing="none")]
    with pytest.raises(DownloadError, match="is not the expected file"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {}


@pytest.mark.parametrize("status", [403, 404, 410, 416])
def test_refusal_is_not_retried(site, target, status):
    site.answers = [Answer(status=status)]
    with pytest.raises(DownloadError, match=f"/file could not be read .*{status}"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {}
    assert site.ranges == [None]


def test_refusal_keeps_the_part(site, target):
    write_part(target, CONTENT[:CUT])
    site.answers = [Answer(status=404)]
    with pytest.raises(DownloadError, match="404"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file.part": CONTENT[:CUT]}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_retried(site, target, status):
    site.answers = [Answer(status=status), Answer()]
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None, None]


def test_server_that_stays_busy_is_an_error(site, target):
    site.answers = [Answer(status=503)]
    with pytest.raises(DownloadError, match="503"):
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {}
    assert site.ranges == [None] * 3


def test_missing_server_is_an_error(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match=r"/file could not be read .*refused"):
            download(url, target, SHA256)
    assert files_in_folder(target) == {}


def test_silent_server_is_an_error(target, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match=r"/file could not be read .*timed out"):
            download(url, target, SHA256)
    assert files_in_folder(target) == {}


def test_full_disk_is_not_a_network_error(site, target):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            download(site.url, target, SHA256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_in_folder(target) == {"file.part": CONTENT[:CUT]}
    assert site.ranges == [None]


def test_unwritable_path_is_not_a_network_error(site, target):
    target.parent.mkdir()
    target.with_name("file.part").mkdir()
    with pytest.raises(IsADirectoryError):
        download(site.url, target, SHA256)
    assert site.ranges == []


def test_interrupt_keeps_the_received_part(site, target, monkeypatch):
    chunks = []

    def interrupted(url, response):
        if chunks:
            raise KeyboardInterrupt
        chunks.append(response.read1(1000))
        return chunks[0]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "next_chunk", interrupted)
        download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file.part": chunks[0]}
    download(site.url, target, SHA256)
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None, f"bytes={len(chunks[0])}-"]


def test_concurrent_calls_download_the_file_once(site, target):
    site.answers = [Answer(pieces=5)]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(download, site.url, target, SHA256) for _ in range(4)]
        assert [call.result() for call in calls] == [target] * 4
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [None]


def test_concurrent_calls_fail_independently(site, target):
    site.answers = [Answer(content=WRONG, pieces=3)]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(download, site.url, target, SHA256) for _ in range(4)]
        for call in calls:
            assert isinstance(call.exception(), DownloadError)
    assert files_in_folder(target) == {}
    assert site.ranges == [None] * 4


def test_part_of_another_process_is_resumed(site, target):
    write_part(target, CONTENT[:10])
    part = target.with_name("file.part")
    with ThreadPoolExecutor(1) as pool:
        with part.open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            call = pool.submit(download, site.url, target, SHA256)
            time.sleep(0.1)
            assert site.ranges == [], "it waits"
            other.write(CONTENT[10:CUT])
        assert call.result() == target
    assert files_in_folder(target) == {"file": CONTENT}
    assert site.ranges == [f"bytes={CUT}-"]
