import numpy as np

from recns_tf.samplers.dns import DNS
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

NUM_ITEMS = 12
POSITIVES = [0, 5, 11]
FREE = [item for item in range(NUM_ITEMS) if item not in POSITIVES]
SCORE = np.random.default_rng(2).permutation(NUM_ITEMS) - 6.0
POOL = worlds.unobserved([POSITIVES], NUM_ITEMS)


def counts(num_candidates, sign=1.0, sampler=DNS):
    arguments = (4, POOL, num_candidates) if sampler is DNS else (4, POOL)
    tables = worlds.tables([[sign]], SCORE[:, None])
    ids = worlds.sample(sampler(*arguments), worlds.batch(50_000), tables).ids
    return np.bincount(ids.ravel(), minlength=NUM_ITEMS), ids


def distribution(num_candidates, sign=1.0):
    """P(rank r of N) = (r / N)^M - ((r - 1) / N)^M, rank 1 being the lowest score."""
    result = np.zeros(NUM_ITEMS)
    for rank, item in enumerate(sorted(FREE, key=lambda item: sign * SCORE[item]), 1):
        share = rank / len(FREE)
        result[item] = share**num_candidates - (share - 1 / len(FREE)) ** num_candidates
    return result


def test_best_of_m_has_the_distribution_of_a_maximum():
    observed, ids = counts(5)
    assert chi_square(observed, distribution(5)) > 1e-3
    assert not np.array_equal(ids[:, 0], ids[:, 1]), "every negative has candidates of its own"
    assert chi_square(observed, distribution(5, sign=-1.0)) < 1e-6, "argmin must fail"
    assert chi_square(observed, distribution(4)) < 1e-6, "another number of candidates must fail"


def test_negated_scores_reverse_the_distribution():
    observed, _ = counts(3, sign=-1.0)
    assert chi_square(observed, distribution(3, sign=-1.0)) > 1e-3


def test_one_candidate_is_uniform_sampling():
    one, _ = counts(1)
    assert chi_square(one, distribution(1)) > 1e-3
    np.testing.assert_allclose(distribution(1)[FREE], 1 / len(FREE))
    uniform, _ = counts(1, sampler=UniNS)
    np.testing.assert_array_equal(one, uniform)
