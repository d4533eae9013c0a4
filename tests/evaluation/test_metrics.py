"""Per-user and list metrics against plain Python, and against numbers computed by hand."""

import math
import random

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.evaluation.list_metrics import gini, list_metrics
from recns_tf.evaluation.metrics import NO_ITEM, metrics_per_user


def rows_of(sets, num_items):
    dense = np.zeros((len(sets), num_items), dtype=bool)
    for user, items in enumerate(sets):
        dense[user, list(items)] = True
    return csr_array(dense)


def padded(lists, length):
    return np.array([[*items, *[NO_ITEM] * (length - len(items))] for items in lists], np.int64)


def by_definition(items, relevant, k):
    """Return the metrics of one list without padding, in plain Python."""
    ranks = [rank for rank, item in enumerate(items[:k], 1) if item in relevant]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    precisions = [len([each for each in ranks if each <= rank]) / rank for rank in ranks]
    return {
        f"recall@{k}": len(ranks) / len(relevant),
        f"ndcg@{k}": sum(1 / math.log2(rank + 1) for rank in ranks) / ideal,
        f"hr@{k}": float(len(ranks) > 0),
        f"precision@{k}": len(ranks) / k,
        f"mrr@{k}": 1 / ranks[0] if ranks else 0.0,
        f"map@{k}": sum(precisions) / min(len(relevant), k),
    }


def lists_by_definition(lists, k, num_items, degrees):
    """Return the metrics of all lists together, in plain Python; Gini by pairs of items."""
    cut = [items[:k] for items in lists]
    counts = [sum(item in items for items in cut) for item in range(num_items)]
    mean = sum(counts) / num_items
    differences = sum(abs(one - other) for one in counts for other in counts)
    means = [sum(degrees[item] for item in items) / len(items) for items in cut if items]
    return {
        f"coverage@{k}": len({item for items in cut for item in items}) / num_items,
        f"gini@{k}": differences / (2 * num_items**2 * mean) if mean else 0.0,
        f"popularity@{k}": sum(means) / len(means) if means else 0.0,
    }


@pytest.fixture(params=range(4))
def world(request):
    """Random lists of 0 to 12 items, and the relevant items of their users."""
    draw = random.Random(request.param)
    num_items = 15
    lists = [draw.sample(range(num_items), draw.randrange(13)) for _ in range(40)]
    relevant = [set(draw.sample(range(num_items), draw.randint(1, 14))) for _ in lists]
    return lists, relevant, num_items, [draw.randrange(50) for _ in range(num_items)]


def test_metrics_per_user_match_their_definitions(world):
    lists, relevant, num_items, _ = world
    ks = [1, 3, 5, 12]
    users = np.arange(len(lists))[::-1]
    found = metrics_per_user(padded(lists[::-1], 12), users, rows_of(relevant, num_items), ks)
    expected = [
        {name: value for k in ks for name, value in by_definition(*each, k).items()}
        for each in zip(lists[::-1], relevant[::-1], strict=True)
    ]
    assert found.keys() == expected[0].keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, [each[name] for each in expected], err_msg=name)


def test_list_metrics_match_their_definitions(world):
    lists, _, num_items, degrees = world
    ks = [1, 4, 12]
    found = list_metrics(padded(lists, 12), ks, num_items, np.array(degrees))
    expected = {}
    for k in ks:
        expected |= lists_by_definition(lists, k, num_items, degrees)
    assert found == pytest.approx(expected)
    assert all(type(value) is float for value in found.values()), "JSON needs Python numbers"


def test_metrics_of_one_user_by_hand():
    """Hits at ranks 2 and 4, five relevant items."""
    found = metrics_per_user(
        np.array([[9, 1, 8, 2]]), np.array([0]), rows_of([{1, 2, 3, 4, 5}], 10), [1, 2, 4]
    )
    of_user = {name: float(values[0]) for name, values in found.items()}
    assert of_user["precision@1"] == of_user["mrr@1"] == of_user["map@1"] == 0
    assert of_user["precision@2"] == 0.5 and of_user["precision@4"] == 0.5
    assert of_user["mrr@2"] == of_user["mrr@4"] == 0.5, "the first hit counts"
    assert of_user["map@2"] == pytest.approx((1 / 2) / 2)
    assert of_user["map@4"] == pytest.approx((1 / 2 + 2 / 4) / 4), "min(K, |T|) is 4, not 5"
    assert of_user["recall@4"] == 2 / 5


def test_a_short_list_has_the_precision_of_a_full_one():
    found = metrics_per_user(padded([[3]], 5), np.array([0]), rows_of([{3}], 4))
    assert found["precision@5"].tolist() == [0.2]
    assert found["map@5"].tolist() == found["mrr@5"].tolist() == [1.0]


def test_metrics_at_a_k_do_not_depend_on_the_other_k(world):
    lists, relevant, num_items, _ = world
    rows, users = rows_of(relevant, num_items), np.arange(len(lists))
    alone = metrics_per_user(padded(lists, 12)[:, :5], users, rows)
    together = metrics_per_user(padded(lists, 12), users, rows, [2, 5, 12])
    for name, values in alone.items():
        np.testing.assert_array_equal(values, together[name])


def test_a_k_beyond_the_lists_is_an_error():
    with pytest.raises(ValueError, match="metrics at 3 need lists of as many places, not 2"):
        metrics_per_user(np.array([[0, 1]]), np.array([0]), rows_of([{0}], 2), [1, 3])


def test_list_metrics_by_hand():
    """Five items; the first places hold item 0 three times and item 1 once."""
    top = np.array([[0, 1], [0, 2], [0, NO_ITEM], [1, 0]])
    found = list_metrics(top, [1, 2], 5, np.array([10, 4, 1, 7, 100]))
    assert found["coverage@1"] == 2 / 5 and found["coverage@2"] == 3 / 5
    # Sorted counts 0, 0, 0, 1, 3 with weights -4, -2, 0, 2, 4.
    assert found["gini@1"] == pytest.approx((2 * 1 + 4 * 3) / (5 * 4))
    # Sorted counts 0, 0, 1, 2, 4.
    assert found["gini@2"] == pytest.approx((2 * 2 + 4 * 4) / (5 * 7))
    assert found["popularity@1"] == (10 + 10 + 10 + 4) / 4
    assert found["popularity@2"] == (7 + 5.5 + 10 + 7) / 4, "padding is no item"


def test_gini_is_0_for_equal_counts_and_nearly_1_for_a_single_item():
    assert gini(np.array([3, 3, 3])) == 0
    assert gini(np.array([0, 8, 0, 0])) == 0.75
    assert gini(np.zeros(4, np.int64)) == 0


def test_lists_without_an_item_have_no_metrics():
    found = list_metrics(np.full((2, 3), NO_ITEM), [3], 4, np.ones(4, np.int64))
    assert found == {"coverage@3": 0.0, "gini@3": 0.0, "popularity@3": 0.0}
