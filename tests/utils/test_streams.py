import io
import os
import subprocess
import sys

import pytest

from recns_tf import main, registry
from recns_tf.utils import streams
from tests.commands.test_train import ROOT

ASCII = {
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}


def start(*arguments, **settings):
    """Start the program in a new process."""
    line = [sys.executable, "-m", "recns_tf", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(ROOT)} | settings.pop("env", {})
    return subprocess.Popen(line, env=environment, **settings)


def run(*arguments, **settings):
    """Run the program to its end; return its status, its output and its errors as bytes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(*arguments, **pipes | settings)
    return (*process.communicate(), process.returncode)


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "1 – 2 … 3 × 4 ± 5", b"1 - 2 ... 3 x 4 +- 5"),
        ("ascii", "é 重 \U0001f600 \udcff", b"\\xe9 \\u91cd \\U0001f600 \\udcff"),
        ("latin-1", "é × …", b"\xe9 \xd7 ..."),
        ("utf-8", "é … \udcff", "é … \\udcff".encode()),
    ],
)
def test_characters_that_a_terminal_lacks_are_replaced(encoding, text, written):
    found = io.BytesIO()
    terminal = io.TextIOWrapper(found, encoding=encoding, errors=streams.HANDLER)
    terminal.write(text)
    terminal.flush()
    assert found.getvalue() == written


@pytest.mark.parametrize("name", registry.COMMANDS)
def test_help_of_every_command_in_ascii(name, monkeypatch):
    found = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(found, encoding="ascii"))
    main.main([name, "--help"])
    out = found.getvalue()
    assert out.isascii() and out.startswith(b"Usage: ") and b"\\u" not in out


@pytest.mark.slow
def test_prepare_train_and_summary_in_ascii(tmp_path):
    rows = [f"ü{user},書{user * item % 31}" for user in range(30) for item in range(1, 9)]
    (tmp_path / "log.csv").write_text("user_id,item_id\n" + "\n".join(rows), encoding="utf-8")
    place = {"cwd": tmp_path, "env": ASCII}
    for line, words in (
        (["prepare", "own", "--input=log.csv"], b"sorting and splitting them ..."),
        (["own", "mf", "--dim=4", "--epochs=1", "--run_name=a"], b"Recall@20"),
        (["summary", "runs/a"], b"| own | mf | recns |"),
    ):
        out, errors, status = run(*line, **place)
        assert (status, errors) == (0, b""), line
        assert out.isascii() and words in out and b"Traceback" not in out
    _, errors, status = run("own", "mf", "--run_name=…", **place)
    assert status == 1 and errors.startswith(b"recns_tf: --run_name=") and errors.isascii()
    assert errors.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("line", [["help"], ["train", "--help"], ["export", "--help"]])
def test_a_reader_that_stops_reading_ends_the_program_quietly(line):
    process = start(*line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


@pytest.mark.slow
@pytest.mark.parametrize("line", [["help"], ["train", "--help"]])
def test_output_that_cannot_be_written_is_one_sentence(line):
    with open("/dev/full", "wb") as full:
        _, errors, status = run(*line, stdout=full)
    # Help is written at the end, the commands' output while they run.
    ends = (b"cannot be written: No space left on device.\n", b"run the same command again.\n")
    assert status == 1 and errors.endswith(ends)
    assert errors.count(b"\n") == 1


@pytest.mark.slow
def test_closed_streams_lead_nowhere(tmp_path):
    """The first file that is opened must not become the output."""
    (tmp_path / "log.csv").write_text("user_id,item_id\na,1\na,2\nb,1\nb,2\nb,3\n")

    def close():
        for number in range(3):
            os.close(number)

    process = start("prepare", "own", "--input=log.csv", cwd=tmp_path, preexec_fn=close)
    assert process.wait() == 0
    for path in (tmp_path / "data" / "own").iterdir():
        assert b"rows read" not in path.read_bytes()
    assert len(list((tmp_path / "data" / "own").iterdir())) > 1
