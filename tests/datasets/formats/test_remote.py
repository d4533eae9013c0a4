"""Files with addresses: which are found, how they are read, and what messages show of them."""

import gzip
import zipfile

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
import pytest

from recns_tf.datasets.formats.remote import RemoteFile
from recns_tf.datasets.formats.sources import Source, checksum, find_sources, opened
from recns_tf.datasets.formats.tables import line_of_row
from recns_tf.errors import UserError
from recns_tf.utils.files import sha256
from tests.datasets.formats.test_sources import TABLE, columns


def test_an_address_stands_for_a_file_a_folder_or_a_glob_as_a_path_does(tmp_path):
    names = ("a b.csv", "day=3/part-0.csv", "day=3/part-1.csv.gz", "_SUCCESS", "#1 [x].csv")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(TABLE) if name.endswith("gz") else TABLE)
    for name in ("", "/a b.csv", "/day=3", "/day=3/part-*.csv", "/a*"):
        local, remote = (find_sources(f"{start}{tmp_path}{name}") for start in ("", "file://"))
        assert [f"file://{source}" for source in local] == list(map(str, remote))
        assert [each[1:] for each in local] == [each[1:] for each in remote]
        for source, other in zip(local, remote, strict=True):
            assert columns(source) == columns(other) == [["1"], ["2"]]
            assert sha256(source.path) == checksum(other.path)
            assert source.size == other.size
    (source,) = find_sources(f"file://{tmp_path}/a%20b.csv")
    assert columns(source) == [["1"], ["2"]]


def test_files_of_another_file_system_are_read(tmp_path):
    system = pa.fs._MockFileSystem()
    system.create_dir("log")
    contents = {"a.csv": TABLE, "b.csv.gz": gzip.compress(TABLE), "c.jsonl": b'{"user_id": 1}\n'}
    for name, content in contents.items():
        with system.open_output_stream(f"log/{name}", compression=None) as file:
            file.write(content)
    pa.parquet.write_table(pa.table({"user_id": [7, 8]}), "log/d.parquet", filesystem=system)
    files = [pair[0] for pair in RemoteFile(system, "log", "x://log").files()]
    assert list(map(str, files)) == [f"x://log/{name}" for name in (*contents, "d.parquet")]
    found = [columns(Source(file), ["user_id"])[0] for file in files]
    assert found == [["1"], ["1"], [1], [7, 8]]
    assert line_of_row(Source(files[0]), 0) == "x://log/a.csv line 2"
    with opened(Source(files[0])) as file:
        assert file.total == len(TABLE)


@pytest.mark.parametrize(
    "name",
    [
        "s3://AKIA:geheim@bucket/log.csv",
        "s3://AKIA:ge/heim@bucket/log.csv",
        "s3://bucket/log.csv?secret_key=geheim",
        "s3://bucket/log.csv?geheim",
        "abfs://box@account.dfs.core.windows.net/log.csv?sv=1&sig=geheim",
        "ftp://me:geheim@host/log.csv",
        "s3://[geheim/log.csv",
    ],
)
def test_an_address_with_credentials_is_refused_without_showing_them(name):
    with pytest.raises(UserError, match=r"^--valid_input=\w+://…: ") as error:
        find_sources(name, "valid_input")
    assert "heim" not in str(error.value) and "AKIA" not in str(error.value)


def test_an_address_that_cannot_be_used_is_an_error_of_the_flag(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr("log.csv", TABLE)
    here = f"file://{tmp_path}"
    for name, message in (
        (f"{here}/none.csv", f"--append={here}/none.csv does not exist: name a table."),
        (f"{here}/*/a.csv", "only the last part of an address can be a glob."),
        (f"{here}/empty", "holds no file"),
        (f"{here}/n*.csv", "holds no file"),
        (f"{here}/log.zip", "an archive must be a local file"),
        ("ftp://host/log.csv", "--append=ftp://…: choose a local path, or an address with s3, "),
    ):
        with pytest.raises(UserError) as error:
            find_sources(name, "append")
        assert message in str(error.value)
    # Without a Java machine, Arrow cannot load the client of HDFS.
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"^--append=hdfs://h/a\.csv cannot be opened \("):
        find_sources("hdfs://h/a.csv", "append")
