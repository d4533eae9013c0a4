import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.interactions import to_rows
from recns_tf.regions import region, walks
from recns_tf.regions.region import build_region
from recns_tf.registry import REGION_DEFINITIONS
from tests import oracles
from tests.conftest import SHARED, members


@st.composite
def graphs(draw):
    """Sparse and dense graphs, some with two components or with empty or full rows and columns."""
    num_users, num_items = draw(st.integers(1, 9)), draw(st.integers(1, 11))
    density = draw(st.sampled_from([0.05, 0.15, 0.3, 0.9]))
    train = np.random.default_rng(draw(st.integers(0, 10_000))).random((num_users, num_items))
    train = train < density
    if draw(st.booleans()):
        train[num_users // 2 :, : num_items // 2] = False
        train[: num_users // 2, num_items // 2 :] = False
    if draw(st.booleans()):
        train[draw(st.integers(0, num_users - 1))] = draw(st.booleans())
    if draw(st.booleans()):
        train[:, draw(st.integers(0, num_items - 1))] = False
    return train


@pytest.mark.slow
@given(graphs(), st.sampled_from([3, 5, 7]))
@settings(max_examples=400)
def test_regions_match_a_search_from_each_user(train, khop):
    graph = oracles.bipartite(train)
    walk = members(train, "intermediate", khop, "walk")
    shell = members(train, "intermediate", khop, "shell")
    distant = members(train, "distant", khop, "walk")
    for user in range(len(train)):
        reached = {node[1] for node in oracles.lbfs(graph, user, khop)}
        own = set(np.flatnonzero(train[user]))
        assert set(np.flatnonzero(walk[user])) == reached - own
        assert set(np.flatnonzero(distant[user])) == set(range(train.shape[1])) - reached - own
        hops = oracles.distances(graph, user)
        first = {v for v in range(train.shape[1]) if hops.get(("item", v)) == khop}
        assert set(np.flatnonzero(shell[user])) == first


@pytest.mark.parametrize(("khop", "density"), [(3, 0.02), (5, 0.005)])
def test_regions_are_correct_across_blocks_of_items(khop, density):
    """4,500 items make two whole blocks and a partial one that ends within a word."""
    rng = np.random.default_rng(0)
    train = rng.random((70, 4_500)) < density
    train[:5] = False
    counts = train.astype(np.int64)
    power = counts
    for _ in range((khop - 1) // 2):
        power = (power @ counts.T @ counts > 0).astype(np.int64)
    expected = (power > 0) & ~train
    assert 0.05 < expected.mean() < 0.95
    np.testing.assert_array_equal(members(train, "intermediate", khop, "walk"), expected)
    np.testing.assert_array_equal(members(train, "distant", khop, "walk"), ~(power > 0) & ~train)


@pytest.mark.slow
def test_regions_of_zhihu_clicks_match_a_boolean_product():
    """khop 3 on the public sample, against SciPy's A A^T A for a quarter of its users."""
    folder = SHARED / "data" / "zhihu-original" / "pinsage"
    files = [folder / name for name in ("valid.txt", "test.txt")]
    if not all(file.exists() for file in files):
        pytest.skip(f"{folder} is missing")
    train = load_clicks(files)
    assert train.nnz == 653_717
    inside = members(train, "intermediate", 3, "walk")
    region = build_region(train, "intermediate", 3)
    np.testing.assert_array_equal(region.counts, inside.sum(axis=1))
    edges = train.astype(np.float32)
    chosen = np.arange(0, train.shape[0], 4)
    adjacent = train[chosen].toarray()
    users = ((edges @ adjacent.T.astype(np.float32)) > 0).astype(np.float32)
    reached = (edges.T.tocsr() @ users).T > 0
    np.testing.assert_array_equal(inside[chosen], reached & ~adjacent)


def load_clicks(files):
    pairs = np.concatenate([np.loadtxt(file, dtype=np.int64) for file in files])
    return to_rows(pairs, tuple(pairs.max(axis=0) + 1))


@pytest.mark.parametrize("definition", REGION_DEFINITIONS)
def test_unrestricted_users_get_all_unobserved_items(toy, definition):
    chosen = np.arange(toy.num_users) % 3 == 0
    graph = walks.Graph(toy.train)
    ((block, bits),) = region.region_blocks(
        graph, "intermediate", 3, definition, unrestricted=chosen
    )
    dense = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, : block.width]
    train = toy.train.toarray()
    plain = members(train, "intermediate", 3, definition)
    np.testing.assert_array_equal(dense, np.where(chosen[:, None], ~train, plain))


def test_coverage_is_a_share_of_all_items():
    train = np.eye(4, 10, dtype=bool)
    train[1, 0] = True
    region = build_region(csr_array(train), "intermediate", 3)
    # Users 0 and 1 share item 0, so user 0 reaches item 1; the others reach nothing new.
    assert region.counts.tolist() == [1, 0, 0, 0]
    assert region.coverage()["mean"] == pytest.approx(0.1 / 4)
    assert region.share_of_unobserved() == pytest.approx(1 / 9 / 4)
    described = region.describe(num_candidates=1)
    assert described["users_under_num_candidates"] == described["users_without"] == 3
    assert described["kind"] == "intermediate" and described["khop"] == 3
    assert "2.5%" in region.summary(1) and "users with fewer than 1 item: 3" in region.summary(1)
    assert region.summary(1).count("warning") == 1, "only about unreachable items"
    assert "restricts little" not in region.summary(1)


def test_summary_warns_of_unreachable_items():
    train = np.eye(4, 10, dtype=bool)
    region = build_region(csr_array(train), "intermediate", 3)
    assert region.count_unreachable() == 6
    assert "warning: 6 of the 10 items have no train positive" in region.summary(1)
    for kind in ("distant", "all"):
        assert "no train positive" not in build_region(csr_array(train), kind, 3).summary(1)
    whole = build_region(csr_array(np.eye(4, dtype=bool)), "intermediate", 3)
    assert "no train positive" not in whole.summary(1)


def test_summary_warns_if_the_region_restricts_little():
    train = np.zeros((20, 20), bool)
    train[:, 0] = True
    train[np.arange(20), np.arange(20)] = True
    near = build_region(csr_array(train), "intermediate", 3)
    assert near.share_of_unobserved() == 1
    assert near.summary(5).startswith("intermediate region, khop 3, walk definition: ")
    assert "warning: that is 100.0% of a user's unobserved items" in near.summary(5)
    everything = build_region(csr_array(train), "all")
    assert everything.share_of_unobserved() == 1 and "warning" not in everything.summary(5)


def test_users_without_unobserved_items_are_supported():
    region = build_region(csr_array(np.ones((3, 4), bool)), "intermediate", 3)
    assert region.counts.tolist() == [0, 0, 0] and region.share_of_unobserved() == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"khop": 4}, "--khop=4: choose an odd number"),
        ({"khop": 1}, "--khop=1: choose an odd number"),
        ({"kind": "near"}, "--region=near: choose one of intermediate, distant, random, all"),
        ({"definition": "jump"}, "--region_definition=jump: choose one of walk, shell"),
    ],
)
def test_illegal_settings_are_errors(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        build_region(csr_array(np.eye(3, dtype=bool)), **arguments)
