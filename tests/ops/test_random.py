import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array
from scipy.stats import kstest

from recns_tf.config import distributions
from recns_tf.ops import kernels, random
from recns_tf.ops.item_sets import ComplementItems, ListedItems
from recns_tf.ops.random import Purpose
from tests import oracles
from tests.goodness_of_fit import chi_square, independence

NUM_ITEMS = 12
POSITIVES = np.zeros((3, NUM_ITEMS), dtype=bool)
POSITIVES[1, [0, 5, 6, 11]] = True
POSITIVES[2, [0, 1, 2, 3, 5, 7, 8, 10, 11]] = True
DRAWS = 200_000


def seed(n=1):
    return tf.constant([n, 7], tf.int32)


def draw(function, sets, user, n, rows, seed_number=1):
    """Call a draw inside a tf.function for `rows` copies of one user."""
    users = tf.fill([rows], user)
    return tf.function(lambda: function(sets, users, n, seed(seed_number)))().numpy()


@pytest.mark.parametrize("user", [0, 1, 2])
@pytest.mark.parametrize("form", ["listed", "complement"])
def test_draws_with_replacement_are_uniform_over_the_set(user, form):
    inside = ~POSITIVES
    sets = (
        ListedItems(csr_array(inside))
        if form == "listed"
        else ComplementItems(csr_array(POSITIVES))
    )
    items = draw(random.with_replacement, sets, user, 4, DRAWS // 4)
    counts = np.bincount(items.ravel(), minlength=NUM_ITEMS)
    assert chi_square(counts, inside[user]) > 1e-3
    assert chi_square(counts, np.ones(NUM_ITEMS)) < 1e-6 or user == 0, "no exclusion must fail"
    pair = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(pair, (items[:, 0], items[:, 1]), 1)
    np.add.at(pair, (items[:-1, 2], items[1:, 3]), 1)
    allowed = np.flatnonzero(inside[user])
    assert independence(pair[np.ix_(allowed, allowed)]) > 1e-3


@pytest.mark.parametrize("form", ["listed", "complement"])
def test_every_subset_is_equally_likely_without_replacement(form):
    inside = np.zeros((1, 9), dtype=bool)
    inside[0, [0, 2, 3, 5, 7, 8]] = True
    sets = (
        ListedItems(csr_array(inside)) if form == "listed" else ComplementItems(csr_array(~inside))
    )
    items = np.sort(draw(random.without_replacement, sets, 0, 3, 40_000), axis=1)
    subsets = list(itertools.combinations(np.flatnonzero(inside[0]), 3))
    drawn, counts = np.unique(items, axis=0, return_counts=True)
    observed = dict(zip(map(tuple, drawn.tolist()), counts, strict=True))
    assert set(observed) <= {tuple(int(v) for v in s) for s in subsets}
    assert chi_square([observed.get(tuple(map(int, s)), 0) for s in subsets], np.ones(20)) > 1e-3
    with_repeats = np.sort(draw(random.with_replacement, sets, 0, 3, 40_000), axis=1)
    assert (np.diff(with_repeats, axis=1) == 0).any(), "drawing with replacement must differ"


def test_drawing_a_whole_set_gives_a_permutation():
    sets = ListedItems(csr_array(np.ones((1, 5), dtype=bool)))
    items = draw(random.without_replacement, sets, 0, 5, 200)
    np.testing.assert_array_equal(np.sort(items, axis=1), np.tile(np.arange(5), (200, 1)))


def test_set_with_too_few_items_is_drawn_from_with_replacement():
    inside = np.zeros((2, 6), dtype=bool)
    inside[0, [1, 4]] = True
    inside[1] = True
    sets = ListedItems(csr_array(inside))
    items = draw(random.without_replacement, sets, 0, 5, 20_000)
    counts = np.bincount(items.ravel(), minlength=6)
    assert chi_square(counts, inside[0]) > 1e-3
    users = tf.constant([0, 1])
    mixed = random.without_replacement(sets, users, 5, seed()).numpy()
    assert set(mixed[0]) <= {1, 4}
    assert len(set(mixed[1])) == 5


def test_integers_are_uniform_for_every_bound():
    for bound in (1, 3, 7):
        values = random.integers(seed(bound), tf.constant(bound), [DRAWS]).numpy()
        assert chi_square(np.bincount(values, minlength=bound), np.ones(bound)) > 1e-3
    bounds = tf.constant([[2], [5]])
    values = random.integers(seed(), bounds, [2, 10_000]).numpy()
    assert values.max(axis=1).tolist() == [1, 4]


def test_integers_are_uniform_for_a_large_bound():
    """A float32 in [0, 1) has 2^23 values: some integers would get 36 of them, others 37."""
    bound = 227_410
    values = random.integers(seed(), tf.constant(bound), [4_000_000]).numpy()
    edges = np.ceil(np.arange(bound + 1) * (2**23 / bound))
    rich = np.diff(edges) == 37
    shares = [rich.sum(), bound - rich.sum()]
    observed = [rich[values].sum(), (~rich[values]).sum()]
    assert chi_square(observed, shares) > 1e-3
    uniform = np.random.default_rng(0).integers(0, 2**23, 4_000_000) / 2**23
    mutant = np.floor(uniform * bound).astype(int)
    assert chi_square([rich[mutant].sum(), (~rich[mutant]).sum()], shares) < 1e-6


def test_categorical_draws_follow_their_weights():
    weights = np.array([0.1, 0.0, 0.7, 0.2], dtype=np.float32)
    log_weights = tf.math.log(tf.tile(weights[None], [50_000, 1]))
    columns = random.categorical(log_weights, 4, seed()).numpy()
    counts = np.bincount(columns.ravel(), minlength=4)
    assert chi_square(counts, weights) > 1e-3
    assert chi_square(counts, np.exp(weights)) == pytest.approx(0, abs=1e-6), "softmax must fail"
    pair = np.zeros((4, 4))
    np.add.at(pair, (columns[:, 0], columns[:, 1]), 1)
    assert independence(pair[np.ix_([0, 2, 3], [0, 2, 3])]) > 1e-3


def test_categorical_draws_follow_tiny_weights():
    """e^-200 underflows in float32: weights must be scaled before they are exponentiated."""
    log_weights = np.array([-200.0, -201.0, -200.5], dtype=np.float32)
    columns = random.categorical(tf.tile(log_weights[None], [60_000, 1]), 1, seed()).numpy()
    expected = np.exp(log_weights + 200)
    assert chi_square(np.bincount(columns.ravel(), minlength=3), expected) > 1e-3


def test_columns_inverts_cumulative_weights():
    weights = np.array([[0, 1, 2, 0, 1, 0], [3, 0, 0, 0, 0, 0]], np.float32)
    uniform = np.array([[0, 0.24, 0.25, 0.74, 0.75, 0.999]] * 2, np.float32)
    chosen = kernels.columns(weights, uniform)
    np.testing.assert_array_equal(chosen, [[1, 1, 2, 2, 4, 4], [0] * 6])


def test_categorical_draws_stay_in_range_for_nan_weights():
    columns = random.categorical(tf.fill([1000, 3], np.nan), 2, seed()).numpy()
    assert ((columns >= 0) & (columns < 3)).all()


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("uniform(0,1)", "uniform", (0, 1)),
        ("uniform(-1, 0.5)", "uniform", (-1, 1.5)),
        ("normal(0,0.5)", "norm", (0, 0.5**0.5)),
        ("normal(2,1)", "norm", (2, 1)),
    ],
)
def test_sample_distribution_draws_the_named_distribution(text, name, arguments):
    values = random.sample_distribution(distributions.parse(text), [20_000], seed()).numpy()
    assert kstest(values, name, arguments).pvalue > 1e-3
    if name == "norm" and arguments[1] != 1:
        mutant = kstest(values, name, (arguments[0], arguments[1] ** 2)).pvalue
        assert mutant < 1e-6, "reading the second number as a standard deviation must fail"


