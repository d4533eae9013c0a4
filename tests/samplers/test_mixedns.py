import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.sparse import csr_array

from recns_tf.ops.item_sets import ComplementItems, ListedItems
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.expns import ExpNS
from recns_tf.samplers.mixedns import MixedNS
from recns_tf.samplers.unexposed import Unexposed
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square, independence
from tests.ops.test_item_sets import bitmap, pool
from tests.samplers import worlds
from tests.samplers.test_expns import NUM_ITEMS, ZEROS, distribution, make_tiny

K = 4
ROWS = 50_000
POSITIVES = [[0, 5, 11], [2, 3, 9], [4, 11], [1], [0, 6, 7]]
EXPOSED = [
    [2, 7, 9],
    [0, 11],
    [],
    [item for item in range(NUM_ITEMS) if item != 1],
    [1, 2, 3, 4, 5],
]
TINY = make_tiny(EXPOSED, POSITIVES)
SHOWN = TINY.exposed.toarray()
FREE = ~TINY.train.toarray()
REGION = FREE.copy()
REGION[0, [1, 7, 8]] = False
REGION[1, [4, 6]] = False
REGION[2, [0, 1, 2]] = False
REGION[3, 6:] = False
REGION[4] = distribution([2, 4, 5]).astype(bool)
ALL_SHOWN = 3
"""All of user 3's pool was exposed in every form, and all of user 4's in the smaller one only."""
POOLS = {
    "complement": (ComplementItems(TINY.train), FREE),
    "complement of more": (ComplementItems(csr_array(~REGION)), REGION),
    "listed": (ListedItems(csr_array(REGION)), REGION),
    "bitmap": (bitmap(REGION), REGION),
    "pool": (pool(REGION), REGION),
}


def ids_of(sampler, users):
    """Draw for all users in one batch, in random order; return the ids per user."""
    order = np.random.default_rng(0).permutation(np.repeat(users, ROWS)).astype(np.int32)
    batch = worlds.batch(len(order))._replace(users=tf.constant(order))
    ids = worlds.sample(sampler, batch, ZEROS).ids
    return {user: ids[order == user] for user in users}


def drawn(form, share, users):
    return ids_of(MixedNS(K, POOLS[form][0], TINY.exposed, share), users)


def counts(ids):
    return np.bincount(ids.ravel(), minlength=NUM_ITEMS)


def uniform(inside):
    return inside / inside.sum()


def mixed_law(form, user, share):
    """omega / m_u on what was exposed, the rest evenly over the pool's other items."""
    inside = POOLS[form][1][user]
    rest = inside & ~SHOWN[user]
    others = uniform(rest if rest.any() else inside)
    return share * uniform(SHOWN[user]) + (1 - share) * others if SHOWN[user].any() else others


@pytest.mark.slow
@pytest.mark.parametrize("form", POOLS)
def test_items_have_the_distribution_of_the_mixture(form):
    for user, ids in drawn(form, 0.3, [0, 1]).items():
        observed, inside = counts(ids), POOLS[form][1][user]
        assert chi_square(observed, mixed_law(form, user, 0.3)) > 1e-3
        mutants = {
            "exposed items among the unexposed": 0.3 * uniform(SHOWN[user]) + 0.7 * uniform(inside),
            "omega upside down": mixed_law(form, user, 0.7),
            "another omega": mixed_law(form, user, 0.28),
            "uniform": uniform(inside | SHOWN[user]),
            "another user's": mixed_law(form, 1 - user, 0.3),
            "positives kept": 0.3 * uniform(SHOWN[user]) + 0.7 * uniform(~SHOWN[user]),
        }
        for name, wrong in mutants.items():
            assert chi_square(observed, wrong) < 1e-6, name
        joint = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(joint, (ids[:, 0], ids[:, 1]), 1)
        np.add.at(joint, (ids[:-1, 2], ids[1:, 3]), 1)
        law_of_one = mixed_law(form, user, 0.3)
        assert chi_square(joint, np.outer(law_of_one, law_of_one)) > 1e-3, "independence"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "bitmap"])
def test_negatives_are_independent(form):
    share = 0.3
    exposed = SHOWN[0][drawn(form, share, [0])[0]].sum(axis=1)
    observed = np.bincount(exposed, minlength=K + 1)
    binomial = stats.binom.pmf(np.arange(K + 1), K, share)
    assert chi_square(observed, binomial) > 1e-3
    variance = K * share * (1 - share)
    error = np.sqrt(2 / len(exposed)) * variance
    assert abs(exposed.var() - variance) < 5 * error
    coin_a_row = np.zeros(K + 1)
    coin_a_row[[0, K]] = 1 - share, share
    assert chi_square(observed, coin_a_row) < 1e-6
    assert K**2 * share * (1 - share) - variance > 100 * error
    assert chi_square(np.append(observed, 0), stats.binom.pmf(range(K + 2), K + 1, share)) < 1e-6


def test_one_coin_per_row_fails_the_check(monkeypatch):
    real = tf.random.stateless_uniform

    def one_a_row(shape, seed, **options):
        if options:
            return real(shape, seed, **options)
        return tf.broadcast_to(real([shape[0], 1], seed), shape)

    monkeypatch.setattr(tf.random, "stateless_uniform", one_a_row)
    ids = drawn("complement", 0.3, [0])[0]
    observed = np.bincount(SHOWN[0][ids].sum(axis=1), minlength=K + 1)
    assert chi_square(observed, stats.binom.pmf(np.arange(K + 1), K, 0.3)) < 1e-6


