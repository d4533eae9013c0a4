import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf import registry
from recns_tf.evaluation import ranking, search
from tests import oracles

each_ranker = pytest.mark.parametrize("ranker", registry.RANKERS)


def test_registry_lists_every_ranker():
    assert tuple(search.RANKERS) == registry.RANKERS


def world(num_users, num_items, seed, seen_share=0.3):
    rng = np.random.default_rng(seed)
    user, item = (rng.normal(size=(n, 6)).astype(np.float32) for n in (num_users, num_items))
    cells = rng.random((num_users, num_items))
    held_out = cells < 0.1
    seen = (cells >= 0.1) & (cells < 0.1 + seen_share)
    return user, item, held_out, seen


@pytest.mark.slow
@given(
    st.integers(1, 30),
    st.integers(1, 150),
    st.integers(0, 999),
    st.sampled_from([1, 5, 20]),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from(registry.RANKERS),
)
@settings(max_examples=80)
def test_metrics_match_a_full_sort(num_users, num_items, seed, k, seen_share, ranker):
    user, item, held_out, seen = world(num_users, num_items, seed, seen_share)
    recall, ndcg, hr = oracles.ranking(user, item, held_out, seen, k)
    result = ranking.evaluate(user, item, csr_array(held_out), csr_array(seen), k, ranker=ranker)
    assert result["users"] == len(recall)
    if len(recall):
        assert result[f"recall@{k}"] == pytest.approx(recall.mean())
        assert result[f"ndcg@{k}"] == pytest.approx(ndcg.mean())
        assert result[f"hr@{k}"] == pytest.approx(hr.mean())


@each_ranker
def test_lists_match_a_matrix_product_and_top_k(ranker, monkeypatch):
    for name in ("LARGEST_GROUP", "SMALLEST_GROUP", "BLOCK_USERS"):
        monkeypatch.setattr(search, name, 3)
    user, item, _, seen = world(100, 130, seed=7, seen_share=0.6)
    users = np.array([5, 99, 3, 42, 0])
    top = ranking.top_items(user, item, users, csr_array(seen), 20, ranker=ranker)
    scores = tf.where(seen, -np.inf, user @ item.T)
    expected = tf.math.top_k(scores, 20).indices.numpy()[users]
    np.testing.assert_array_equal(top, expected)


@each_ranker
@pytest.mark.parametrize("num_items", [3, 63, 64, 65, 700])
def test_lists_are_exact_for_any_number_of_seen_items(ranker, num_items, monkeypatch):
    """Users have seen from none to all of the items. The last users have seen the best items, so
    that the search depth estimated from the first users is too small for them."""
    monkeypatch.setattr(search, "SMALLEST_GROUP", 4)
    rng = np.random.default_rng(num_items)
    user, item = (rng.normal(size=(n, 8)).astype(np.float32) for n in (60, num_items))
    scores = user @ item.T
    seen = rng.random(scores.shape) < np.linspace(0, 1, 60)[:, None] ** 2
    seen[40:] |= scores[40:] > np.quantile(scores[40:], 0.5, axis=1, keepdims=True)
    seen[-1] = True
    k = 20
    top = ranking.top_items(user, item, np.arange(60), csr_array(seen), k, ranker=ranker)
    for u in range(60):
        order = np.argsort(-scores[u], kind="stable")
        expected = order[~seen[u, order]][:k]
        filler = [ranking.NO_ITEM] * (k - len(expected))
        assert top[u].tolist() == [*expected, *filler]


@each_ranker
def test_users_who_have_seen_the_best_items_get_full_lists(ranker):
    """A search of a fixed depth would return a short list here."""
    item = np.linspace(1, 0, 1000, dtype=np.float32)[:, None]
    seen = np.zeros((2, 1000), dtype=bool)
    seen[0, :970] = True
    ones = np.ones((2, 1), np.float32)
    top = ranking.top_items(ones, item, np.arange(2), csr_array(seen), ranker=ranker)
    assert top.tolist() == [list(range(970, 990)), list(range(20))]


def test_tensorflow_breaks_ties_by_the_lower_item():
    ones = np.ones((1, 2), np.float32), np.ones((200, 2), np.float32)
    seen = np.zeros((1, 200), dtype=bool)
    seen[0, ::2] = True
    top = ranking.top_items(*ones, np.arange(1), csr_array(seen), 5, ranker="tensorflow")
    assert top.tolist() == [[1, 3, 5, 7, 9]]


def truncated(scores, seen, depth, k):
    """Return the authors' lists (evaluate.py and evaluate_foldout.py), one user at a time."""
    found = []
    for u in range(len(scores)):
        searched = sorted(range(scores.shape[1]), key=lambda item: -scores[u, item])[:depth]
        kept = [item for item in searched if not seen[u, item]][:k]
        found.append(kept + [ranking.NO_ITEM] * (k - len(kept)))
    return np.array(found)


