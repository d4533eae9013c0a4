import numpy as np

from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

ZEROS = worlds.tables(np.zeros((2, 1)), np.zeros((12, 1)))


def test_every_unobserved_item_is_equally_likely():
    pool = worlds.unobserved([[], [0, 5, 11]], 12)
    for user, free in ((0, set(range(12))), (1, set(range(12)) - {0, 5, 11})):
        ids = worlds.sample(UniNS(4, pool), worlds.batch(50_000, user=user), ZEROS).ids
        distribution = [float(item in free) for item in range(12)]
        assert chi_square(np.bincount(ids.ravel(), minlength=12), distribution) > 1e-3
        assert not np.array_equal(ids[:, 0], ids[:, 1]), "one draw must not serve all k"
