import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.baselines import score_rows
from recns_tf.evaluation import ranking, scored_lists


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 999), st.sampled_from([1, 5, 20]))
@settings(max_examples=60)
def test_lists_match_a_full_sort_with_ties_by_item(num_users, num_items, seed, k):
    rng = np.random.default_rng(seed)
    table = rng.integers(-2, 3, size=(num_users, num_items)).astype(float)
    seen = rng.random((num_users, num_items)) < rng.random()
    users = rng.permutation(num_users)
    found = score_rows.top_items(lambda ids: table[ids].copy(), users, csr_array(seen), k)
    for row, user in zip(found.tolist(), users, strict=True):
        unseen = [item for item in range(num_items) if not seen[user, item]]
        expected = sorted(unseen, key=lambda item: (-table[user, item], item))[:k]
        assert row == expected + [ranking.NO_ITEM] * (k - len(expected))


def test_metrics_match_the_ranking_of_embeddings(toy, monkeypatch):
    rng = np.random.default_rng(3)
    user, item = (rng.normal(size=(n, 8)).astype(np.float32) for n in (40, 60))
    expected = ranking.evaluate(user, item, toy.test, toy.train + toy.valid)
    scores = (user @ item.T).astype(np.float64)
    # Three users per block.
    monkeypatch.setattr(scored_lists, "BLOCK_BYTES", 8 * 60 * 3)
    metrics, lists = score_rows.evaluate(lambda u: scores[u], toy.test, toy.train + toy.valid)
    assert metrics == pytest.approx(expected)
    tested = np.diff(toy.test.indptr) > 0
    assert lists.shape == (40, 20)
    assert ((lists == ranking.NO_ITEM).all(axis=1) == ~tested).all()


def test_no_users_to_rank_for():
    empty = csr_array((3, 4), dtype=bool)
    metrics, lists = score_rows.evaluate(lambda u: np.ones((len(u), 4)), empty, empty)
    assert metrics["users"] == 0 and (lists == ranking.NO_ITEM).all()
