"""The command serve as a process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from recns_tf import registry
from recns_tf.commands import serve
from tests.processes import ENVIRONMENT, ROOT
from tests.serving.worlds import made_up_run


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "recns_tf", "serve", *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | ENVIRONMENT,
    )  # fmt: skip


def ask(address, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_stopped(toy, tmp_path, number):
    made_up_run(tmp_path / "run", toy)
    process = start(str(tmp_path / "run"), "--port=0", "--nohistories")
    try:
        line = process.stdout.readline()
        found = re.fullmatch(rf"serving {tmp_path}/run at (http://127\.0\.0\.1:\d+)\n", line)
        assert found, (line, process.stderr.read() if process.poll() is not None else "")
        address = found[1]
        for _ in range(100):
            try:
                about = ask(address, "/health")
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        assert about["run"] == "run"
        assert len(ask(address, "/recommend", {"users": ["u3"]})["lists"][0]) == 10
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode in (0, -number), errors
    assert output == "" and "Traceback" not in errors


def test_an_address_in_use_and_other_mistakes_are_one_sentence(toy, tmp_path):
    made_up_run(tmp_path / "run", toy)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, sentence in (
            ([f"--port={port}"], f"--host=127.0.0.1 --port={port}: address already in use"),
            (["--host=no.such.host.invalid"], "--host=no.such.host.invalid --port=8000: "),
            (["--port=70000"], "--port=70000: choose a whole number from 0 to 65535"),
            (["--reload_seconds=0"], "--reload_seconds=0.0: choose a number from 0.1"),
        ):
            process = start(str(tmp_path / "run"), *arguments)
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 1 and output == ""
            assert sentence in errors and len(errors.splitlines()) == 1, errors


def test_missing_packages_are_named(monkeypatch, tmp_path):
    command = registry.COMMANDS["serve"].load()
    from recns_tf.commands.app import Call
    from recns_tf.config.flags import make_flags
    from recns_tf.errors import UserError

    monkeypatch.setattr(serve, "PACKAGES", ("no_such_package",))
    call = Call([str(tmp_path)], [], make_flags(*command.settings))
    call.flags(["x"])
    with pytest.raises(UserError, match=r"pip install 'recns-tf\[serve\]'"):
        command.run(call)


def test_mistakes_with_titles_are_one_sentence(toy, tmp_path):
    made_up_run(tmp_path / "run", toy)
    (tmp_path / "items.csv").write_text("item;title\n3;a\n")
    (tmp_path / "others.csv").write_text("item,title\n1,a\n")
    for arguments, sentence in (
        ([f"--items={tmp_path}/none.csv"], "none.csv does not exist"),
        ([f"--items={tmp_path}/items.csv"], "items.csv line 1: no column 'item'"),
        ([f"--items={tmp_path}/others.csv"], "no id in its column 'item' is that of an item"),
        (["--separator=;"], "the layout of a table is set, but no table: set --items, too."),
    ):
        process = start(str(tmp_path / "run"), "--port=0", "--nohistories", *arguments)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and output == ""
        assert sentence in errors and len(errors.splitlines()) == 1, errors


def test_answers_are_sent_at_once():
    listener = serve.listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()), listener.accept()[0] as one:
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
