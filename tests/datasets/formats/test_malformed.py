"""Malformed input: each case gives one message with file and line, and leaves no files behind."""

import gzip

import pytest

from recns_tf import datasets
from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets.graph_folder import load_folder
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError

NUM_ROWS = 12
PLACES = (0, 5, NUM_ROWS - 1)
HEADER = ("user_id", "item_id", "label", "when")
INTER = ("user_id:token", "item_id:token", "label:float", "when:float")


def good_rows():
    return [[str(n % 4), str(10 + n % 5), str(n % 2), str(1000 + n)] for n in range(NUM_ROWS)]


BAD_FIELDS = {  # column and content of the malformed field
    "negative user": (0, "-1"),
    "negative item": (1, "-7"),
    "huge user": (0, "9" * 25),
    "huge item": (1, str(2**63)),
    "fractional user": (0, "1.0"),
    "fractional item": (1, "12.5"),
    "item with exponent": (1, "1e3"),
    "NaN user": (0, "NaN"),
    "nan item": (1, "nan"),
    "null user": (0, "null"),
    "empty user": (0, ""),
    "empty item": (1, ""),
    "blank user": (0, "  "),
    "empty label": (2, ""),
    "text label": (2, "yes"),
    "NaN label": (2, "NaN"),
    "infinite label": (2, "inf"),
    "empty time": (3, ""),
    "text time": (3, "noon"),
    "impossible date": (3, "2022-13-01"),
    "long user": (0, "x" * 300),
}
BAD_ROWS = {
    "short row": lambda row: row[:2],
    "long row": lambda row: [*row, "1"],
    "one field": lambda row: row[:1],
}
BAD_BYTES = {
    "not UTF-8": b"caf\xe9",
    "a surrogate": b"\xed\xa0\x80",
    "truncated UTF-8": b"\xe4\xb8",
}


def text(rows, separator, header=HEADER):
    return "".join(separator.join(row) + "\n" for row in [header, *rows]).encode()


def compressed(name, content):
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def separator_of(name):
    return "," if ".csv" in name else "\t"


def header_of(name):
    return INTER if ".inter" in name else HEADER


def malformed_field(name, column, value, place):
    rows = good_rows()
    rows[place][column] = value
    return compressed(name, text(rows, separator_of(name), header_of(name)))


def malformed_row(name, change, place):
    rows = good_rows()
    rows[place] = change(rows[place])
    return compressed(name, text(rows, separator_of(name), header_of(name)))


def malformed_bytes(name, value, place):
    rows = good_rows()
    rows[place][0] = "MARK"
    content = text(rows, separator_of(name), header_of(name)).replace(b"MARK", value)
    return compressed(name, content)


def table_cases():
    """Yield the name of the case, the name and content of the file, and the expected line."""
    for name in ("log.csv", "log.tsv", "log.inter", "log.csv.gz"):
        for place in PLACES:
            line = place + 2
            for what, (column, value) in BAD_FIELDS.items():
                yield what, name, malformed_field(name, column, value, place), line
            for what, change in BAD_ROWS.items():
                yield what, name, malformed_row(name, change, place), line
            for what, value in BAD_BYTES.items():
                yield what, name, malformed_bytes(name, value, place), line


