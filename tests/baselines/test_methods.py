"""Baselines against their formulas, computed with loops and dense matrices."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf import datasets, registry
from recns_tf.baselines import item_knn, popular
from recns_tf.baselines.score_rows import evaluate
from recns_tf.baselines.settings import BaselineSettings, numbers
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs
from tests.conftest import make_toy


def similarities_in_loops(x, k, shrink, lists):
    """Return sim(i, j) of each item i and its neighbors j, 0 for others.

    Neighbor lists are sorted by (−similarity, item).
    """
    num_items = x.shape[1]
    similarity = np.zeros((num_items, num_items))
    for i in range(num_items):
        for j in range(num_items):
            common = np.sum(x[:, i] * x[:, j])
            if i != j and common:
                similarity[i, j] = common / (np.sqrt(x[:, i].sum() * x[:, j].sum()) + shrink)
    near = [sorted(range(num_items), key=lambda j, s=row: (-s[j], j))[:k] for row in similarity]
    found = np.zeros(similarity.shape)
    for i, j in np.ndindex(similarity.shape):
        if j in near[i] if lists == "scored" else i in near[j]:
            found[i, j] = similarity[i, j]
    return found


def knn_in_loops(x, k, shrink, lists):
    """Return ItemKNN scores."""
    similarity = similarities_in_loops(x, k, shrink, lists)
    scores = np.zeros(x.shape)
    for u, i, j in np.ndindex(len(x), *similarity.shape):
        scores[u, i] += x[u, j] * similarity[i, j]
    return scores


@pytest.mark.parametrize("lists", ["scored", "owned"])
def test_item_knn_matches_the_formula(lists):
    toy = make_toy(25, 20, density=0.3)
    settings = BaselineSettings(
        itemknn_neighbors="3,1,50", itemknn_shrink="2.5,0", itemknn_lists=lists
    )
    fits = list(item_knn.fits(toy.train, settings))
    assert [tuple(fit.settings.values()) for fit in fits] == [
        (k, shrink) for shrink in (0, 2.5) for k in (1, 3, 50)
    ]
    for fit in fits:
        k, shrink = fit.settings.values()
        expected = knn_in_loops(toy.train.toarray().astype(float), k, shrink, lists)
        np.testing.assert_allclose(fit.scores(np.arange(25)), expected, atol=1e-12)


@pytest.mark.parametrize("lists", ["scored", "owned"])
def test_item_knn_predicts_ratings_from_the_means_of_items(lists):
    toy = make_toy(25, 20, density=0.3)
    x = toy.train.toarray().astype(float)
    assert not x[:, 0].any(), "item 0 has no users and so no neighbors"
    settings = BaselineSettings(
        itemknn_neighbors="3", itemknn_shrink="0", itemknn_lists=lists, itemknn_scores="deviations"
    )
    (fit,) = item_knn.fits(toy.train, settings)
    means = [sum(x[:, i]) / 25 for i in range(20)]
    expected = np.zeros(x.shape)
    for i, near in enumerate(similarities_in_loops(x, 3, 0, lists)):
        total = sum(near)
        for u in range(25):
            shift = sum(near[j] * (x[u, j] - means[j]) for j in range(20))
            expected[u, i] = means[i] + (shift / total if total else 0)
    np.testing.assert_allclose(fit.scores(np.arange(25)), expected, atol=1e-12)
    np.testing.assert_allclose(fit.scores(np.array([7, 3])), expected[[7, 3]], atol=1e-12)


def test_block_size_does_not_change_the_neighbors(toy, monkeypatch):
    x = csr_array(toy.train.astype(float))
    whole = item_knn.neighbors(x, 1.0, 7)
    monkeypatch.setattr("recns_tf.evaluation.scored_lists.BLOCK_BYTES", 8 * 60 * 11)
    for one, other in zip(item_knn.neighbors(x, 1.0, 7), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("world", ["toy", "ml-100k"])
def test_most_popular_items_match_plain_python(world, toy, pytestconfig):
    """Counts are kept in a dictionary; ties go to the lower item."""
    data = toy
    if world == "ml-100k":
        folder = pytestconfig.rootpath / "data"
        if not (folder / "ml-100k").is_dir():
            pytest.skip("data/ml-100k is not there")
        data = datasets.load(Config(dataset="ml-100k"), folder)
    sets = {part: {} for part in ("train", "valid", "test")}
    count = {}
    for part, items_of in sets.items():
        for user, item in to_pairs(getattr(data, part)).tolist():
            items_of.setdefault(user, set()).add(item)
            if part == "train":
                count[item] = count.get(item, 0) + 1
    ranking = sorted(range(data.num_items), key=lambda item: (-count.get(item, 0), item))
    recalls = []
    for user, held_out in sets["test"].items():
        seen = sets["train"].get(user, set()) | sets["valid"].get(user, set())
        top = [item for item in ranking if item not in seen][:20]
        recalls.append(len(held_out & set(top)) / len(held_out))
    (fit,) = popular.fits(data.train, BaselineSettings())
    metrics, _ = evaluate(fit.scores, data.test, data.train + data.valid)
    assert metrics["recall@20"] == pytest.approx(np.mean(recalls))
    if world == "ml-100k":
        assert metrics["recall@20"] == pytest.approx(0.1794, abs=5e-5)


@pytest.mark.parametrize("name", registry.BASELINE_MODELS)
def test_scores_are_finite_and_reproducible(name, toy):
    """Contract: finite float64 scores for any users, the same in every call."""
    for fit in registry.BASELINE_MODELS[name].load()(toy.train, BaselineSettings()):
        scores = fit.scores(np.array([5, 0, 5]))
        assert scores.shape == (3, 60) and scores.dtype == np.float64
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores[0], scores[2])
        np.testing.assert_array_equal(scores, fit.scores(np.array([5, 0, 5])))


@pytest.mark.parametrize(
    "grid",
    [{"ease_l2": "0"}, {"ease_l2": ""}, {"itemknn_shrink": "-1"}, {"itemknn_neighbors": "0,5"}],
)
def test_malformed_grid_is_an_error(grid):
    (name,) = grid
    with pytest.raises(UserError, match=rf"--{name}=.*: choose (numbers|at most 100)"):
        BaselineSettings(**grid)


def test_integers_in_a_grid_stay_integers():
    assert [str(number) for number in numbers("10,0.5,1e3")] == ["10", "0.5", "1000"]
