"""Regions computed on a Ray cluster equal those of one process, byte for byte."""

import threading
import time
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.analysis.region_coverage import measure_coverage
from recns_tf.main import main
from recns_tf.regions.kernels import BLOCK_ITEMS
from recns_tf.regions.ray_graph import RayGraph
from recns_tf.regions.region import build_region
from recns_tf.regions.walks import Graph
from recns_tf.utils.ray_tasks import connected
from tests.conftest import make_toy
from tests.utils.ray_functions import stay_on

pytestmark = pytest.mark.slow

NUM_ITEMS = 2 * BLOCK_ITEMS + 404
"""Two whole blocks and a partial one, which ends within a word."""


@pytest.fixture(scope="module", autouse=True)
def connection(ray_cluster):
    with connected(ray_cluster.address):
        yield


@pytest.fixture(scope="module")
def train():
    positives = np.random.default_rng(0).random((70, NUM_ITEMS)) < 0.005
    positives[:5] = False
    return csr_array(positives)


def cached_bytes(folder, train, make_graph, *arguments, memory=2.0):
    """Build a region, and return the bytes of its files in the cache by path."""
    build_region(train, *arguments, memory=memory, cache=folder, make_graph=make_graph)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("kind", "khop", "definition", "memory"),
    [
        ("intermediate", 3, "walk", 2.0),
        ("intermediate", 5, "shell", 2.0),
        ("intermediate", 3, "walk", 0.0),
        ("distant", 3, "walk", 2.0),
        ("random", 3, "shell", 2.0),
    ],
)
def test_files_are_those_of_one_process(tmp_path, train, kind, khop, definition, memory):
    local, on_ray = (
        cached_bytes(tmp_path / make.__name__, train, make, kind, khop, definition, memory=memory)
        for make in (Graph, RayGraph)
    )
    assert local == on_ray and sum(map(len, local.values())) > 1000


def test_coverage_is_that_of_one_process():
    toy = make_toy(num_items=NUM_ITEMS, density=0.01)
    local, on_ray = (measure_coverage(toy, (3, 5), make) for make in (Graph, RayGraph))
    assert local.to_json() == on_ray.to_json()
    for khop in (3, 5):
        np.testing.assert_array_equal(local.coverage[khop], on_ray.coverage[khop])


def test_a_lost_node_changes_nothing(tmp_path, train, ray_cluster):
    node = ray_cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    notes = tmp_path / "notes"
    notes.mkdir()

    def remove():
        deadline = time.monotonic() + 60
        while not list(notes.glob(f"*-{node.node_id}")) and time.monotonic() < deadline:
            time.sleep(0.05)
        ray_cluster.remove_node(node, allow_graceful=False)

    class Stuck(Graph):
        def over_blocks(self, function, khops, description):
            slow = partial(stay_on, node.node_id, str(notes), function)
            yield from RayGraph.over_blocks(RayGraph(train), slow, khops, description)

    removal = threading.Thread(target=remove)
    removal.start()
    on_ray = cached_bytes(tmp_path / "ray", train, Stuck, "intermediate", 5)
    removal.join()
    assert on_ray == cached_bytes(tmp_path / "local", train, Graph, "intermediate", 5)
    (lost,) = (path.name.partition("-")[0] for path in notes.glob(f"*-{node.node_id}"))
    assert len(list(notes.glob(f"{lost}-*"))) == 2, "the block was computed again elsewhere"


def test_the_command_reports_the_same(tmp_path, ray_cluster):
    sizes = ["--synthetic_users=60", f"--synthetic_items={NUM_ITEMS}", "--synthetic_clicks=2000"]
    engines = {"local": [], "ray": ["--engine=ray", f"--address={ray_cluster.address}"]}
    found = []
    for name, flags in engines.items():
        main(["regions", "synthetic", *sizes, f"--data_dir={tmp_path / name}", *flags])
        found.append((tmp_path / name / "synthetic" / "regions.json").read_bytes())
    assert found[0] == found[1]
