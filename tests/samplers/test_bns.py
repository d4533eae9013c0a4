import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.config.config import Config
from recns_tf.ops import random
from recns_tf.ops.item_sets import ComplementItems, ListedItems
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.bns import BNS
from recns_tf.samplers.own_candidates import Candidates
from tests.goodness_of_fit import chi_square
from tests.oracles import sigmoid
from tests.samplers import worlds

NUM_ITEMS, NUM_USERS = 12, 40
SCORE = np.array([-0.1, 1.3, 0.9, 2.4, -2.1, -0.5, -0.2, 2.0, 0.5, 0.3, -1.3, -0.9])
POPULARITY = np.array([11, 20, 22, 8, 5, 17, 20, 14, 22, 1, 18, 21])
"""Chosen so that every wrong version below prefers another item."""
POSITIVES = [0, 1, 2]
FREE = ~np.isin(np.arange(NUM_ITEMS), POSITIVES)
N = 3
PRIOR = POPULARITY / POPULARITY.sum()


def make_train():
    train = np.zeros((NUM_USERS, NUM_ITEMS), dtype=bool)
    train[0, POSITIVES] = True
    for item, popularity in enumerate(POPULARITY):
        others = popularity - train[0, item]
        train[1 + (np.arange(others) + 5 * item) % (NUM_USERS - 1), item] = True
    np.testing.assert_array_equal(train.sum(axis=0), POPULARITY)
    return csr_array(train)


TRAIN = make_train()
POOL = ComplementItems(TRAIN)
TABLES = worlds.tables(np.ones((NUM_USERS, 1)), SCORE[:, None])


def share_of(scores, score, more=1):
    """Return the share of `scores` that are at most `score`, of one more than there are."""
    return sum(each <= score for each in scores) / (len(scores) + more)


def law(weight=5.0, prior=PRIOR, among=FREE, positive=0, more=1, info=None, turned=False, sign=1):
    """Return the law of the candidate of least risk, item by item from the paper."""
    utility = np.full(NUM_ITEMS, np.nan)
    for item in np.flatnonzero(FREE):
        f, p = share_of(SCORE[among], SCORE[item], more), prior[item]
        f = 1 - f if turned else f
        unbias = (1 - f) * (1 - p) / (1 - f - p + 2 * f * p)
        size = (1 - sigmoid(SCORE[positive] - SCORE[item])) if info is None else info(item)
        utility[item] = -sign * size * (1 - (1 + weight) * unbias)
    return worlds.law_of_best(utility, N)


WRONG = {
    "false negatives are not avoided": law(weight=0.0),
    "lambda instead of 1 + lambda": law(weight=4.0),
    "another lambda": law(weight=2.0),
    "the prior is the share of users": law(prior=POPULARITY / NUM_USERS),
    "no prior": law(prior=np.zeros(NUM_ITEMS)),
    "a prior that is the same for all": law(prior=np.full(NUM_ITEMS, PRIOR.mean())),
    "F over all items": law(among=np.full(NUM_ITEMS, True)),
    "F of the top item is 1": law(more=0),
    "1 - F for F": law(turned=True),
    "easy negatives": law(info=lambda item: sigmoid(SCORE[0] - SCORE[item])),
    "hardness ignored": law(info=lambda item: 1.0),
    "another positive": law(positive=1),
    "the largest risk": law(sign=-1),
}


def sampler(k=4, pool=POOL, **options):
    return BNS(k, pool, N, TRAIN, **options)


@pytest.mark.slow
@pytest.mark.parametrize("sample_size", [0, NUM_ITEMS])
def test_the_candidate_of_least_risk_is_chosen(sample_size):
    batch = worlds.batch(50_000)
    observed, ids = worlds.counts(sampler(sample_size=sample_size), batch, TABLES, NUM_ITEMS)
    assert chi_square(observed, law()) > 1e-3
    assert not np.array_equal(ids[:, 0], ids[:, 1]), "every negative has its own candidates"
    for name, wrong in WRONG.items():
        assert chi_square(observed, wrong) < 1e-6, name


