"""Which files --input names, and how they are opened."""

import bz2
import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from recns_tf.datasets.formats.sources import Source, find_sources, opened
from recns_tf.datasets.formats.tables import read_batches
from recns_tf.errors import UserError

TABLE = b"user_id,item_id\n1,2\n"


def columns(source, names=("user_id", "item_id")):
    batches = list(read_batches(source, names))
    return [
        [value for batch in batches for value in batch[place].to_pylist()]
        for place in range(len(names))
    ]


def test_a_folder_stands_for_its_files_in_order_without_hidden_ones(tmp_path):
    for name in ("part-1.csv", "part-0.csv", "_SUCCESS", ".part-0.csv.crc", "sub/part-2.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(TABLE)
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "part-9.csv").write_bytes(TABLE)
    found = find_sources(str(tmp_path))
    assert [source.path.name for source in found] == ["part-0.csv", "part-1.csv", "part-2.csv"]
    assert [source.path.name for source in find_sources(f"{tmp_path}/*-1.csv, {tmp_path}/sub")] == [
        "part-1.csv",
        "part-2.csv",
    ]


def test_partition_folders_are_columns(tmp_path):
    for folder in ("day=2024-05-01/kind=a%20b", "day=__HIVE_DEFAULT_PARTITION__/kind=c"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "part-0.csv").write_bytes(TABLE)
    full, null = find_sources(str(tmp_path))
    assert columns(full, ("day", "user_id", "kind")) == [["2024-05-01"], ["1"], ["a b"]]
    assert columns(null, ("item_id", "day")) == [["2"], [""]]


def test_empty_parts_have_no_rows(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"")
    (tmp_path / "b.csv").write_bytes(b"user_id,item_id\n")
    (tmp_path / "c.csv").write_bytes(TABLE)
    assert [columns(source) for source in find_sources(str(tmp_path))] == [
        [[], []],
        [[], []],
        [["1"], ["2"]],
    ]
    with pytest.raises(UserError, match=r"a\.csv is empty\.$"):
        columns(*find_sources(str(tmp_path / "a.csv")))
    with pytest.raises(UserError, match=r"b\.csv has no rows\.$"):
        columns(*find_sources(str(tmp_path / "b.csv")))


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
    ],
)
def test_compressed_files_are_read_whole_or_refused(tmp_path, ending, compress):
    path = tmp_path / f"t.csv{ending}"
    path.write_bytes(compress(TABLE) + compress(b"3,4\n"))  # two streams in one file
    assert columns(path) == [["1", "3"], ["2", "4"]]
    rows = b"".join(b"%d,%d\n" % (n, n * n) for n in range(100_000))
    path.write_bytes(compress(TABLE + rows)[:-9])
    with pytest.raises(UserError, match=rf"t\.csv\{ending} is truncated after line \d+"):
        columns(path)
    path.write_bytes(b"no compressed data")
    with pytest.raises(UserError, match=rf"t\.csv\{ending} is not a valid .* file after line 0"):
        columns(path)


def test_a_file_of_an_archive_is_chosen_by_name(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml/ratings.csv", TABLE)
        archive.writestr("__MACOSX/._ratings.csv", "")
    (source,) = find_sources(str(path))
    assert source == Source(path, "ml/ratings.csv")
    assert columns(source) == [["1"], ["2"]]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("ml/movies.csv.gz", gzip.compress(TABLE))
    with pytest.raises(UserError, match=r"t\.zip holds 2 files: name one of ml/ratings\.csv, ml/m"):
        find_sources(str(path))
    with pytest.raises(UserError, match=r"t\.zip has no file ml/x\.csv: name one of"):
        find_sources(f"{path}/ml/x.csv")
    assert columns(*find_sources(f"{path}/ml/movies.csv.gz")) == [["1"], ["2"]]


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "t.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"t\.zip is not a valid ZIP archive"):
        find_sources(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", TABLE * 1000)
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # a bit of the data, which their checksum covers
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"t\.zip/t\.csv is not a valid zip file after line"):
        columns(*find_sources(str(path)))


def test_names_that_stand_for_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no\.csv does not exist \(current folder: "):
        find_sources(f"{tmp_path}/no.csv")
    with pytest.raises(UserError, match=r"\*\.csv holds no file: name a table, or a folder or g"):
        find_sources(f"{tmp_path}/*.csv")
    with pytest.raises(UserError, match="holds no file"):
        find_sources(str(tmp_path))


def test_the_progress_of_a_source_ends_at_its_size(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(TABLE * 1000))
    with opened(Source(path)) as file:
        assert file.position() == 0
        assert file.stream.read() == TABLE * 1000
        assert file.position() == file.total == Path(path).stat().st_size