def whole_file_cases():
    good = text(good_rows(), ",")
    zipped = gzip.compress(good + good[good.index(b"\n") + 1 :] * 999, mtime=0)
    yield "empty", "log.csv", b"", "is empty"
    yield "empty", "log.parquet", b"", "is empty"
    yield "empty after decompression", "log.csv.gz", gzip.compress(b""), "is empty"
    yield "only blank lines", "log.csv", b"\n\n\n", "is empty"
    yield "header only", "log.csv", good[: good.index(b"\n") + 1], "has no rows"
    yield "UTF-16", "log.csv", good.decode().encode("utf-16"), "line 1: not UTF-8 text"
    yield "semicolons", "log.csv", text(good_rows(), ";"), "line 1: no column 'user_id'"
    yield "commas instead of tabs", "log.tsv", good, "seem to be separated by --separator=','"
    yield "no header", "log.csv", good[good.index(b"\n") + 1 :], "line 1: no column 'user_id'"
    yield "not gzip", "log.csv.gz", good, "is not a valid gzip file"
    yield "not Parquet", "log.parquet", good, "is not a valid Parquet file"
    yield "truncated Parquet", "log.parquet", b"PAR1" + good, "is not a valid Parquet file"
    yield "unknown extension", "log.dat", good, "unknown file extension; known are .csv"
    for share in range(1, 10):
        cut = zipped[: len(zipped) * share // 10]
        yield f"gzip truncated at {share}/10", "log.csv.gz", cut, "is truncated after line"
    broken = zipped[:200] + b"\xff" * 20 + zipped[220:]
    yield "corrupt gzip", "log.csv.gz", broken, "is not a valid gzip file"
    for column in HEADER:
        other = good.replace(column.encode(), b"other", 1)
        yield f"no column {column}", "log.csv", other, f"line 1: no column '{column}'"
        twice = good.replace(b"\n", f",{column}\n".encode(), 1)
        yield f"{column} twice", "log.csv", twice, f"line 1: 2 columns are named '{column}'"


def prepare(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    wanted = Preparation(
        name="t", input=str(tmp_path / name), label="label", timestamp="when", split="temporal"
    )
    return make(wanted, tmp_path / "data" / "t")


def check_message(error, path):
    message = str(error.value)
    assert "\n" not in message and message.endswith((".", "…")) and len(message) < 500
    assert message.startswith(str(path)), message
    return message


CASES = list(table_cases())
FILES = list(whole_file_cases())


def test_there_are_at_least_400_cases():
    assert len(CASES) + len(FILES) + len(GRAPHS) >= 400


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.inter", "log.csv.gz"])
def test_valid_table_is_read(tmp_path, name):
    content = compressed(name, text(good_rows(), separator_of(name), header_of(name)))
    _, account = prepare(tmp_path, name, content)
    assert account.rows == NUM_ROWS


@pytest.mark.parametrize(
    ("what", "name", "content", "line"),
    CASES,
    ids=[f"{what}-{name}-{line}" for what, name, _, line in CASES],
)
def test_malformed_table(tmp_path, what, name, content, line):
    with pytest.raises(UserError) as error:
        prepare(tmp_path, name, content)
    message = check_message(error, tmp_path / name)
    assert f"{name} line {line}: " in message
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("what", "name", "content", "words"), FILES, ids=[f"{what}-{name}" for what, name, *_ in FILES]
)
def test_malformed_file(tmp_path, what, name, content, words):
    with pytest.raises(UserError) as error:
        prepare(tmp_path, name, content)
    assert words in check_message(error, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("ending", ["\r\n", "\n\n", "\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_accepted_variations(tmp_path, ending, mark):
    """Windows line ends, blank lines, a byte order mark, spaces around fields."""
    content = text([[f" {field} " for field in row] for row in good_rows()], ",")
    plain, _ = prepare(tmp_path, "log.csv", text(good_rows(), ","))
    again = tmp_path / "again"
    again.mkdir()
    content = mark + content.replace(b"\n", ending.encode())
    harmless, _ = prepare(again, "log.csv", content)
    assert harmless.checksum == plain.checksum


ADJACENCY = [f"{user} {user} {user + 1} {user + 2}" for user in range(NUM_ROWS)]
NODES = [f"{user}\t{NUM_ROWS + user}" for user in range(NUM_ROWS)]
SIZES = (NUM_ROWS, NUM_ROWS + 5)
BAD_LINES = {
    "lightgcn": {
        "negative": "5 -1",
        "negative user": "-5 1",
        "fraction": "5 1.5",
        "NaN": "5 nan",
        "word": "five 1",
        "comma": "5,1,2",
        "item too large": f"5 {SIZES[1]}",
        "user too large": f"{SIZES[0]} 1",
        "huge": f"5 {'9' * 40}",
        "item without user": " 5 6",
        "not UTF-8": b"5 \xff",
        "plus": "5 +1",
        "underscore": "5 1_0",
    },
    "pinsage": {
        "negative": "5\t-13",
        "negative user": "-5\t13",
        "fraction": "5\t13.0",
        "NaN": "5\tnan",
        "word": "five\t13",
        "item too large": f"5\t{sum(SIZES)}",
        "user instead of item": "5\t6",
        "user too large": f"{SIZES[0]}\t13",
        "huge": f"5\t{'9' * 40}",
        "item without user": "\t13",
        "user without item": "5\t",
        "spaces instead of tabs": "5 13",
        "one field": "5",
        "four fields": "5\t13\tPos\t1",
        "not UTF-8": b"5\t\xff",
    },
}


def graph_cases():
    for layout, bad_lines in BAD_LINES.items():
        for file in ("train.txt", "valid.txt", "test.txt"):
            for place in PLACES:
                for what, bad in bad_lines.items():
                    yield layout, file, place, what, bad


GRAPHS = list(graph_cases())


def put_graph(folder, layout, file="", place=0, bad=""):
    folder.mkdir(parents=True)
    for name in ("train.txt", "valid.txt", "test.txt"):
        lines = [line.encode() for line in (ADJACENCY if layout == "lightgcn" else NODES)]
        if layout == "pinsage" and name == "train.txt":
            lines = [line + b"\tPos" for line in lines]
        if name == file:
            lines[place] = bad if isinstance(bad, bytes) else bad.encode()
            fields = lines[place].count(b"\t")
            if layout == "pinsage" and name == "train.txt" and fields == 1:
                lines[place] += b"\tPos"
        (folder / name).write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize(
    ("layout", "file", "place", "what", "bad"),
    GRAPHS,
    ids=[f"{layout}-{file}-{place}-{what}" for layout, file, place, what, _ in GRAPHS],
)
def test_malformed_graph_file(tmp_path, layout, file, place, what, bad):
    folder = tmp_path / "files"
    put_graph(folder, layout, file, place, bad)
    with pytest.raises(UserError) as error:
        load_folder("t", folder, layout, tmp_path, Config(), SIZES)
    message = check_message(error, folder / file)
    assert f"{file} line {place + 1}: " in message
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize("layout", ["lightgcn", "pinsage"])
def test_duplicate_user_and_missing_or_empty_file(tmp_path, layout):
    folder = tmp_path / "files"
    put_graph(folder, layout)
    if layout == "lightgcn":
        (folder / "train.txt").write_text("0 1\n1 2\n0 3\n")
        with pytest.raises(UserError, match=r"train.txt line 3: user 0 already has line 1"):
            load_folder("t", folder, layout, tmp_path, Config(), SIZES)
    (folder / "train.txt").write_text("")
    with pytest.raises(UserError, match=r"train.txt (is empty|has no lines)\."):
        load_folder("t", folder, layout, tmp_path, Config(), SIZES)
    (folder / "train.txt").unlink()
    with pytest.raises(UserError, match=r"train.txt does not exist"):
        load_folder("t", folder, layout, tmp_path, Config(), SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_unknown_dataset_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="unknown dataset 'nowhere'"):
        datasets.load(Config(dataset="nowhere"), tmp_path)
    assert list(tmp_path.iterdir()) == []
