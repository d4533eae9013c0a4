"""Final evaluation of a run: the items that rankings exclude."""

import dataclasses

import numpy as np
import pytest

from recns_tf.evaluation import ranking
from recns_tf.training.results import measure


@pytest.fixture
def lists(monkeypatch):
    """Collects the lists of every ranking, as a bool array [num_users, num_items] each."""
    found = []
    top_items = ranking.top_items

    def spy(users, items, chosen, *arguments, **options):
        top = top_items(users, items, chosen, *arguments, **options)
        listed = np.zeros((len(users), len(items)), bool)
        listed[np.repeat(chosen, top.shape[1]), top.ravel()] = True
        found.append(listed)
        return top

    monkeypatch.setattr(ranking, "top_items", spy)
    return found


def embed(scores):
    """Return embeddings with the given scores [U, I]."""
    return scores.astype(np.float32), np.eye(scores.shape[1], dtype=np.float32)


@pytest.mark.parametrize("ranker", ["faiss", "tensorflow"])
@pytest.mark.parametrize("depth", [0, 60])
def test_ranking_for_test_excludes_train_and_valid(toy, toy_config, lists, ranker, depth):
    train, valid, test = (rows.toarray() for rows in (toy.train, toy.valid, toy.test))
    config = dataclasses.replace(toy_config, ranker=ranker, ranking_depth=depth)
    metrics = measure(config, embed(3 * train + 3 * valid + test), toy, "test")
    (listed,) = lists
    assert not (listed & (train | valid)).any()
    assert metrics["recall@20"] == metrics["ndcg@20"] == 1


@pytest.mark.parametrize("ranker", ["faiss", "tensorflow"])
@pytest.mark.parametrize("depth", [0, 60])
def test_ranking_for_valid_excludes_train_only(toy, toy_config, lists, ranker, depth):
    train, valid, test = (rows.toarray() for rows in (toy.train, toy.valid, toy.test))
    config = dataclasses.replace(toy_config, ranker=ranker, ranking_depth=depth)
    metrics = measure(config, embed(3 * train + 2 * test + valid), toy, "valid")
    (listed,) = lists
    ranked = listed.any(axis=1)
    np.testing.assert_array_equal(ranked, valid.any(axis=1))
    assert not (listed & train).any()
    assert listed[ranked][(valid | test)[ranked]].all(), "valid and test items stay in the lists"
    assert metrics["recall@20"] == 1 and metrics["ndcg@20"] < 1, "test items come first"
