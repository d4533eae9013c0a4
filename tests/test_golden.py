"""Numbers that the authors' own LightGCN program produced on a toy graph.

They lie outside the repository and are skipped where they are absent. Only what the default
settings share with that program is compared here: symmetric adjacency, scores, exposed pick,
penalty, region, ranking.
"""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import ranking
from recns_tf.encoders.lightgcn import LightGCN
from recns_tf.interactions import to_rows
from recns_tf.propagation import Adjacency, symmetric_adjacency
from recns_tf.samplers.base import scores
from tests.conftest import SHARED, members

PATH = SHARED / "golden" / "original-lightgcn.npz"
SHAPE = (40, 60)
pytestmark = pytest.mark.skipif(not PATH.exists(), reason=f"{PATH} is absent")


@pytest.fixture(scope="module")
def golden():
    with np.load(PATH) as file:
        return dict(file)


@pytest.fixture(scope="module")
def encoder(golden):
    matrix = symmetric_adjacency(to_rows(golden["train"], SHAPE))
    encoder = LightGCN(Adjacency(matrix), *SHAPE, dim=16, num_layers=3)
    encoder.nodes.assign(np.concatenate([golden["pre/user0"], golden["pre/item0"]]))
    return encoder


def test_final_embeddings(golden, encoder):
    user, item = encoder.embeddings()
    np.testing.assert_allclose(user, golden["pre/final_user"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(item, golden["pre/final_item"], rtol=1e-5, atol=1e-8)


def test_scores_of_the_candidates(golden, encoder):
    tables = encoder.encode(False)
    candidates = tf.constant(golden["pre/candidates"])
    for vectors, name in (
        (tables.users(golden["pre/users"]), "user"),
        (tables.items(golden["pre/positives"]), "positive"),
    ):
        result = scores(vectors, tables, candidates)
        np.testing.assert_allclose(result, golden[f"pre/score_{name}"], rtol=1e-5, atol=1e-7)


def test_the_exposed_pick_for_the_given_factors(golden, encoder):
    tables = encoder.encode(False)
    score = scores(
        tables.users(golden["pre/users"]), tables, tf.constant(golden["pre/exposed_candidates"])
    )
    amplified = golden["pre/beta"] * score
    np.testing.assert_allclose(tf.sigmoid(amplified), golden["pre/exposed_prob"], rtol=1e-5)
    np.testing.assert_array_equal(tf.argmax(amplified, axis=1), golden["pre/exposed_pick"])


def test_the_penalty(golden, encoder):
    penalty = encoder.penalty(
        *(tf.constant(golden[f"pre/{name}"]) for name in ("users", "positives", "negatives"))
    )
    assert 1e-4 * float(penalty) == pytest.approx(float(golden["pre/l2"]), rel=1e-5)


def test_the_region_of_khop_3(golden):
    train = to_rows(golden["train"], SHAPE)
    ours = np.argwhere(members(train, "intermediate", 3, "walk"))
    theirs = golden["region3"][np.lexsort(golden["region3"].T[::-1])]
    np.testing.assert_array_equal(ours, theirs)


def test_the_metrics(golden):
    train, test = (to_rows(golden[name], SHAPE) for name in ("train", "test"))
    result = ranking.evaluate(golden["eval_user"], golden["eval_item"], test, train)
    ours = [result[name] for name in ("recall@20", "ndcg@20", "hr@20")]
    np.testing.assert_allclose(ours, golden["eval"], rtol=1e-6)
