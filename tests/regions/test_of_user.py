"""The regions of one user, against distances in the graph and against those of all users."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.regions.of_user import NAMES, regions_of_user
from tests.conftest import members
from tests.oracles import bipartite, distances


@pytest.mark.parametrize("khop", [3, 5, 7])
@pytest.mark.parametrize("definition", ["walk", "shell"])
def test_regions_are_those_of_distances(khop, definition):
    rng = np.random.default_rng(khop)
    dense = rng.random((25, 40)) < 0.04
    seen = set()
    for user in range(len(dense)):
        found = distances(bipartite(dense), user)
        away = [found.get(("item", item), np.inf) for item in range(dense.shape[1])]
        codes = regions_of_user(csr_array(dense), user, khop, definition)
        for steps, code in zip(away, codes, strict=True):
            expected = "distant"
            if steps == 1:
                expected = "adjacent"
            elif steps <= khop:
                nearer = definition == "shell" and steps < khop
                expected = "between" if nearer else "intermediate"
            assert NAMES[code] == expected
            seen.add(expected)
    shell = definition == "shell" and khop > 3
    assert seen == {*NAMES} - (set() if shell else {"between"})


@pytest.mark.parametrize("khop", [3, 5])
@pytest.mark.parametrize("definition", ["walk", "shell"])
@pytest.mark.parametrize("kind", ["intermediate", "distant"])
def test_regions_are_those_that_negatives_come_from(toy, kind, khop, definition):
    sparse = csr_array(toy.train.toarray() & (np.arange(60) % 3 > 0))
    expected = members(sparse.toarray(), kind, khop, definition)
    for user in range(toy.num_users):
        codes = regions_of_user(sparse, user, khop, definition)
        np.testing.assert_array_equal(codes == NAMES.index(kind), expected[user])
