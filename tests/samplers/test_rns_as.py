"""RNS-AS: its candidates, its rewards, and the training of its generator."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.sparse import csr_array

from recns_tf.encoders.tables import FullTables
from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions
from recns_tf.ops.item_sets import ListedItems
from recns_tf.samplers import rns_as
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.generator import Feedback, GeneratorOptions
from recns_tf.samplers.rns_as import RNSAS, feature_matching
from tests.goodness_of_fit import chi_square
from tests.oracles import sigmoid
from tests.samplers import worlds

NUM_ITEMS = 12
POSITIVES = [[0, 11], [3], [5, 6], []]
EXPOSED = [[1, 2, 5], [], [9], [4]]
POOL = worlds.unobserved(POSITIVES, NUM_ITEMS)
RNG = np.random.default_rng(6)
USER, ITEM = RNG.normal(size=(4, 3)), RNG.normal(size=(NUM_ITEMS, 3))
TABLES = worlds.tables(USER, ITEM)
N, NE, K = 6, 2, 3


def pairs(rows):
    return np.array([(user, item) for user, items in enumerate(rows) for item in items])


DATA = make_interactions(
    "hand",
    train=pairs(POSITIVES),
    valid=np.zeros((0, 2), int),
    test=np.zeros((0, 2), int),
    exposed=pairs(EXPOSED),
    user_ids=np.arange(4),
    item_ids=np.arange(NUM_ITEMS),
    source={},
)


def make(k=K, pool=POOL, exposed=NE, sampler=RNSAS, constant=False, warmup=0, **options):
    generator = {"num_candidates": N, "dim": 2, "warmup": warmup, "l2": 0.0, "learning_rate": 0.02}
    made = sampler(
        k, pool, DATA.exposed, GeneratorOptions(**generator), num_exposed=exposed, **options
    )
    if constant:
        made.generator.nodes.assign(0 * made.generator.nodes.numpy() + 0.1)
    return made


def batch_of(users, seed=1):
    return worlds.batch(len(users), seed=seed)._replace(users=tf.constant(users, tf.int32))


def is_composed(user, candidates, num_exposed=NE):
    """Whether each row has N - Ne unexposed items, then Ne exposed ones; no positives."""
    shown = np.isin(candidates, EXPOSED[user])
    expected = np.arange(N) >= N - (num_exposed if EXPOSED[user] else 0)
    return (shown == expected).all() and not np.isin(candidates, POSITIVES[user]).any()


def unobserved_list():
    rows = np.ones((4, NUM_ITEMS), dtype=bool)
    rows[tuple(pairs(POSITIVES).T)] = False
    return ListedItems(csr_array(rows))


@pytest.mark.slow
@pytest.mark.parametrize("pool", [POOL, unobserved_list()], ids=["complement", "list"])
def test_candidates_are_unexposed_items_and_then_exposed_ones(pool):
    rows = 40_000
    batch = batch_of(np.arange(4 * rows) // rows)
    every = worlds.sample(make(pool=pool), batch, TABLES).feedback.candidates
    assert every.shape == (4 * rows, N)
    for user, candidates in enumerate(np.split(every, 4)):
        assert is_composed(user, candidates)
        rest = set(range(NUM_ITEMS)) - {*POSITIVES[user], *EXPOSED[user]}
        halves = (candidates[:, : N - NE], rest), (candidates[:, N - NE :], EXPOSED[user] or rest)
        for part, distribution in halves:
            counts = np.bincount(part.ravel(), minlength=NUM_ITEMS)
            assert chi_square(counts, np.isin(np.arange(NUM_ITEMS), list(distribution))) > 1e-3
        if EXPOSED[user]:
            assert not is_composed(user, candidates, num_exposed=NE - 1)


def test_exposed_items_among_the_others_fail_the_check(monkeypatch):
    class Unobserved(rns_as.Unexposed):
        def draw(self, users, n, seed):
            return self._propose(users, n, seed)

    monkeypatch.setattr(rns_as, "Unexposed", Unobserved)
    feedback = worlds.sample(make(), worlds.batch(100), TABLES).feedback
    assert not is_composed(0, feedback.candidates)


class UnexposedWarmup(RNSAS):
    """Also leaves exposed items out of the warm-up, which the pretraining of the source does not.

    A version of this program did.
    """

    def candidates(self, users, seed):
        self.pool, whole = self.unexposed.rest, self.pool
        found = super().candidates(users, seed)
        self.pool = whole
        return found


@pytest.mark.parametrize("sampler", [RNSAS, UnexposedWarmup])
def test_negatives_of_the_warmup_are_uniform_over_all_unobserved_items(sampler):
    rows = 3_000
    batch = batch_of(np.arange(4 * rows) // rows)
    found = worlds.sample(make(warmup=1, sampler=sampler), batch, TABLES)
    fits = []
    for user, ids in enumerate(np.split(found.ids, 4)):
        counts = np.bincount(ids.ravel(), minlength=NUM_ITEMS)
        unobserved = ~np.isin(np.arange(NUM_ITEMS), POSITIVES[user])
        fits.append(not counts[~unobserved].any() and chi_square(counts, unobserved) > 1e-3)
    # User 1 has no exposures, so that both draw the same.
    assert fits == ([True] * 4 if sampler is RNSAS else [False, True, False, False])
    shown = [np.isin(ids, EXPOSED[user]) for user, ids in enumerate(np.split(found.ids, 4))]
    np.testing.assert_array_equal(found.feedback.rewards[1], np.concatenate(shown))


def test_the_warmup_ends():
    sampler = make(warmup=1)
    sampler.begin_epoch(1, None)
    assert is_composed(0, worlds.sample(sampler, worlds.batch(500), TABLES).feedback.candidates)


def kernel_sum(x, y, median):
    squares = ((x - y) ** 2).sum()
    return sum(np.exp(-squares / (2 * (w * median) ** 2)) for w in (0.5, 0.75, 1.0, 1.5, 2.0))


def matching(negative, shown, is_shown):
    """r_fm by two loops; the median is that of the first 64 negatives' distances to the shown."""
    counted = [x for x, is_one in zip(shown, is_shown, strict=True) if is_one]
    distances = [np.linalg.norm(y - x) for y in negative[:64] for x in counted]
    median = np.sort(distances)[len(distances) // 2] if distances else np.inf
    result = []
    for y in negative:
        alike = np.mean([kernel_sum(other, y, median) for other in negative])
        exposed = np.mean([kernel_sum(x, y, median) for x in counted]) if counted else 0.0
        result.append(-(2 * alike - 2 * exposed))
    return np.array(result)


@pytest.mark.parametrize(("size", "share"), [(7, 0.6), (90, 0.5), (1, 1.0)])
def test_feature_matching_is_the_double_sum_over_kernels(size, share):
    rng = np.random.default_rng(size)
    negative, shown = rng.normal(size=(2, size, 3))
    is_shown = (rng.random(size) < share).astype(float)
    result = feature_matching(*(tf.constant(x, tf.float32) for x in (negative, shown, is_shown)))
    expected = matching(negative, shown, is_shown)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    if size > 1:
        mutants = {
            "the other sign": -expected,
            "negatives and exposed swapped": matching(shown, negative, np.ones(size)),
            "everyone counted": matching(negative, shown, np.ones(size)),
        }
        for name, wrong in mutants.items():
            assert np.abs(result - wrong).max() > 1e-2, name


def test_negative_with_exposed_features_earns_more():
    rng = np.random.default_rng(3)
    shown = rng.normal(size=(40, 3)).astype(np.float32)
    negative = rng.normal(size=(40, 3)).astype(np.float32) + 4
    moved = negative.copy()
    moved[:10] = shown[:10]
    before, after = (feature_matching(y, shown, np.ones(40, np.float32)) for y in (negative, moved))
    assert (after.numpy()[:10] > before.numpy()[:10] + 0.5).all()
    assert np.mean(after) > np.mean(before)


class RawFeatures(RNSAS):
    """Matches e_v instead of e_u ⊙ e_v."""

    def looks_exposed(self, users, items, tables, seed):
        flat = FullTables(tf.ones_like(tables.user), tables.item)
        return super().looks_exposed(users, items, flat, seed)


class OtherSign(RNSAS):
    def looks_exposed(self, users, items, tables, seed):
        given, looks = super().looks_exposed(users, items, tables, seed)
        return given, -looks


def features(users, items):
    return USER[users] * ITEM[items]


@pytest.mark.slow
def test_rewards_of_hard_exposed_and_similar_negatives():
    """Users with one exposure each, so that the exposed item drawn is known."""
    users = np.array([2, 3, 3, 2, 3, 2, 0, 1, 2])
    negatives = worlds.sample(make(feature_pairs=6), batch_of(users), TABLES)
    ids, (hard, exposed, looks, given) = negatives.ids, negatives.feedback.rewards
    score = np.einsum("bd,bkd->bk", USER[users], ITEM[ids])
    np.testing.assert_allclose(hard, -sigmoid(-score), atol=1e-6)
    shown = [[item in EXPOSED[u] for item in row] for u, row in zip(users, ids, strict=True)]
    np.testing.assert_array_equal(exposed, shown)
    assert 0 < exposed.sum() < exposed.size and not exposed[users == 1].any()

    first = users[:6]
    only = np.array([EXPOSED[user][0] for user in first])
    expected = np.zeros((9, K))
    expected[:6, 0] = matching(features(first, ids[:6, 0]), features(first, only), np.ones(6))
    np.testing.assert_allclose(looks, expected, atol=1e-5)
    np.testing.assert_array_equal(given, expected != 0)
    for mutant in (RawFeatures, OtherSign):
        wrong = worlds.sample(make(feature_pairs=6, sampler=mutant), batch_of(users), TABLES)
        np.testing.assert_array_equal(wrong.ids, ids)
        assert np.abs(wrong.feedback.rewards[2] - expected).max() > 1e-2, mutant.__name__


@pytest.mark.slow
def test_users_without_exposures_earn_nothing_for_them():
    none = worlds.sample(make(), batch_of([1] * 5), TABLES).feedback.rewards
    assert not np.any(none[1:])
    alone = worlds.sample(make(feature_pairs=2), batch_of([1, 2, 1]), TABLES).feedback.rewards
    np.testing.assert_array_equal(alone[3], [[1, 0, 0], [1, 0, 0], [0, 0, 0]])


REWARDS = tuple(
    tf.constant(values)
    for values in (
        [[-0.5, -0.25], [-0.75, -0.1]],
        [[1.0, 0.0], [1.0, 1.0]],
        [[0.4, 0.0], [0.0, 0.0]],
        [[1.0, 0.0], [0.0, 0.0]],
    )
)


def test_each_reward_has_its_own_baseline():
    sampler = make(k=2, weight=2.0, feature_share=0.25)
    sampler.baselines.assign([-0.3, 0.5, 0.2])
    # (r1 - b1) + 2 (0.75 (r_id - b_id) + 0.25 (r_fm - b_fm)), the last where there is one
    expected = [[-0.2 + 0.75 + 0.1, 0.05 - 0.75], [-0.45 + 0.75, 0.2 + 0.75]]
    np.testing.assert_allclose(sampler.advantage(REWARDS), expected, atol=1e-6)
    for forgotten in ([0.0, 0.5, 0.2], [-0.3, 0.0, 0.2], [-0.3, 0.5, 0.0]):
        sampler.baselines.assign(forgotten)
        assert np.abs(sampler.advantage(REWARDS) - np.array(expected)).max() > 0.05


def test_baselines_are_the_means_of_the_last_epoch():
    sampler = make(k=2)
    batch = batch_of([0, 2])
    others = (*(0.5 * reward for reward in REWARDS[:3]), REWARDS[3])
    for epoch, (rewards, halves) in enumerate([(REWARDS, 1.0), (others, 0.5), (others, 0.5)]):
        sampler.begin_epoch(epoch, None)
        before = sampler.baselines.numpy().copy()
        for part in (rewards, rewards, others):
            drawn = tf.constant([[0, 5], [4, 2]])
            candidates = tf.constant([[3, 4, 6, 7, 1, 2], [0, 1, 2, 3, 9, 9]])
            sampler.update_state(batch, Feedback(candidates, drawn, tf.zeros([2, 2]), part))
        np.testing.assert_array_equal(sampler.baselines.numpy(), before)
        sampler.begin_epoch(epoch + 1, None)
        scale = (2 * halves + 0.5) / 3
        expected = [-0.4 * scale, 0.75 * scale, 0.4 * scale]
        np.testing.assert_allclose(sampler.baselines.numpy(), expected, rtol=1e-5)


def exposed_share(sampler, rows=70_000):
    ids = worlds.sample(sampler, worlds.batch(rows), TABLES).ids
    return np.isin(ids, EXPOSED[0])


@pytest.mark.slow
def test_a_constant_generator_draws_exposed_items_by_their_share_of_the_candidates():
    found = exposed_share(make(constant=True))
    assert stats.binomtest(int(found.sum()), found.size, NE / N).pvalue > 1e-3
    assert stats.binomtest(int(found.sum()), found.size, 3 / NUM_ITEMS).pvalue < 1e-6
    assert not exposed_share(make(constant=True, exposed=0)).any()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.75])
