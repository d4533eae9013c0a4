"""Logs read by tasks on a Ray cluster of two machines: the datasets and errors of one process."""

import gzip
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from recns_tf.commands.prepare import make
from recns_tf.config.cluster import ClusterSettings
from recns_tf.datasets.appending import append
from recns_tf.datasets.formats import engines
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from recns_tf.utils.ray_tasks import connected

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow
ON_RAY = ClusterSettings(engine="ray")
COLUMNS = {"label": "label", "timestamp": "at", "positive": "==2", "exposed": "==0"}


@pytest.fixture(scope="module")
def cluster(ray_cluster):
    """A cluster of several machines with one core each, to which this process is connected."""
    with connected(ray_cluster.address):
        ray_cluster.wait_for_nodes()
        yield ray_cluster


def write_parts(folder, kind, parts=4, rows=300, ids="u{}"):
    """Write the parts of a log; return the folder."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for part in range(parts):
        users = [ids.format(user) for user in rng.integers(10 + 9 * part, size=rows)]
        items = rng.integers(5 + 20 * (part % 2), 60, size=rows)
        if part == 1:
            users[7] = "1234"
        columns = {"user_id": users, "item_id": items.tolist()}
        columns["label"] = rng.integers(3, size=rows).tolist()
        columns["at"] = rng.permutation(10 * rows)[:rows].tolist()
        columns["part"] = np.array(["train", "valid", "test"])[rng.integers(3, size=rows)].tolist()
        table = pa.table(columns)
        path = folder / f"part-{part}.{kind}"
        if kind == "parquet":
            pa.parquet.write_table(table, path)
        elif kind == "csv.gz":
            with gzip.open(path, "wb") as file:
                pa.csv.write_csv(table, file)
        else:
            pa.csv.write_csv(table, path)
    return folder


def content(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def assert_same(tmp_path, **settings):
    """Require that both engines make the same files."""
    settings = Preparation(name="shop", **settings)
    folders = [tmp_path / each / "shop" for each in ("local", "ray")]
    for folder, engine in zip(folders, (ClusterSettings(), ON_RAY), strict=True):
        make(settings, folder, cluster=engine)
    local, other = map(content, folders)
    assert {"log.npz", "prepared.json"} < local.keys() and local == other
    return folders


@pytest.mark.parametrize(
    "kind, ids, settings",
    [
        ("csv", "u{}", COLUMNS | {"split": "temporal"}),
        ("csv", "{}", {"label": "label", "positive": ">0"}),
        ("csv.gz", "{}", {"user_core": 3, "item_core": 12}),
        ("parquet", "u{}", COLUMNS | {"positive": "==2|9", "user_core": 2}),
        ("parquet", "{}", {"split_column": "part"}),
    ],
)
def test_the_dataset_is_the_same_to_the_byte(tmp_path, cluster, kind, ids, settings):
    assert_same(tmp_path, input=str(write_parts(tmp_path / "log", kind, ids=ids)), **settings)


def test_addresses_relative_paths_and_files_that_are_split(tmp_path, cluster, monkeypatch):
    folder = write_parts(tmp_path / "log", "csv")
    with (folder / "part-3.csv").open("a") as file:
        file.write('"","1",1,1,"train"\n')
    monkeypatch.chdir(folder)
    names = {"train_input": "part-0.csv,part-1.csv", "test_input": f"file://{folder}/part-3.csv"}
    assert_same(tmp_path, missing="drop", timestamp="at", **names)


def test_further_rows(tmp_path, cluster):
    folder = write_parts(tmp_path / "log", "csv")
    folders = assert_same(tmp_path, input=str(folder / "part-0.csv"), **COLUMNS)
    for directory, engine in zip(folders, (ClusterSettings(), ON_RAY), strict=True):
        append(directory, f"{folder}/part-[123].csv", engine)
    assert content(folders[0]) == content(folders[1])


LONG = "1,1,2024-01-01\n" * 1_200_000
"""More than a block of a file."""

ROWS = "".join(f"{row},{row},{row}\n" for row in range(1, 4))


@pytest.mark.parametrize(
    "second, settings, message",
    [
        (f"{ROWS},4,4\n", {}, "b.csv line 5: user_id is missing"),
        (f"{ROWS}-4,4,4\n", {"missing": "drop"}, "b.csv line 5: user_id '-4' is not an integer"),
        ("1,1,2024-01-01\n", {"timestamp": "at"}, "b.csv line 2: at '2024-01-01' is a date, but"),
        # The reader meets the date before the row that ends the file.
        (f"1,1,2024-01-01\n{LONG}1,1\n", {"timestamp": "at"}, "b.csv line 2: at '2024-01-01'"),
        (f'{ROWS}"4"x,4,4\n', {}, "b.csv line 5: text follows a closing quote"),
        ("1,2\n", {}, "b.csv line 2: 2 fields where 3 columns are named"),
        (f"{ROWS}4,,4\n5,5\n", {"missing": "drop"}, "b.csv line 6: 2 fields where"),
        (f"{ROWS},4,4\n-5,5,5\n", {"missing": "drop"}, "b.csv line 6: user_id '-5' is not"),
    ],
)
def test_an_error_is_the_same_sentence_and_leaves_nothing(
    tmp_path, cluster, second, settings, message
):
    for name, rows in (("a", ROWS), ("b", second), ("c", ",,\n")):
        (tmp_path / f"{name}.csv").write_text(f"user_id,item_id,at\n{rows}")
    names = ",".join(f"{tmp_path}/{name}.csv" for name in "abc")
    found = []
    for engine in (ClusterSettings(), ON_RAY):
        with pytest.raises(UserError) as error:
            make(Preparation(name="shop", input=names, **settings), tmp_path / "d", cluster=engine)
        found.append(str(error.value))
        assert not (tmp_path / "d").exists()
    assert found[0] == found[1] and message in found[0]


def node_of(place):
    time.sleep(0.5)
    return ray.get_runtime_context().get_node_id()


def test_a_machine_that_is_lost_meanwhile_changes_nothing(tmp_path, cluster, monkeypatch):
    # A column of so many rows is held by the machine that read it.
    folder = write_parts(tmp_path / "log", "csv", parts=6, rows=20_000)
    spare = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    nodes = set()
    while spare.node_id not in nodes:
        nodes.update(engines.on_ray(node_of, range(6)))
    ordered, removed = engines.ordered_results, []

    def losing(*arguments, **options):
        for result in ordered(*arguments, **options):
            yield result
            if not removed:
                time.sleep(1)
                removed.append(cluster.remove_node(spare, allow_graceful=False))

    monkeypatch.setattr(engines, "ordered_results", losing)
    assert_same(tmp_path, input=str(folder), split="temporal", **COLUMNS)
    assert removed
