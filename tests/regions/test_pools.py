import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.regions import pools
from recns_tf.regions.pools import draw_pools
from recns_tf.regions.region import build_region
from tests.goodness_of_fit import chi_square
from tests.regions.test_storage import effective, world

REGIONS = [("intermediate", "walk"), ("intermediate", "shell"), ("distant", "walk")]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "definition"), REGIONS)
@pytest.mark.parametrize("size", [1, 40, 6_000])
def test_pool_is_a_subset_of_the_region_without_repeats(kind, definition, size):
    train = world(0.003)
    region = build_region(csr_array(train), kind, 3, definition, memory=0)
    table, sizes = draw_pools(region, size, seed=1)
    allowed = effective(train, kind, 3, definition)
    assert table.shape == (len(train), size) and table.dtype == sizes.dtype == np.int32
    np.testing.assert_array_equal(sizes, np.minimum(allowed.sum(axis=1), size))
    for user, pool in enumerate(table):
        pool, rest = np.split(pool, [sizes[user]])
        assert allowed[user, pool].all() and (np.diff(pool) > 0).all() and not rest.any()
    if size == 6_000:
        assert (sizes == allowed.sum(axis=1)).all(), "the whole of every region"


def test_every_subset_is_equally_likely():
    """All 4,000 users have the same eight items, on both sides of a block boundary."""
    items = [1, 2, 4, 5, 2_047, 2_048, 2_049, 2_050]
    train = np.zeros((4_001, 2_100), bool)
    train[:, 0] = True
    train[:-1, 3] = True
    train[-1, items] = True
    table, _ = draw_pools(build_region(csr_array(train), memory=0), 2, seed=5)
    places = np.searchsorted(items, table[:-1])
    counts = np.zeros((8, 8))
    np.add.at(counts, (places[:, 0], places[:, 1]), 1)
    pairs = counts[np.triu_indices(8, 1)]
    assert pairs.sum() == 4_000
    assert chi_square(pairs, np.ones(28)) > 1e-3
    assert chi_square(pairs, np.arange(28) // 14 + 1) < 1e-6


def test_pools_depend_on_seed_and_generation_only():
    region = build_region(csr_array(world(0.003)), memory=0)
    drawn = [draw_pools(region, 9, *which)[0] for which in ((0, 0), (0, 1), (1, 0), (0, 0))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not (drawn[one] == drawn[other]).all()
    np.testing.assert_array_equal(drawn[0], drawn[3])


def test_each_group_of_users_has_its_own_random_stream(monkeypatch):
    monkeypatch.setattr(pools, "USERS_PER_STREAM", 100)
    counts, sizes = np.full(250, 70), np.full(250, 5, np.int32)
    drawn, expected = np.zeros((2, 250, 5), np.int32)
    pools.draw_ranks(np.random.SeedSequence(1), counts, sizes, drawn)
    for first, child in zip((0, 100, 200), np.random.SeedSequence(1).spawn(3), strict=True):
        rng, bitmap = np.random.default_rng(child), np.zeros(2, np.uint64)
        pools.floyd(rng, counts, sizes, bitmap, expected, first, min(first + 100, 250))
    np.testing.assert_array_equal(drawn, expected)
    assert not (drawn[:100] == drawn[100:200]).all()


def test_bitmap_of_drawn_ranks_fits_the_largest_region(monkeypatch):
    sizes = []
    monkeypatch.setattr(pools, "floyd", lambda rng, c, s, drawn, *rest: sizes.append(len(drawn)))
    pools.draw_ranks(
        np.random.SeedSequence(1),
        np.array([3, 65]),
        np.ones(2, np.int32),
        np.zeros((2, 1), np.int32),
    )
    assert sizes == [2]
