"""Metrics within the shown items against their definitions, pair by pair and order by order."""

import itertools
import math
import random

import numpy as np
import pytest

from recns_tf.evaluation.ranking import evaluate_part
from recns_tf.evaluation.shown_metrics import (
    rank_metrics,
    scores_of,
    shown_metrics,
    shown_metrics_per_user,
)
from recns_tf.interactions import Interactions, to_rows


def auc_by_pairs(positives, negatives):
    """Return the AUC of scores by its definition, in plain Python."""
    wins = [(one > other) + (one == other) / 2 for one in positives for other in negatives]
    return sum(wins) / len(wins)


def ndcg_by_orders(positives, negatives):
    """Return the mean NDCG over all orders of the items that no score contradicts."""
    items = [(score, True) for score in positives] + [(score, False) for score in negatives]
    gains = []
    for order in itertools.permutations(items):
        if all(one[0] >= other[0] for one, other in itertools.pairwise(order)):
            ranks = [rank for rank, (_, relevant) in enumerate(order, 1) if relevant]
            gains.append(sum(1 / math.log2(rank + 1) for rank in ranks))
    best = sum(1 / math.log2(rank + 1) for rank in range(1, len(positives) + 1))
    return sum(gains) / len(gains) / best


@pytest.fixture(params=range(4))
def rankings(request):
    """Scores of 12 rankings, positives and negatives; few different ones, so that many are tied."""
    draw = random.Random(request.param)
    return [
        tuple([draw.randrange(4) for _ in range(draw.randint(1, 3))] for _ in range(2))
        for _ in range(12)
    ]


def flat(rankings):
    """Return the arguments of rank_metrics, with the items in an order of no meaning."""
    rows = [
        (row, score, relevant)
        for row, parts in enumerate(rankings)
        for relevant, scores in zip((True, False), parts, strict=True)
        for score in scores
    ]
    random.Random(0).shuffle(rows)
    row, score, relevant = zip(*rows, strict=True)
    return np.array(row), np.array(score, float), np.array(relevant), len(rankings)


def test_both_metrics_follow_their_definitions(rankings):
    auc, ndcg = rank_metrics(*flat(rankings))
    np.testing.assert_allclose(auc, [auc_by_pairs(*each) for each in rankings], rtol=1e-12)
    np.testing.assert_allclose(ndcg, [ndcg_by_orders(*each) for each in rankings], rtol=1e-12)


def test_a_perfect_and_a_reversed_ranking():
    perfect, reversed_ = ([3, 2], [1, 0, 0]), ([0], [1, 2])
    auc, ndcg = rank_metrics(*flat([perfect, reversed_]))
    np.testing.assert_allclose(auc, [1, 0])
    np.testing.assert_allclose(ndcg, [1, 1 / 2])  # the last of three: 1 / log2(4)


@pytest.fixture
def data():
    """User 0 has two shown items beside a positive; 1 has no exposure, 2 no test positive.

    Item 5 is exposed to user 0, and also a test positive; item 4 is, and a validation positive.
    """
    shape = (3, 6)

    def rows(*pairs):
        return to_rows(np.array(pairs), shape)

    return Interactions(
        name="shown",
        train=rows([0, 0], [1, 0], [2, 0]),
        valid=rows([0, 4]),
        test=rows([0, 1], [0, 5], [1, 1]),
        exposed=rows([1, 3]),
        test_exposed=rows([0, 2], [0, 3], [0, 4], [0, 5], [2, 1]),
        user_ids=np.arange(3),
        item_ids=np.arange(6),
        source={},
    )


EMBEDDINGS = (
    np.ones((3, 1), np.float32),
    np.array([[9], [2], [1], [3], [9], [4]], np.float32),  # the scores of items 0 to 5
)


def test_only_held_out_items_of_users_with_both_kinds_count(data):
    found = shown_metrics_per_user(EMBEDDINGS, data)
    # Positives 1 and 5 with scores 2 and 4, exposures 2 and 3 with scores 1 and 3.
    np.testing.assert_allclose(found["shown_auc"], [auc_by_pairs([2, 4], [1, 3])])
    np.testing.assert_allclose(found["shown_ndcg"], [ndcg_by_orders([2, 4], [1, 3])])
    assert shown_metrics(EMBEDDINGS, data)["shown_users"] == 1


def test_the_test_part_has_them_and_validation_has_not(data):
    assert evaluate_part(*EMBEDDINGS, data, "test", 2)["shown_auc"] == 0.75
    assert "shown_auc" not in evaluate_part(*EMBEDDINGS, data, "valid", 2)


def test_they_are_zero_without_users_and_missing_without_held_out_exposures(data):
    fields = {name: getattr(data, name) for name in ("train", "valid", "test", "exposed")}
    rest = {"name": "none", "user_ids": data.user_ids, "item_ids": data.item_ids, "source": {}}
    assert shown_metrics(EMBEDDINGS, Interactions(**fields, **rest)) == {}
    lone = Interactions(**fields, **rest, test_exposed=to_rows(np.array([[2, 1]]), (3, 6)))
    assert shown_metrics(EMBEDDINGS, lone) == {
        "shown_auc": 0.0,
        "shown_ndcg": 0.0,
        "shown_users": 0,
    }


def test_scores_are_inner_products_in_every_chunk(monkeypatch):
    monkeypatch.setattr("recns_tf.evaluation.shown_metrics.CHUNK", 3)
    draw = np.random.default_rng(0)
    user, item = draw.normal(size=(4, 5)), draw.normal(size=(6, 5))
    users, items = draw.integers(4, size=8), draw.integers(6, size=8)
    expected = (user @ item.T)[users, items]
    np.testing.assert_allclose(scores_of((user, item), users, items), expected, rtol=1e-6)
