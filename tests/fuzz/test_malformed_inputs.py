"""Malformed inputs of every reader end in one sentence, or are read; nothing else is raised."""

import random
import zipfile

import pytest

from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets import ccir_zhihu, kuairand_pure, mind, ml_100k, taobao
from recns_tf.datasets.graph_folder import load_folder
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from tests.datasets.formats.log_generator import generate
from tests.fuzz import LONG
from tests.fuzz.limits import limits

NUM_INPUTS = 300 if LONG else 60

LISTS = b"".join(b"%d %s\n" % (u, b" ".join(b"%d" % (u + n) for n in range(6))) for u in range(8))
NODES = b"".join(
    b"%d\t%d\t%s\n" % (u, 8 + (u + n) % 8, b"Pos" if n < 4 else b"Neg")
    for u in range(8)
    for n in range(6)
)
HELD_OUT = b"".join(b"%d\t%d\n" % (user, 8 + (user + 6) % 8) for user in range(8))
MIND = b"".join(
    b"%d\tU%d\t11/1%d/2019 9:05:58 AM\tN1 N2\tN%d-1 N4-0 N5-0\n" % (n, n % 5, n % 10, n)
    for n in range(30)
)
CCIR = b"".join(b"%d\t3\tR%d|15|20,R2|16|0\tx\n" % (n % 6, n % 9) for n in range(30))
TAOBAO = b"user,time_stamp,adgroup_id,pid,nonclk,clk\n" + b"".join(
    b"%d,14942%02d,%d,p,%d,%d\n" % (n % 6, n, n % 9, n % 2, 1 - n % 2) for n in range(40)
)
KUAIRAND = b"user_id,video_id,time_ms,is_click,long_view\n" + b"".join(
    b"%d,%d,16491%02d000,%d,%d\n" % (n % 6, n % 9, n, n % 2, n % 2) for n in range(40)
)
FOLDERS = {
    "lightgcn": {"train.txt": LISTS, "test.txt": b"0 7\n1 9\n"},
    "pinsage": {"train.txt": NODES, "valid.txt": HELD_OUT, "test.txt": HELD_OUT},
    "mind": {"behaviors.tsv": MIND},
    "ccir": {"training_set.txt": CCIR},
    "taobao": {"raw_sample.csv": TAOBAO},
    "kuairand": dict.fromkeys(kuairand_pure.FILES, KUAIRAND),
}
"""Valid files of each built-in format."""

LOADERS = {"mind": mind, "ccir": ccir_zhihu, "taobao": taobao, "kuairand": kuairand_pure}
PIECES = (
    *(b"\0", b'"', b"\\", b"\t", b"\r", b"\n\n", b",", b" ", b"\xff", b"\xef\xbb\xbf", b"\x1f"),
    *(b"NaN", b"-1", b"1e999", b"99999999999999999999", b"\xe2\x80\xa8", b"|", b"null", b"{", b"["),
)


def mutate(rng, content):
    """Return some bytes with one to three random changes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place:place] = rng.choice(PIECES)
        elif kind == 2:
            del data[place : place + rng.randint(1, 40)]
        elif kind == 3:
            del data[place:]
        elif kind == 4:
            data[place:place] = data[: rng.randint(1, 80)]
        else:
            data[place:place] = rng.randbytes(rng.randint(1, 8))
    return bytes(data)


def read_generated(rng, seed, folder):
    """Prepare a log of one of the formats of tables, one of whose files is changed."""
    (folder / "in").mkdir()
    log = generate(seed, folder / "in")
    path = rng.choice(sorted(each for each in (folder / "in").iterdir() if each.stat().st_size))
    path.write_bytes(mutate(rng, path.read_bytes()))
    make(Preparation(name="t", **log.flags), folder / "t")


def read_built_in(rng, name, folder):
    """Load a built-in format, one of whose files is changed."""
    files = FOLDERS[name]
    chosen = rng.choice(sorted(files))
    for file, content in files.items():
        (folder / file).write_bytes(mutate(rng, content) if file == chosen else content)
    if name in LOADERS:
        LOADERS[name].load(folder, Config())
    else:
        load_folder("t", folder, name, folder / "cache", Config())


def read_archive(rng, folder):
    """Load ml-100k from a changed archive."""
    rows = "".join(f"{n % 9}\t{n % 12}\t{n % 5 + 1}\t{800000000 + n}\n" for n in range(80))
    path = folder / "ml-100k.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-100k/u.data", rows)
    path.write_bytes(mutate(rng, path.read_bytes()))
    ml_100k.load(folder, Config())


@pytest.mark.parametrize("seed", range(NUM_INPUTS))
def test_a_malformed_input_is_read_or_refused_in_one_sentence(seed, tmp_path, capfd):
    rng = random.Random(seed)
    kind = rng.choice(["generated"] * 5 + [*FOLDERS, "ml-100k"])
    try:
        with limits():
            if kind == "generated":
                read_generated(rng, seed, tmp_path)
            elif kind == "ml-100k":
                read_archive(rng, tmp_path)
            else:
                read_built_in(rng, kind, tmp_path)
    except UserError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 1000 and text.endswith("."), text
        assert not (tmp_path / "t").exists(), "nothing is left of a refused log"


def test_the_unchanged_inputs_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "mutate", lambda rng, content: content)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        read_built_in(random.Random(0), name, tmp_path / name)
