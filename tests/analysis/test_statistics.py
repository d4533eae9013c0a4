import numpy as np
import pytest

from recns_tf.analysis import statistics
from recns_tf.analysis.statistics import EXPOSED_RATIO, GINI, LEVELS, TOP_SHARE, ZHIHU, closeness
from recns_tf.interactions import make_interactions, to_pairs
from tests.conftest import make_toy
from tests.goodness_of_fit import chi_square

NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


def dense(data):
    held_out = (data.valid + data.test).toarray()
    return data.train.toarray(), held_out, data.exposed.toarray()


def all_pairs_auc(scores, positive, other):
    """Return the AUC over all pairs of a positive and another item, in loops."""
    wins = [
        float(scores[u, v] > scores[u, n]) + 0.5 * float(scores[u, v] == scores[u, n])
        for u in range(len(scores))
        for v in np.flatnonzero(positive[u])
        for n in np.flatnonzero(other[u])
    ]
    return np.mean(wins)


def test_degrees_gini_and_shares_match_brute_force(toy):
    train, held_out, exposed = dense(toy)
    positive = train | held_out
    figures = closeness(toy, with_svd=False)
    for kind, degrees in (("user", positive.sum(axis=1)), ("item", positive.sum(axis=0))):
        for name, level in LEVELS.items():
            assert figures[f"{kind} degree {name}"] == pytest.approx(np.quantile(degrees, level))
    degrees = positive.sum(axis=0).astype(int)
    apart = np.abs(degrees[:, None] - degrees[None, :]).sum()
    assert figures[GINI] == pytest.approx(apart / (2 * len(degrees) * degrees.sum()))
    assert figures[TOP_SHARE] == pytest.approx(degrees.max() / degrees.sum())
    assert figures[EXPOSED_RATIO] == pytest.approx(exposed.sum() / positive.sum())


def test_statistics_are_those_of_zhihu_and_the_aucs(toy):
    figures = closeness(toy, with_svd=False)
    assert list(ZHIHU) == list(figures)[: len(ZHIHU)]
    assert list(figures)[len(ZHIHU) :] == [
        "AUC of popularity against exposed",
        "AUC of popularity against unobserved",
    ]
    assert "AUC of SVD against exposed" in closeness(toy)


@pytest.mark.parametrize("scored", ["popularity", "SVD"])
def test_aucs_against_exposed_are_exact(monkeypatch, toy, scored):
    monkeypatch.setattr(statistics, "BLOCK_PAIRS", 100)
    train, held_out, exposed = dense(toy)
    if scored == "popularity":
        scores = np.broadcast_to(train.sum(axis=0), train.shape)
    else:
        left, values, right = np.linalg.svd(train.astype(float))
        scores = left[:, :32] * values[:32] @ right[:32]
    expected = all_pairs_auc(scores, held_out, exposed & ~held_out)
    assert closeness(toy)[f"AUC of {scored} against exposed"] == pytest.approx(expected)


def test_exposed_held_out_positives_are_not_compared_with():
    data = make_interactions(
        "x",
        train=np.array([[0, 0], [1, 1], [2, 1]]),
        valid=np.array([[0, 1]]),
        test=np.array([[0, 2]]),
        exposed=np.array([[0, 1], [0, 3]]),
        user_ids=np.arange(3),
        item_ids=np.arange(5),
        source={},
    )
    # Item 1 has two train positives, items 2 and 3 none: a win and a tie.
    assert closeness(data, with_svd=False)["AUC of popularity against exposed"] == 0.75


def test_sampled_auc_against_unobserved_is_close_to_the_full_auc():
    data = make_toy(300, 60, density=0.2, seed=3)
    train, held_out, exposed = dense(data)
    scores = np.broadcast_to(train.sum(axis=0), train.shape)
    unobserved = ~(train | held_out | exposed)
    weights = held_out.sum(axis=1)[:, None] * unobserved
    assert weights.sum() > 0
    per_user = [
        (held_out[u].sum(), all_pairs_auc(scores[[u]], held_out[[u]], unobserved[[u]]))
        for u in np.flatnonzero(held_out.any(axis=1))
    ]
    expected = np.average([a for _, a in per_user], weights=[n for n, _ in per_user])
    found = [
        closeness(data, with_svd=False, seed=seed)["AUC of popularity against unobserved"]
        for seed in range(8)
    ]
    assert np.mean(found) == pytest.approx(expected, abs=0.02)
    assert len(set(found)) > 1


def test_unobserved_items_are_drawn_uniformly(toy):
    observed = toy.train + toy.valid + toy.test + toy.exposed
    pairs = np.tile([[5, 0]], (20_000, 1))
    which, items = statistics.unobserved_of_each(pairs, observed, np.random.default_rng(0))
    np.testing.assert_array_equal(which, np.arange(len(pairs)))
    free = ~observed.toarray()[5]
    assert chi_square(np.bincount(items, minlength=toy.num_items), free.astype(float)) > 1e-3


def test_pairs_of_users_who_observed_every_item_are_dropped(toy):
    full = np.ones((2, 3), dtype=bool)
    full[1, 2] = False
    rows = type(toy.train)(full)
    pairs = np.array([[0, 1], [1, 0]])
    which, items = statistics.unobserved_of_each(pairs, rows, np.random.default_rng(0))
    assert which.tolist() == [1] and items.tolist() == [2]


def test_max_pairs_limits_the_pairs_and_the_seed_selects_them(monkeypatch):
    data = make_toy(200, 60)
    seen = []
    monkeypatch.setattr(
        statistics,
        "beside_each",
        lambda pairs, rows: (seen.append(pairs), (NO_PAIRS[:, 0],) * 2)[1],
    )
    for seed in (0, 0, 1):
        closeness(data, max_pairs=50, seed=seed, with_svd=False)
    held_out = {tuple(pair) for pair in to_pairs(data.valid + data.test)}
    assert all(len({tuple(p) for p in pairs} & held_out) == 50 for pairs in seen)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


def test_aucs_without_pairs_are_nan():
    data = make_toy(30, 20)
    alone = make_interactions(
        "x",
        train=to_pairs(data.train),
        valid=NO_PAIRS,
        test=NO_PAIRS,
        exposed=NO_PAIRS,
        user_ids=data.user_ids,
        item_ids=data.item_ids,
        source={},
    )
    figures = closeness(alone)
    assert all(np.isnan(figures[name]) for name in figures if name.startswith("AUC"))
    assert figures[EXPOSED_RATIO] == 0
