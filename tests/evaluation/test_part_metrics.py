"""Cold and saturated users: what is counted, and what is said about it."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.evaluation.part_metrics import (
    cold_sentences,
    part_metrics,
    saturation_sentences,
    user_counts,
)
from recns_tf.evaluation.ranking import evaluate


def warm_and_cold():
    """Return 30 warm and 20 cold users, 40 items, and lists that hit for 15 warm and 5 cold ones.

    User u's held-out items are 30 and 31. A hit is item 30 in the second of two places.
    """
    train, held_out = np.zeros((50, 40), dtype=bool), np.zeros((50, 40), dtype=bool)
    train[:30, 0] = True
    held_out[:, 30:32] = True
    top = np.tile([1, 2], (50, 1))
    top[[*range(15), *range(30, 35)], 1] = 30
    return csr_array(train), csr_array(held_out), top


def test_metrics_are_given_with_and_without_cold_users():
    train, held_out, top = warm_and_cold()
    found = part_metrics(top, held_out, train, [1, 2], train)
    assert (found["users"], found["cold_users"], found["warm"]["users"]) == (50, 20, 30)
    assert found["recall@2"] == pytest.approx(20 / 50 / 2)
    assert found["warm"]["recall@2"] == pytest.approx(15 / 30 / 2)
    assert found["hr@2"] == pytest.approx(0.4) and found["warm"]["hr@2"] == 0.5
    assert found["mrr@2"] == pytest.approx(0.2) and found["warm"]["mrr@2"] == 0.25
    assert found["hr@1"] == found["warm"]["hr@1"] == 0
    metrics = {name for name in found if "@" in name and not name.startswith("saturated")}
    assert len(metrics) == 18 and found["warm"].keys() == metrics | {"users"}


def test_list_metrics_of_warm_users_count_their_lists_alone():
    train, held_out, top = warm_and_cold()
    top[40] = [7, 8]
    found = part_metrics(top, held_out, train, [2], train)
    assert found["coverage@2"] == 5 / 40, "items 1, 2, 30, 7 and 8"
    assert found["warm"]["coverage@2"] == 3 / 40


def test_without_cold_users_there_is_nothing_on_them():
    train, held_out, top = warm_and_cold()
    rows = np.arange(30)
    found = part_metrics(top[:30], held_out[rows], train[rows], [2], train[rows])
    assert found["cold_users"] == 0 and "warm" not in found
    assert cold_sentences(found) == []
    without_train = part_metrics(top, held_out, train, [2])
    assert not {"cold_users", "warm", "popularity@2"} & without_train.keys()


def test_cold_users_without_held_out_items_do_not_count():
    train, held_out, _ = warm_and_cold()
    dense = held_out.toarray()
    dense[25:45] = False
    assert user_counts(csr_array(dense), train, [2], train)["cold_users"] == 5


def test_all_users_may_be_cold():
    _, held_out, top = warm_and_cold()
    nothing = csr_array((50, 40), dtype=bool)
    found = part_metrics(top, held_out, nothing, [2], nothing)
    assert found["cold_users"] == 50 and found["warm"]["users"] == 0
    assert found["warm"]["recall@2"] == 0
    assert "There are no other tested users" in cold_sentences(found)[0]


def test_the_sentence_on_cold_users():
    assert cold_sentences({"users": 50, "cold_users": 20}) == [
        "20 of 50 tested users have no train positive: their embeddings are untrained. "
        "Metrics are also given without them."
    ]
    assert cold_sentences({"users": 50, "recall@20": 0.5}) == [], "of an earlier version"


def seen_world(unseen, num_items=10):
    """Return held-out and seen items of users with these numbers of unseen items."""
    held_out, seen = (np.zeros((len(unseen), num_items), dtype=bool) for _ in range(2))
    for user, count in enumerate(unseen):
        held_out[user, 0] = count > 0
        seen[user, count:] = True
    return csr_array(held_out), csr_array(seen)


def test_a_user_with_at_most_k_unseen_items_is_saturated():
    """The last user has no held-out item and is not tested."""
    found = user_counts(*seen_world([2, 3, 4, 5, 10, 0]), [3, 5, 20])
    assert found["users"] == 5 and found["median_unseen_items"] == 4
    assert [found[f"saturated_users@{k}"] for k in (3, 5, 20)] == [2, 4, 5]
    truncated = user_counts(*seen_world([2, 3, 4, 5, 10, 0]), [5], depth=9)
    assert truncated["saturated_users@5"] == 0


def test_saturated_users_are_found_by_any_model():
    held_out, seen = seen_world([2, 3, 4, 5, 10])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        tables = rng.normal(size=(5, 4)), rng.normal(size=(10, 4))
        found = evaluate(*tables, held_out, seen, [4, 20])
        assert found["saturated_users@20"] == 5 and found["recall@20"] == found["hr@20"] == 1
        assert found["saturated_users@4"] == 3 and found["recall@4"] >= 3 / 5


def test_a_search_of_limited_depth_saturates_nobody():
    held_out, seen = seen_world([2, 3, 4, 5, 10])
    tables = np.ones((5, 1)), np.linspace(0, 1, 10)[:, None]
    assert evaluate(*tables, held_out, seen, depth=9)["saturated_users@20"] == 0
    assert evaluate(*tables, held_out, seen, depth=10)["saturated_users@20"] == 5


def test_a_sentence_is_said_if_more_than_half_of_the_users_are_saturated():
    counts = {"users": 6, "median_unseen_items": 9, "saturated_users@20": 4}
    assert saturation_sentences(counts) == [
        "4 of 6 tested users have at most 20 unseen items, so that their Recall@20 and HR@20 are 1 "
        "for any model: choose a smaller K, such as --topk=4."
    ]
    assert saturation_sentences(counts | {"saturated_users@20": 3}) == []
    (sentence,) = saturation_sentences(counts | {"median_unseen_items": 1})
    assert sentence.endswith("any model: no K can tell models apart.")
    both = saturation_sentences(counts | {"saturated_users@15": 4, "saturated_users@2": 1})
    assert ["at most 20" in both[0], "at most 15" in both[1], len(both)] == [True, True, 2]
    assert saturation_sentences({"users": 6, "recall@20": 1.0}) == [], "of an earlier version"
    assert (
        saturation_sentences({"users": 0, "median_unseen_items": 0, "saturated_users@5": 0}) == []
    )
