"""Inputs that claim or hold far more than a log: one sentence, within bounded memory."""

import gzip
import os
import subprocess
import sys

import pytest

MEGABYTES = 300
SCRIPT = """
import sys
from recns_tf.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    print(stop.code, file=sys.stderr)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def prepare(tmp_path, *flags):
    """Return what `prepare` writes to stderr, and its peak memory in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "prepare", "log", *flags, "--data_dir=data"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stderr, int(done.stdout.split()[-1])


def write(path, part, times, start=b"", end=b""):
    """Write a compressed file whose content is `part` repeated until it has many megabytes."""
    block = part * ((1 << 20) // len(part))
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(times):
            file.write(block)
        file.write(end)


INPUTS = {
    "zeros.csv.gz": (b"\0", b"", [], "line 1 is longer than 16,777,216 characters"),
    "commas.csv.gz": (b",", b"", [], "line 1 is longer than 16,777,216 characters"),
    "spaces.csv.gz": (b" ", b"user_id,item_id\n", [], "line 2 is longer than 16,777,216 char"),
    "quoted.csv.gz": (
        b"x\n",
        b'user_id,item_id\n1,"',
        [],
        "line 2: field larger than field limit (16777216); is a quote opened",
    ),
    "field.csv.gz": (b"x", b"1,", ["--columns=user_id,item_id"], "line 1 is longer than 16,777"),
    "text.jsonl.gz": (b"[", b"", [], "line 1 is longer than 16,777,216 characters"),
    "list.txt.gz": (b"1 ", b"0 1\n1 ", [], "line 2 is longer than 16,777,216 characters"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_large_files_without_rows_are_refused_within_bounded_memory(tmp_path, name):
    part, start, flags, sentence = INPUTS[name]
    write(tmp_path / name, part, MEGABYTES, start)
    message, peak = prepare(tmp_path, f"--input={name}", *flags)
    assert sentence in message and message.count("\n") == 1
    assert len(message) < 1000 and peak < MEGABYTES + 400
    assert not (tmp_path / "data").exists()


def test_a_heading_is_not_printed_whole(tmp_path):
    (tmp_path / "log.csv").write_text(f"{'x' * 1_000_000},y\n1,2\n")
    message, _ = prepare(tmp_path, "--input=log.csv")
    assert "line 1: no column 'user_id'; its columns are 'xxxx" in message
    assert len(message) < 400
    (tmp_path / "log.csv").write_text("," * 20_000 + "\n")
    message, _ = prepare(tmp_path, "--input=log.csv")
    assert "log.csv line 1 has 20,001 fields, more than 10,000: is this a table?" in message


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    message, _ = prepare(tmp_path, "--input=pipe.csv")
    assert "pipe.csv is not a file: name a table." in message
