"""Numbers that the authors' own LightGCN program produced on a toy graph.

They are stored outside the repository; without them these tests are skipped. test_choices.py checks
the same equations, with the same settings, against NumPy. Everything is computed by public classes,
built from flags/original.flags except for the toy's sizes.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from recns_tf.config.distributions import Distribution
from recns_tf.evaluation import ranking
from recns_tf.interactions import make_interactions, to_rows
from recns_tf.ops import random
from recns_tf.samplers.base import Choice
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.recns_o import PositiveAssisted
from recns_tf.samplers.recns_w import pick_exposed
from tests.conftest import SHARED, members
from tests.original.test_choices import build_original

PATH = SHARED / "golden" / "original-lightgcn.npz"
NUM_USERS, NUM_ITEMS = SHAPE = (40, 60)
ADJACENCIES = {"norm": "row", "pre": "symmetric"}
pytestmark = pytest.mark.skipif(not PATH.exists(), reason=f"{PATH} is absent")


@pytest.fixture(scope="module")
def everything():
    with np.load(PATH) as file:
        return dict(file)


@pytest.fixture(scope="module", params=ADJACENCIES)
def golden(request, everything):
    """The entries of one adjacency, and those of both."""
    own = {name: value for name, value in everything.items() if "/" not in name}
    prefix = f"{request.param}/"
    own |= {n.removeprefix(prefix): v for n, v in everything.items() if n.startswith(prefix)}
    return own | {"adjacency": ADJACENCIES[request.param]}


@pytest.fixture
def model(golden):
    interactions = make_interactions(
        "golden",
        train=golden["train"],
        valid=np.zeros((0, 2), int),
        test=golden["test"],
        exposed=golden["exposed"],
        user_ids=np.arange(NUM_USERS),
        item_ids=np.arange(NUM_ITEMS),
        source={},
    )
    model = build_original(
        interactions,
        adjacency=golden["adjacency"],
        dim=16,
        num_negatives=5,
        num_candidates=8,
        batch_size=32,
        stale_scores=False,
    )
    model.encoder.nodes.assign(np.concatenate([golden["user0"], golden["item0"]]))
    return model


@pytest.fixture
def batch(golden):
    parts = ("users", "positives", "candidates", "exposed_candidates")
    return Batch(*(tf.constant(golden[part]) for part in parts), random.root(0))


@pytest.fixture
def choose_theirs(model, golden):
    """Make the sampler choose the negatives of the authors' program."""
    ids = np.concatenate([golden["negatives"], golden["exposed_negative"][:, None]], axis=1)
    names = type(model.sampler).statistics
    choice = Choice(tf.constant(ids), dict.fromkeys(names, tf.constant(0.0)))
    model.sampler.choose = lambda batch, tables, seed: choice


def test_final_embeddings(golden, model):
    user, item = model.encoder.embeddings()
    np.testing.assert_allclose(user, golden["final_user"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(item, golden["final_item"], rtol=1e-5, atol=1e-8)


def test_scores_of_the_candidates(golden, model, batch):
    tables = model.encoder.encode(False)
    for vectors, name in (
        (tables.users(batch.users), "user"),
        (tables.items(batch.positives), "positive"),
    ):
        result = tables.products(vectors, batch.candidates)
        np.testing.assert_allclose(result, golden[f"score_{name}"], rtol=1e-5, atol=1e-7)


def test_exposed_items_picked_with_the_given_factors(golden, model, batch, monkeypatch):
    module = "recns_tf.samplers.recns_w.amplification"
    monkeypatch.setattr(module, lambda exposed, candidates: tf.constant(golden["beta"]))
    tables = model.encoder.encode(False)
    score = tables.products(tables.users(batch.users), batch.exposed)
    np.testing.assert_allclose(
        tf.sigmoid(golden["beta"] * score), golden["exposed_prob"], rtol=1e-5
    )
    place = golden["exposed_pick"]
    expected = golden["exposed_candidates"][np.arange(len(place)), place]
    np.testing.assert_array_equal(pick_exposed(batch, tables, 1).ids[:, 0], expected)


def test_distribution_of_the_drawn_candidates(golden, model):
    """The counts fit our distribution, and are less likely under eq. (7) by a factor of e^10."""
    user, positive = (tf.constant(golden[f"score_{name}"]) for name in ("user", "positive"))
    counts = golden["draw_counts"]

    def distribution(sampler):
        """Return the mean over α of the probabilities."""
        alpha = tf.random.stateless_uniform([5_000, *user.shape], [1, 2])
        weights = sampler.log_weights(user[None], positive[None], alpha)
        return tf.reduce_mean(tf.nn.softmax(weights), axis=0).numpy()

    ours = distribution(model.sampler.assisted)
    expected = ours * counts.sum(axis=1, keepdims=True)
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, counts.size - len(counts)) > 1e-3
    other = distribution(PositiveAssisted(5, Distribution("uniform", 0.0, 1.0)))
    assert (counts * (np.log(ours) - np.log(other))).sum() > 10


def test_the_merged_negatives(golden, model, choose_theirs):
    tables = model.encoder.encode(False)
    ids = np.concatenate([golden["negatives"], golden["exposed_negative"][:, None]], axis=1)
    merged = model.sampler.merge_chosen(tables.items(tf.constant(ids)))
    # Terms up to 0.4 may cancel; float32 has steps of 3e-8 there.
    np.testing.assert_allclose(merged, golden["merged"], rtol=1e-5, atol=6e-8)


def test_loss_parts_and_gradient(golden, model, batch, choose_theirs):
    with tf.GradientTape() as tape:
        values = model.compute(batch)
    for name, entry in (("loss", "loss"), ("ranking_loss", "hinge"), ("penalty", "l2")):
        assert float(values[name]) == pytest.approx(float(golden[entry]), rel=1e-5)
    gradient = tf.convert_to_tensor(tape.gradient(values["loss"], model.encoder.nodes.value))
    expected = np.concatenate([golden["grad_user"], golden["grad_item"]])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6 * scale)


def test_five_steps_of_adam(golden, model, batch, choose_theirs):
    losses = []
    for _ in range(5):
        losses.append(float(model.compute(batch)["loss"]))
        model.train_step(batch)
    np.testing.assert_allclose(losses, golden["losses5"], rtol=1e-5)
    expected = np.concatenate([golden["user5"], golden["item5"]])
    np.testing.assert_allclose(model.encoder.nodes, expected, rtol=1e-5, atol=1e-6)


def test_the_region_of_khop_3(everything):
    train = to_rows(everything["train"], SHAPE)
    ours = np.argwhere(members(train, "intermediate", 3, "walk"))
    theirs = everything["region3"][np.lexsort(everything["region3"].T[::-1])]
    np.testing.assert_array_equal(ours, theirs)


def test_the_metrics(everything):
    train, test = (to_rows(everything[name], SHAPE) for name in ("train", "test"))
    result = ranking.evaluate(everything["eval_user"], everything["eval_item"], test, train)
    ours = [result[name] for name in ("recall@20", "ndcg@20", "hr@20")]
    np.testing.assert_allclose(ours, everything["eval"], rtol=1e-6)
