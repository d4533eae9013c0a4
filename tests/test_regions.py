import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf import draws
from recns_tf.catalog import REGION_READINGS, REGIONS
from recns_tf.errors import UserError
from recns_tf.regions import build_region, coverage_by_khop, region_bits
from tests import oracles


def members(train, kind, khop, reading):
    bits = region_bits(csr_array(train), kind, khop, reading)
    return np.unpackbits(bits, axis=1, count=train.shape[1]).astype(bool)


@st.composite
def graphs(draw):
    num_users, num_items = draw(st.integers(1, 9)), draw(st.integers(1, 11))
    density = draw(st.sampled_from([0.05, 0.15, 0.3, 0.9]))
    seed = draw(st.integers(0, 10_000))
    return np.random.default_rng(seed).random((num_users, num_items)) < density


@given(graphs(), st.sampled_from([3, 5, 7]))
@settings(max_examples=150)
def test_regions_are_those_of_a_search_from_each_user(train, khop):
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


@given(
    graphs(), st.sampled_from([3, 5]), st.sampled_from(REGIONS), st.sampled_from(REGION_READINGS)
)
@settings(max_examples=40)
def test_draws_stay_in_the_region_and_fall_back_to_unobserved_items(train, khop, kind, reading):
    region = build_region(csr_array(train), kind, khop, reading)
    inside = ~train if kind == "all" else members(train, kind, khop, reading)
    np.testing.assert_array_equal(region.counts, inside.sum(axis=1))
    users = np.flatnonzero((~train).any(axis=1))
    if not len(users):
        return
    items = draws.without_replacement(
        region.sets, tf.constant(users, tf.int32), 6, tf.constant([khop, 1])
    ).numpy()
    for user, row in zip(users, items, strict=True):
        allowed = inside[user] if inside[user].any() else ~train[user]
        assert allowed[row].all()
        if allowed.sum() >= 6:
            assert len(set(row)) == 6


def test_users_in_several_blocks_are_all_there(monkeypatch):
    train = np.random.default_rng(0).random((50, 30)) < 0.1
    whole = members(train, "intermediate", 3, "walk")
    monkeypatch.setattr("recns_tf.regions.BLOCK_USERS", 7)
    np.testing.assert_array_equal(members(train, "intermediate", 3, "walk"), whole)
    region = build_region(csr_array(train), "intermediate", 3)
    for user in range(50):
        n = int(region.counts[user])
        items = region.sets.item(tf.constant([user]), tf.range(n)[None]).numpy()[0]
        if n:
            np.testing.assert_array_equal(items, np.flatnonzero(whole[user]))


def test_coverage_counts_items_of_the_catalogue():
    train = np.eye(4, 10, dtype=bool)
    train[1, 0] = True
    region = build_region(csr_array(train), "intermediate", 3)
    # Users 0 and 1 share item 0, so that user 0 reaches item 1; the others reach nothing new.
    assert region.counts.tolist() == [1, 0, 0, 0]
    assert region.coverage()["mean"] == pytest.approx(0.1 / 4)
    described = region.describe(num_candidates=1)
    assert described["users_under_num_candidates"] == 3
    assert described["kind"] == "intermediate" and described["khop"] == 3
    assert "2.5%" in region.summary(1) and "users with under 1 items: 3" in region.summary(1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"khop": 4}, "--khop=4: choose an odd number"),
        ({"khop": 1}, "--khop=1: choose an odd number"),
        ({"kind": "near"}, "--region=near: choose one of intermediate, distant, all"),
        ({"reading": "jump"}, "--region_reading=jump: choose one of walk, shell"),
    ],
)
def test_bad_settings_are_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        build_region(csr_array(np.eye(3, dtype=bool)), **arguments)


def test_coverage_by_khop_is_that_of_the_regions(toy):
    num_users, shares = coverage_by_khop(toy.train, (3, 7), max_users=1000)
    assert num_users == toy.num_users and list(shares) == [3, 7]
    for khop, share in shares.items():
        region = build_region(toy.train, "intermediate", khop)
        np.testing.assert_allclose(share, region.counts / toy.num_items)


def test_coverage_of_some_users_is_theirs(toy):
    _, everyone = coverage_by_khop(toy.train, (3,), max_users=1000)
    num_users, (some,) = (lambda n, shares: (n, shares.values()))(
        *coverage_by_khop(toy.train, (3,), max_users=7, seed=1)
    )
    assert num_users == len(some) == 7
    assert np.isin(some, everyone[3]).all()
