"""Random regions: their sizes, their law, and how training draws from them."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.regions import random_regions
from recns_tf.regions.pools import draw_pools
from recns_tf.regions.region import build_region
from recns_tf.regions.walks import Graph
from tests.conftest import members
from tests.goodness_of_fit import chi_square


def sets_of(graph, sizes, seed):
    """Return the random sets of all users as a boolean matrix."""
    blocks = [
        np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, : block.width].copy()
        for block, bits in random_regions.random_blocks(graph, sizes, "test", seed)
    ]
    return np.concatenate(blocks, axis=1).astype(bool)


@pytest.mark.parametrize("definition", ["walk", "shell"])
def test_they_have_the_sizes_of_the_intermediate_region_and_no_train_item(definition):
    rng = np.random.default_rng(0)
    train = rng.random((300, 5_000)) < 0.001  # three blocks of items
    intermediate = build_region(csr_array(train), "intermediate", 3, definition)
    region = build_region(csr_array(train), "random", 3, definition)
    found = members(train, "random", 3, definition)
    assert (intermediate.counts > 0).any() and (intermediate.counts == 0).any()
    np.testing.assert_array_equal(region.counts, intermediate.counts)
    some = region.counts > 0
    np.testing.assert_array_equal(found[some].sum(axis=1), region.counts[some])
    assert not (found & train).any()
    # They are not the intermediate region again.
    assert (found & members(train, "intermediate", 3, definition))[some].mean() < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_every_set_of_unobserved_items_is_equally_likely(seed):
    train = np.zeros((20_000, 7), bool)
    train[:, [1, 4]] = True  # each user draws 2 of the other 5 items, 10 sets
    found = sets_of(Graph(csr_array(train)), np.full(len(train), 2), seed)
    pairs = list(itertools.combinations([0, 2, 3, 5, 6], 2))
    counts = [found[:, pair].all(axis=1).sum() for pair in pairs]
    assert sum(counts) == len(train)
    assert chi_square(counts, np.ones(len(pairs))) > 1e-3


def test_sets_of_all_and_of_no_unobserved_items():
    train = np.eye(3, 2_100, dtype=bool)
    sizes = np.array([0, 2_099, 1])
    found = sets_of(Graph(csr_array(train)), sizes, 0)
    np.testing.assert_array_equal(found.sum(axis=1), sizes)
    assert not (found & train).any()


def test_pools_are_subsets_of_the_stored_sets(toy):
    region = build_region(toy.train, "random", 3, memory=0)
    assert region.form is not None and region.form.name == "sizes"
    items, sizes = draw_pools(region, 5, seed=0)
    stored = members(toy.train.toarray(), "random", 3, "walk")
    some = np.flatnonzero(region.counts)
    assert len(some) > 20
    for user in some:
        assert stored[user, items[user, : sizes[user]]].all()


def test_the_number_of_cores_does_not_matter(toy, monkeypatch):
    sizes = np.full(toy.num_users, 7)
    one, other = (
        monkeypatch.setattr(random_regions, "CORES", cores) or sets_of(Graph(toy.train), sizes, 3)
        for cores in (1, 3)
    )
    np.testing.assert_array_equal(one, other)
    assert (one != sets_of(Graph(toy.train), sizes, 4)).any()


def test_the_summary_names_them(toy):
    text = build_region(toy.train, "random", 3).summary(1)
    assert text.startswith("random items, as many as in the intermediate region, khop 3, walk def")