RNG = np.random.default_rng(5)
ITEM = RNG.normal(size=(700, 3)).astype(np.float32)
USER = RNG.normal(size=(5, 3)).astype(np.float32)
INSIDE = RNG.random((5, 700)) < np.array([0.9, 0.5, 0.1, 0.7, 1.0])[:, None]
"""Pools of different sizes."""
USERS = np.array([3, 0, 3, 1, 2, 0, 3], np.int32)
ITEMS = np.stack([RNG.choice(np.flatnonzero(INSIDE[u]), 40) for u in USERS]).astype(np.int32)
"""Candidates of repeated users."""


def shares(sample_size, seed=3):
    """Return F of the candidates, [B, n]."""
    made = BNS(1, ListedItems(csr_array(INSIDE)), 40, csr_array(~INSIDE), sample_size=sample_size)
    tables = worlds.tables(USER, ITEM)
    vectors = tables.users(tf.constant(USERS))
    scores = tables.products(vectors, tf.constant(ITEMS))
    candidates = Candidates(tf.constant(ITEMS)[:, None], scores[:, None], vectors)
    batch = worlds.batch(len(USERS))._replace(users=tf.constant(USERS))
    return made.share_below(candidates, batch, tables, random.root(seed)).numpy()[:, 0]


def exact_shares(more):
    scores = USER @ ITEM.T
    return np.array(
        [
            [share_of(scores[u][INSIDE[u]], scores[u, item], more) for item in row]
            for u, row in zip(USERS, ITEMS, strict=True)
        ]
    )


def test_shares_are_exact_if_there_are_few_items():
    expected = exact_shares(more=1)
    assert len(np.unique(expected)) > 150 and expected.max() < 1
    for sample_size in (0, 700, 10**6):
        np.testing.assert_allclose(shares(sample_size), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sample_size", [50, 600])
def test_shares_of_a_sample_keep_the_bound(sample_size):
    """With 95% probability; they are not nearer than those of a sample, and right on average."""
    expected = exact_shares(more=0)
    bound = np.sqrt(np.log(2 / 0.05) / (2 * sample_size))
    found = np.array([shares(sample_size, seed) for seed in range(150)])
    found *= (sample_size + 1) / sample_size
    errors = np.abs(found - expected).max(axis=2)
    assert (errors <= bound).mean() > 0.95
    assert np.median(errors) > 0.3 * bound, "a larger sample"
    deviation = np.sqrt(expected * (1 - expected) / (sample_size * len(found)))
    assert (np.abs(found.mean(axis=0) - expected) < 5 * deviation + 1e-6).all()


def test_the_statistic_is_the_posterior_of_the_chosen():
    """From the laws: the mean over items of their probability times their unbias."""
    found = worlds.sample(sampler(), worlds.batch(50_000), TABLES).statistics
    unbias = np.zeros(NUM_ITEMS)
    for item in np.flatnonzero(FREE):
        f, p = share_of(SCORE[FREE], SCORE[item]), PRIOR[item]
        unbias[item] = (1 - f) * (1 - p) / (1 - f - p + 2 * f * p)
    assert float(found["unbias"]) == pytest.approx(law() @ unbias, abs=0.005)
    hardness = law() @ SCORE - SCORE[FREE].mean()
    assert float(found["hardness"]) == pytest.approx(hardness, abs=0.02)


def test_the_posterior_of_extremes_is_a_number():
    """All scores equal: F is n / (n + 1); an item without train pairs has the prior 0."""
    train = csr_array(np.array([[True, False, False], [True, True, False]]))
    tables = worlds.tables(np.zeros((2, 1)), np.zeros((3, 1)))
    for sample_size in (0, 1):
        made = BNS(2, ComplementItems(train), 4, train, sample_size=sample_size)
        found = worlds.sample(made, worlds.batch(50), tables)
        assert set(found.ids.flat) <= {1, 2}
        assert np.isfinite(found.statistics["unbias"])


def test_flags_are_read_and_the_prior_is_of_train_pairs(toy):
    config = Config(sampler="bns", num_negatives=2, num_candidates=5, bns_weight=0.5, bns_items=30)
    made = BNS.from_settings(config, SamplerContext(toy, POOL, 8))
    assert (made.num_negatives, made.num_candidates) == (2, 5)
    assert (made.weight, made.sample_size) == (0.5, 30)
    counts = toy.train.toarray().sum(axis=0)
    np.testing.assert_allclose(made.prior, counts / toy.train.nnz, rtol=1e-6)