def test_share_of_exposed_negatives_grows_with_a_fixed_recommender(share):
    sampler = make(constant=True, weight=20.0, feature_share=share)

    @tf.function
    def step(seed):
        batch = worlds.batch(64)
        sampler.update_state(batch, sampler.sample(batch, TABLES, seed).feedback)

    for n in range(100):
        step(tf.constant([n, 3], tf.int64))
    assert exposed_share(sampler, rows=5_000).mean() > NE / N + 0.2


def test_too_many_exposed_candidates_is_an_error(toy, toy_config):
    context = SamplerContext(toy, worlds.unobserved([[]] * toy.num_users, toy.num_items), 8)
    most = toy_config.generator_candidates - toy_config.num_negatives
    sampler = RNSAS.from_settings(dataclasses.replace(toy_config, rnsas_exposed=most), context)
    assert sampler.num_exposed == most
    with pytest.raises(UserError, match=f"--rnsas_exposed={most + 1}: choose at most {most}"):
        RNSAS.check_settings(dataclasses.replace(toy_config, rnsas_exposed=most + 1))


@pytest.mark.parametrize("warmup", [0, 1])
def test_fewer_candidates_than_negatives_are_an_error_with_a_legal_value(toy_config, warmup):
    config = dataclasses.replace(
        toy_config,
        generator_candidates=7,
        num_negatives=20,
        rnsas_exposed=3,
        generator_warmup=warmup,
    )
    sentence = "^--generator_candidates=7: choose at least 23, --num_negatives plus --rnsas_exposed"
    with pytest.raises(UserError, match=sentence):
        RNSAS.check_settings(config)
    RNSAS.check_settings(dataclasses.replace(config, generator_candidates=23))
