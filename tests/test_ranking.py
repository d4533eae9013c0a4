import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf import ranking


def world(num_users, num_items, seed, seen_share=0.3):
    rng = np.random.default_rng(seed)
    user, item = (rng.normal(size=(n, 6)).astype(np.float32) for n in (num_users, num_items))
    cells = rng.random((num_users, num_items))
    held_out = cells < 0.1
    seen = (cells >= 0.1) & (cells < 0.1 + seen_share)
    return user, item, held_out, seen


@given(st.integers(1, 30), st.integers(1, 50), st.integers(0, 999), st.sampled_from([1, 5, 20]))
@settings(max_examples=80)
def test_metrics_are_those_of_a_full_sort(num_users, num_items, seed, k):
    from tests import oracles

    user, item, held_out, seen = world(num_users, num_items, seed)
    recall, ndcg, hr = oracles.ranking(user, item, held_out, seen, k)
    result = ranking.evaluate(user, item, csr_array(held_out), csr_array(seen), k)
    assert result["users"] == len(recall)
    if len(recall):
        assert result[f"recall@{k}"] == pytest.approx(recall.mean())
        assert result[f"ndcg@{k}"] == pytest.approx(ndcg.mean())
        assert result[f"hr@{k}"] == pytest.approx(hr.mean())


def test_lists_are_those_of_a_matrix_product_and_top_k(monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK_USERS", 16)
    user, item, _, seen = world(100, 80, seed=7, seen_share=0.6)
    users = np.array([5, 99, 3, 42, 0])
    top = ranking.top_items(user, item, users, csr_array(seen), 20)
    scores = tf.where(seen, -np.inf, user @ item.T)
    expected = tf.math.top_k(scores, 20).indices.numpy()[users]
    np.testing.assert_array_equal(top, expected)


def test_no_place_is_lost_to_a_user_who_has_seen_all_the_best_items():
    """A search of a fixed depth would return a short list here."""
    item = np.linspace(1, 0, 1000, dtype=np.float32)[:, None]
    seen = np.zeros((2, 1000), dtype=bool)
    seen[0, :970] = True
    top = ranking.top_items(np.ones((2, 1), np.float32), item, np.arange(2), csr_array(seen))
    assert top.tolist() == [list(range(970, 990)), list(range(20))]


def test_a_list_may_be_short_and_never_names_an_item_twice():
    seen = np.array([[True, False, True]])
    top = ranking.top_items(
        np.ones((1, 1), np.float32),
        np.array([[3], [2], [1]], np.float32),
        np.arange(1),
        csr_array(seen),
        k=3,
    )
    assert top.tolist() == [[1, ranking.NO_ITEM, ranking.NO_ITEM]]


def by_hand(top, held_out):
    rows = np.zeros((1, 30), dtype=bool)
    rows[0, held_out] = True
    metrics = ranking.metrics_per_user(np.array([top]), np.array([0]), csr_array(rows))
    return {name: float(values[0]) for name, values in metrics.items()}


def test_metrics_on_hand_made_lists():
    assert by_hand([1, 2, 3, 4], [1, 2]) == {"recall@4": 1.0, "ndcg@4": 1.0, "hr@4": 1.0}
    assert by_hand([1, 2, 3, 4], [9]) == {"recall@4": 0.0, "ndcg@4": 0.0, "hr@4": 0.0}
    second = by_hand([5, 1], [1, 7, 8])
    assert second["recall@2"] == pytest.approx(1 / 3)
    ideal = 1 + 1 / np.log2(3)
    assert second["ndcg@2"] == pytest.approx((1 / np.log2(3)) / ideal), "ideal cut at min(K, |T|)"
    assert second["hr@2"] == 1.0
    one = by_hand([5, 1, 6], [1])
    assert one["ndcg@3"] == pytest.approx(1 / np.log2(3))


def test_the_filler_of_a_short_list_is_no_hit():
    assert by_hand([ranking.NO_ITEM, ranking.NO_ITEM], [29])["hr@2"] == 0.0
    rows = np.zeros((2, 30), dtype=bool)
    rows[0, 29] = rows[1, 0] = True
    metrics = ranking.metrics_per_user(
        np.array([[0, 1], [ranking.NO_ITEM] * 2]), np.array([0, 1]), csr_array(rows)
    )
    assert metrics["hr@2"].tolist() == [0.0, 0.0], "-1 must not be the last item of the user above"


def test_nobody_to_rank_for():
    empty = csr_array((3, 4), dtype=bool)
    ones = np.ones((3, 2), np.float32), np.ones((4, 2), np.float32)
    assert ranking.evaluate(*ones, empty, empty)["users"] == 0