@each_ranker
@pytest.mark.parametrize(("num_items", "depth"), [(150, 40), (150, 20), (30, 200), (150, 7)])
def test_truncated_search_loses_places_to_seen_items(ranker, num_items, depth):
    rng = np.random.default_rng(depth)
    user, item = (rng.normal(size=(n, 4)).astype(np.float32) for n in (20, num_items))
    scores = user @ item.T
    # Users like what they have seen, from nothing to nearly everything.
    seen = scores > np.quantile(scores, np.linspace(0.05, 1, 20), axis=1).diagonal()[:, None]
    options = {"ranker": ranker, "depth": depth}
    top = ranking.top_items(user, item, np.arange(20), csr_array(seen), 20, **options)
    expected = truncated(scores, seen, depth, 20)
    np.testing.assert_array_equal(top, expected)
    exact = ranking.top_items(user, item, np.arange(20), csr_array(seen), 20, ranker=ranker)
    unmasked = truncated(scores, np.zeros_like(seen), depth, 20)
    assert not np.array_equal(expected, unmasked), "the test must detect unmasked seen items"
    if depth < num_items:
        assert not np.array_equal(expected, exact), "the test must detect masking before the cut"
    else:
        np.testing.assert_array_equal(expected, exact)


def test_truncated_search_lowers_the_metrics():
    """One user has seen the two best items; the held-out items rank third and fifth."""
    item = np.linspace(1, 0, 8, dtype=np.float32)[:, None]
    seen, held_out = (np.zeros((1, 8), dtype=bool) for _ in range(2))
    seen[0, :2] = True
    held_out[0, [2, 4]] = True
    tables = np.ones((1, 1), np.float32), item, csr_array(held_out), csr_array(seen)
    recalls = [ranking.evaluate(*tables, 3, depth=depth)["recall@3"] for depth in (0, 2, 4, 5)]
    assert recalls == [1.0, 0.0, 0.5, 1.0]


@each_ranker
def test_short_lists_are_padded(ranker):
    seen = np.array([[True, False, True]])
    top = ranking.top_items(
        np.ones((1, 1), np.float32),
        np.array([[3], [2], [1]], np.float32),
        np.arange(1),
        csr_array(seen),
        k=3,
        ranker=ranker,
    )
    assert top.tolist() == [[1, ranking.NO_ITEM, ranking.NO_ITEM]]


def metrics_of(top, held_out):
    rows = np.zeros((1, 30), dtype=bool)
    rows[0, held_out] = True
    metrics = ranking.metrics_per_user(np.array([top]), np.array([0]), csr_array(rows))
    paper = ("recall", "ndcg", "hr")
    return {name: float(values[0]) for name, values in metrics.items() if name.startswith(paper)}


def test_metrics_of_small_examples():
    assert metrics_of([1, 2, 3, 4], [1, 2]) == {"recall@4": 1.0, "ndcg@4": 1.0, "hr@4": 1.0}
    assert metrics_of([1, 2, 3, 4], [9]) == {"recall@4": 0.0, "ndcg@4": 0.0, "hr@4": 0.0}
    second = metrics_of([5, 1], [1, 7, 8])
    assert second["recall@2"] == pytest.approx(1 / 3)
    ideal = 1 + 1 / np.log2(3)
    assert second["ndcg@2"] == pytest.approx((1 / np.log2(3)) / ideal), (
        "the ideal list has min(K, |T|) items"
    )
    assert second["hr@2"] == 1.0
    one = metrics_of([5, 1, 6], [1])
    assert one["ndcg@3"] == pytest.approx(1 / np.log2(3))


def test_padding_is_not_a_hit():
    assert metrics_of([ranking.NO_ITEM, ranking.NO_ITEM], [29])["hr@2"] == 0.0
    rows = np.zeros((2, 30), dtype=bool)
    rows[0, 29] = rows[1, 0] = True
    metrics = ranking.metrics_per_user(
        np.array([[0, 1], [ranking.NO_ITEM] * 2]), np.array([0, 1]), csr_array(rows)
    )
    assert metrics["hr@2"].tolist() == [0.0, 0.0], "-1 must not mean the previous user's last item"


@each_ranker
def test_no_users_to_rank_for(ranker):
    empty = csr_array((3, 4), dtype=bool)
    ones = np.ones((3, 2), np.float32), np.ones((4, 2), np.float32)
    no_users = np.zeros(0, dtype=np.int64)
    for depth in (0, 3):
        top = ranking.top_items(*ones, no_users, empty, 2, ranker=ranker, depth=depth)
        assert top.shape == (0, 2)
    assert ranking.evaluate(*ones, empty, empty)["users"] == 0