def test_sample_distribution_of_a_number_is_constant():
    np.testing.assert_array_equal(
        random.sample_distribution(distributions.parse("0.25"), [2, 3], seed()), 0.25
    )


def test_no_two_purposes_share_a_seed():
    """All seeds of a run of 6 epochs of 5 steps, and the nodes of the tree above them."""
    root = random.root(3)
    nodes = {"root": root, "weights": random.stream(root, Purpose.WEIGHTS)}
    nodes |= {f"table {n}": random.stream(nodes["weights"], n) for n in range(6)}
    for epoch in range(6):
        trunk = nodes[f"epoch {epoch}"] = random.stream(root, Purpose.TRAINING, epoch)
        nodes[f"pairs {epoch}"] = random.stream(trunk, Purpose.PAIRS)
        for step in range(5):
            name = f"{epoch} {step}"
            node = nodes[name] = random.stream(trunk, Purpose.STEPS, step)
            for purpose in (Purpose.CANDIDATES, Purpose.EXPOSED, Purpose.ENCODER, Purpose.SAMPLER):
                nodes[f"{name} {purpose}"] = random.stream(node, purpose)
            sampler = nodes[f"{name} {Purpose.SAMPLER}"]
            for purpose in (Purpose.CHOICE, Purpose.ALPHA):
                nodes[f"{name} {purpose}"] = random.stream(sampler, purpose)
    assert len({tuple(node.numpy()) for node in nodes.values()}) == len(nodes)
    assert len({int(purpose) for purpose in Purpose}) == len(Purpose.__members__)


def test_streams_differ_by_branch_and_are_repeatable():
    streams = {
        tuple(random.stream(random.root(s), e, t).numpy())
        for s in range(3)
        for e in range(3)
        for t in range(3)
    }
    assert len(streams) == 27
    np.testing.assert_array_equal(
        random.stream(random.root(4), 1, 2), random.stream(random.stream(random.root(4), 1), 2)
    )


def test_integers_by_id_match_splitmix64():
    ids, bound, n = [0, 5, 2, 5], [1, 1000, 7, 2**31 - 1], 3
    first = tf.random.stateless_uniform(
        [], random.root(4), minval=None, maxval=None, dtype=tf.uint64
    )
    ours = random.integers_by_id(random.root(4), tf.constant(ids), tf.constant(bound), n).numpy()
    for row, (i, b) in enumerate(zip(ids, bound, strict=True)):
        for j in range(n):
            bits = oracles.splitmix64(int(first), n * i + j) >> 32
            assert ours[row, j] == bits * b >> 32


def test_splitmix64_oracle_matches_published_values():
    """The first numbers of java.util.SplittableRandom and of xoshiro's website for 1234567."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [oracles.splitmix64(1234567, n) for n in range(3)] == known
