"""Small datasets and settings that the tests share."""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Messages name the program as it was called: here by the tests, not by run.sh.
os.environ.pop("RECNS_TF_PROGRAM", None)
# Toy graphs need only one thread, and idle spinning threads would slow down other test workers.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# What XLA compiles here runs once.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from scipy.sparse import csr_array

from recns_tf import registry
from recns_tf.config.config import Config
from recns_tf.interactions import Interactions, make_interactions
from recns_tf.ops import kernels
from recns_tf.regions import region, walks

# No deadlines, because a loaded machine may be slow; derandomized, so that failures repeat.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

LAYERED = ("mixgcf", "dens")
"""Samplers that choose in each layer of the encoder, which pinsage does not allow."""

# mf gives other samplers the same kind of tables as lightgcn, so three suffice for it.
PAIRS = [
    (encoder, sampler)
    for encoder in registry.ENCODERS
    for sampler in registry.SAMPLERS
    if (encoder != "mf" or sampler in ("recns", "unins", "srns", *LAYERED))
    and (encoder != "pinsage" or sampler not in LAYERED)
]

PRODUCTS = [("csr", "numba"), ("csr", "tensorflow"), ("coo", "numba")]
"""Engines of sparse products and kernels that compute them differently."""

TOY = {
    "dim": 8,
    "num_layers": 2,
    "num_negatives": 3,
    "num_candidates": 4,
    "batch_size": 64,
    "learning_rate": 0.01,
    "epochs": 3,
    "generator_candidates": 20,
    "generator_warmup": 1,
    "rnsas_exposed": 4,
    "mcns_list": 10,
    "srns_warmup": 2,
}
"""Settings of short runs on a small dataset."""

FILES = 20
"""How many of the slowest files to list."""

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


LAW_TESTS = {"chi_square", "independence", "kstest"}
"""What a test of a distribution calls. Those of samplers and of draws run with both kernels."""


def pytest_generate_tests(metafunc):
    package = metafunc.module.__name__.split(".")[1]
    called = getattr(metafunc.function, "__code__", None)
    if package in ("samplers", "ops") and called and LAW_TESTS & set(called.co_names):
        metafunc.fixturenames.append("implementation")
        metafunc.parametrize("implementation", ["numba", "tensorflow"], indirect=True)


PREPARED = (
    "test_two_devices.py", "test_saved_sampler.py", "test_ray_tasks.py", "test_ray_regions.py",
    "test_engines.py", "test_ray_workers.py",
)  # fmt: skip
"""Modules whose tests share what takes a minute to prepare."""


def pytest_collection_modifyitems(items):
    """Put these modules first: idle workers take over the last tests of others, not the first."""
    items.sort(key=lambda item: item.path.name not in PREPARED)


def pytest_terminal_summary(terminalreporter):
    """List the files whose tests take longest, setup included, of a run of many files."""
    seconds = Counter()
    for report in chain.from_iterable(terminalreporter.stats.values()):
        seconds[getattr(report, "nodeid", "").partition("::")[0]] += getattr(report, "duration", 0)
    if len(seconds) <= FILES:
        return
    terminalreporter.section(f"slowest files of {sum(seconds.values()):.0f} s")
    for name, each in seconds.most_common(FILES):
        terminalreporter.write_line(f"{each:7.1f}s {name}")


@pytest.fixture
def implementation(request):
    """The implementation of the graphs that a test builds."""
    with kernels.using(request.param):
        yield request.param


def with_rate(config: Config, learning_rate: float) -> Config:
    """Return settings with a learning rate above the largest legal one, so that runs diverge."""
    changed = dataclasses.replace(config)
    object.__setattr__(changed, "learning_rate", learning_rate)
    return changed


def make_toy(num_users=40, num_items=60, density=0.15, seed=0) -> Interactions:
    """Return a random dataset: user 0 has no items, user 1 no exposures, item 0 no users."""
    rng = np.random.default_rng(seed)
    cells = rng.random((num_users, num_items))
    cells[0] = 1.0
    cells[:, 0] = 1.0
    positive = cells < density
    exposed = (cells >= density) & (cells < 2 * density)
    exposed[1] = False
    pairs = np.argwhere(positive)
    part = rng.choice(3, size=len(pairs), p=[0.8, 0.1, 0.1])
    return make_interactions(
        "toy",
        train=pairs[part == 0],
        valid=pairs[part == 1],
        test=pairs[part == 2],
        exposed=np.argwhere(exposed),
        user_ids=np.array([f"u{n}" for n in range(num_users)]),
        item_ids=np.arange(num_items) * 7 + 3,
        source={"toy": seed},
    )


def members(train, kind, khop, definition):
    """Return each user's region as a dense array, directly from the walks."""
    graph = walks.Graph(csr_array(train))
    inside = np.zeros(train.shape, bool)
    for block, bits in region.region_blocks(graph, kind, khop, definition):
        dense = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little").astype(bool)
        assert not dense[:, block.width :].any(), "no bit is set beyond the last item"
        inside[:, block.items] = dense[:, : block.width]
    return inside


@pytest.fixture(scope="session")
def toy() -> Interactions:
    return make_toy()


@pytest.fixture(scope="session")
def toy_config() -> Config:
    return Config(**TOY)


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of two nodes with a core each, on this machine."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    # A driver may run in another folder than the tests.
    node["env_vars"] = {"PYTHONPATH": str(Path(__file__).parents[1])}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **node})
    try:
        cluster.add_node(**node)
        yield cluster
    finally:
        cluster.shutdown()