@pytest.mark.parametrize("form", ["complement", "listed"])
def test_exposed_items_in_the_pool_fail_the_check(form, monkeypatch):
    sampler = MixedNS(K, POOLS[form][0], TINY.exposed, 0.3)
    monkeypatch.setattr(Unexposed, "_accept", lambda self, users, items: items >= 0)
    if form == "complement":
        sampler.unexposed.rest = POOLS[form][0]
    observed = counts(ids_of(sampler, [0])[0])
    assert chi_square(observed, mixed_law(form, 0, 0.3)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "listed"])
def test_omega_0_is_uniform_over_unexposed_items(form):
    inside = POOLS[form][1]
    rest = inside & ~SHOWN
    ids = drawn(form, 0.0, [0, 1])
    same = ids_of(UniNS(K, ComplementItems(csr_array(~rest))), [0, 1])
    for user in (0, 1):
        observed, some = counts(ids[user]), np.flatnonzero(rest[user])
        assert chi_square(observed, uniform(rest[user])) > 1e-3
        assert chi_square(observed, uniform(inside[user])) < 1e-6
        assert independence([observed[some], counts(same[user])[some]]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "listed"])
def test_omega_1_is_uniform_over_the_exposed_items_with_replacement(form):
    ids = drawn(form, 1.0, [0, 1])
    same = ids_of(ExpNS(K, POOLS[form][0], TINY.exposed), [0, 1])  # k is more than were exposed
    for user in (0, 1):
        some, mine = EXPOSED[user], ids[user]
        assert chi_square(counts(mine), uniform(SHOWN[user])) > 1e-3
        table = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(table, (mine[:, 0], mine[:, 1]), 1)
        np.add.at(table, (mine[:-1, 2], mine[1:, 3]), 1)
        assert independence(table[np.ix_(some, some)]) > 1e-3
        assert independence([counts(mine)[some], counts(same[user])[some]]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "bitmap"])
def test_user_without_exposures_has_omega_0(form):
    observed = counts(drawn(form, 0.6, [2])[2])
    assert chi_square(observed, uniform(POOLS[form][1][2])) > 1e-3
    assert chi_square(observed, np.ones(NUM_ITEMS)) < 1e-6, "positives kept"
    assert chi_square(observed, uniform(SHOWN.any(axis=0))) < 1e-6, "exposures of others"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "share"),
    [("complement", 0.0), ("complement of more", 0.4), ("listed", 0.4)],
)
def test_fully_exposed_pool_is_used_as_a_whole(form, share):
    inside = POOLS[form][1]
    assert not (inside & ~SHOWN)[ALL_SHOWN].any()
    assert form == "complement" or not (inside & ~SHOWN)[4].any()
    ids = drawn(form, share, [ALL_SHOWN, 4])
    for user in (ALL_SHOWN, 4):
        observed = counts(ids[user])
        assert chi_square(observed, mixed_law(form, user, share)) > 1e-3
        if (inside != SHOWN)[user].any():
            assert chi_square(observed, uniform(SHOWN[user])) < 1e-6
            assert chi_square(observed, mixed_law(form, user, share + 0.1)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "pool"])
def test_users_of_one_batch_have_their_own_distributions(form):
    ids = drawn(form, 0.5, range(5))
    for user in range(5):
        observed = counts(ids[user])
        assert chi_square(observed, mixed_law(form, user, 0.5)) > 1e-3
        assert chi_square(observed, mixed_law(form, user - 1, 0.5)) < 1e-6


@pytest.mark.slow
def test_users_can_have_their_own_shares(toy_config):
    """By hand: user 0 has 3 exposed items and 3 positives, user 1 has 2 and 3, user 4 5 and 3."""
    config = dataclasses.replace(toy_config, exposed_share=0.8, exposed_share_per_user=True)
    pool = POOLS["complement"][0]
    sampler = MixedNS.from_settings(config, SamplerContext(TINY, pool, width=2))
    shares = {0: 0.8 * 3 / 6, 1: 0.8 * 2 / 5, 2: 0.0, 3: 0.8 * 11 / 12, 4: 0.8 * 5 / 8}
    np.testing.assert_allclose(sampler.exposed_share, list(shares.values()), rtol=1e-6)
    sampler.num_negatives = K
    ids = ids_of(sampler, range(5))
    for user, share in shares.items():
        assert chi_square(counts(ids[user]), mixed_law("complement", user, share)) > 1e-3
    assert chi_square(counts(ids[0]), mixed_law("complement", 0, 0.8)) < 1e-6, "not weighted"
    assert chi_square(counts(ids[0]), mixed_law("complement", 0, shares[1])) < 1e-6, "another's"
    assert chi_square(counts(ids[0]), mixed_law("complement", 0, 0.8 * 3 / 3)) < 1e-6, "not shared"


def test_coins_and_both_branches_use_different_seeds(monkeypatch):
    seeds, real = [], tf.random.stateless_uniform

    def remember(shape, seed, **options):
        seeds.append(tuple(seed.numpy()))
        return real(shape, seed, **options)

    monkeypatch.setattr(tf.random, "stateless_uniform", remember)
    batch = worlds.batch(2)
    MixedNS(K, POOLS["complement"][0], TINY.exposed, 0.5).sample(batch, ZEROS, batch.seed)
    assert len(seeds) == len(set(seeds)) == 3


def test_nearly_exposed_pool_gives_the_remaining_items():
    """11 of 12 items exposed: 33 proposals alone would all be exposed for 6 negatives in 100."""
    data = make_tiny([list(range(11)), [0]], [[], [3]])
    everything = ListedItems(csr_array(np.ones((2, NUM_ITEMS), dtype=bool)))
    ids = worlds.sample(MixedNS(K, everything, data.exposed, 0.0), worlds.batch(2_000), ZEROS).ids
    assert set(ids.ravel()) == {11}
