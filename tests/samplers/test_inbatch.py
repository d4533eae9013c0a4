import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import losses
from recns_tf.config.config import Config
from recns_tf.encoders.tables import FullTables
from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions
from recns_tf.ops import random
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.inbatch import InBatch, log_probabilities
from recns_tf.training.build import build
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

RNG = np.random.default_rng(5)
POSITIVES = [[0, 1, 2], [1, 3], [4], [5, 0], [6]]
NUM_ITEMS = 9
POOL = worlds.unobserved(POSITIVES, NUM_ITEMS)
PAIRS = np.array([[0, 0], [0, 2], [1, 1], [2, 4], [3, 0], [4, 6], [1, 3]])
"""User 0 has the items 0 and 2 of two pairs and item 1 of another; item 0 occurs twice."""
USER, ITEM = RNG.normal(size=(5, 3)), RNG.normal(size=(NUM_ITEMS, 3))
TABLES = worlds.tables(USER, ITEM)
LOG_Q = np.log(RNG.dirichlet(np.ones(NUM_ITEMS))).astype(np.float32)


def batch_of(pairs, seed=1):
    users, positives = tf.unstack(tf.constant(pairs, tf.int32), axis=1)
    empty = tf.zeros([len(pairs), 0], tf.int32)
    return Batch(users, positives, empty, empty, tf.constant([seed, 5], tf.int64))


def expected_loss(keep_hits, pairs=PAIRS, *, temperature=0.5, correction=0.0):
    """Return the in-batch softmax, pair by pair, with q_j^-correction copies of a negative."""
    total = 0.0
    for row, (user, item) in enumerate(pairs):
        positive = np.exp(USER[user] @ ITEM[item] / temperature)
        others = 0.0
        for column, (_, other) in enumerate(pairs):
            if column != row and (keep_hits or other not in POSITIVES[user]):
                weight = np.exp(USER[user] @ ITEM[other] / temperature)
                others += weight / np.exp(LOG_Q[other]) ** correction
        total -= np.log(positive / (positive + others))
    return total / len(pairs)


def loss_of(sampler, pairs=PAIRS, *, temperature=0.5):
    found = worlds.sample(sampler, batch_of(pairs), TABLES)
    scores = found.scores if found.shift is None else found.scores + found.shift
    kept = tf.constant(found.kept)
    return float(losses.softmax(
        tf.constant(found.positive_scores), scores, 0.1, temperature=temperature, kept=kept
    ))  # fmt: skip


class KeepsItself(InBatch):
    """Wrong: the pair's own positive is a negative."""

    def kept(self, own, whole, start):
        return tf.ones([tf.size(own.users), tf.size(whole.users)], tf.bool)


class SameItemOnly(InBatch):
    """Wrong: other train positives of the user are negatives."""

    def kept(self, own, whole, start):
        return own.positives[:, None] != whole.positives


class OfTheOtherUser(InBatch):
    """Wrong: hits are found among the positives of the other pair's user."""

    def kept(self, own, whole, start):
        return tf.transpose(super().kept(own, whole, start))


class Transposed(InBatch):
    """Wrong: the scores of the other users with the pair's positive."""

    def sample(self, batch, tables, seed):
        found = super().sample(batch, tables, seed)
        return found._replace(scores=tf.transpose(found.scores))


class Added(InBatch):
    """Wrong: log q is added."""

    def sample(self, batch, tables, seed):
        found = super().sample(batch, tables, seed)
        return found._replace(shift=-found.shift)


class ByUserOfTheRow(InBatch):
    """Wrong: log q of the positive of the row."""

    def sample(self, batch, tables, seed):
        found = super().sample(batch, tables, seed)
        return found._replace(shift=found.shift[:, None])


@pytest.mark.parametrize("keep_hits", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("implementation", ["numba", "tensorflow"], indirect=True)
def test_the_loss_is_that_of_each_pair_with_the_others(keep_hits, temperature, implementation):
    value = loss_of(InBatch(POOL, keep_hits=keep_hits), temperature=temperature)
    assert value == pytest.approx(expected_loss(keep_hits, temperature=temperature), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "keep_hits"),
    [(OfTheOtherUser, False)]
    + [(each, hits) for each in (KeepsItself, SameItemOnly, Transposed) for hits in (False, True)],
)
def test_wrong_versions_have_another_loss(wrong, keep_hits):
    value = loss_of(wrong(POOL, keep_hits=keep_hits))
    assert value != pytest.approx(expected_loss(keep_hits), rel=1e-3)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_log_q_is_subtracted_after_the_division_by_the_temperature(temperature):
    sampler = InBatch(POOL, log_q=temperature * LOG_Q)
    expected = expected_loss(False, temperature=temperature, correction=1.0)
    assert loss_of(sampler, temperature=temperature) == pytest.approx(expected, rel=1e-5)
    for wrong in (InBatch(POOL, log_q=LOG_Q), InBatch(POOL), Added(POOL, log_q=sampler.log_q),
                  ByUserOfTheRow(POOL, log_q=sampler.log_q)):  # fmt: skip
        assert loss_of(wrong, temperature=temperature) != pytest.approx(expected, rel=1e-3)


def test_the_scores_reported_are_not_corrected():
    found = worlds.sample(InBatch(POOL, log_q=LOG_Q), batch_of(PAIRS), TABLES)
    np.testing.assert_allclose(found.scores, USER[PAIRS[:, 0]] @ ITEM[PAIRS[:, 1]].T, rtol=1e-5)
    np.testing.assert_allclose(found.shift, -LOG_Q[PAIRS[:, 1]])
    own = (USER[PAIRS[:, 0]] * ITEM[PAIRS[:, 1]]).sum(axis=1)
    np.testing.assert_allclose(found.positive_scores, own, rtol=1e-5)
    # Of 7 pairs: 7, and for user 0 less items 0, 2, 1, 0; and so on.
    mean = np.mean([3, 3, 5, 6, 5, 6, 5])
    assert found.statistics["negatives_kept"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("loss", "temperature", "scale"),
    [("softmax", 0.25, 0.25), ("bsl", 0.5, 0.5), ("bpr", 0.25, 1.0), ("kpair", 0.25, 1.0)],
)
def test_log_q_is_scaled_for_losses_with_a_temperature(toy, loss, temperature, scale):
    config = Config(sampler="inbatch", inbatch_logq=True, loss=loss, temperature=temperature)
    sampler = InBatch.from_settings(config, SamplerContext(toy, POOL, 8))
    share = toy.train.toarray().sum(axis=0) / toy.train.nnz
    found = sampler.log_q.numpy()
    np.testing.assert_allclose(found[share > 0], scale * np.log(share[share > 0]), rtol=1e-5)
    assert (found[share == 0] == 0).all()
    without = Config(sampler="inbatch")
    assert InBatch.from_settings(without, SamplerContext(toy, POOL, 8)).log_q is None


@pytest.mark.parametrize("pair_sampling", ["edges", "filled", "users"])
def test_q_is_how_often_an_item_is_a_positive(toy, pair_sampling):
    """Against the pairs of the pipeline, over many epochs."""
    config = Config(
        sampler="inbatch", encoder="mf", dim=8, batch_size=16, pair_sampling=pair_sampling
    )
    _, pipeline, _ = build(config, toy)
    batches = pipeline.batches().take(40 * pipeline.steps_per_epoch)
    drawn = np.concatenate([batch.positives.numpy() for batch in batches])
    counts = np.bincount(drawn, minlength=toy.num_items)
    log_q = log_probabilities(toy, by_user=pair_sampling == "users")
    there = toy.train.toarray().any(axis=0)
    assert np.exp(log_q[there]).sum() == pytest.approx(1, abs=1e-5) and not log_q[~there].any()
    other = log_probabilities(toy, by_user=pair_sampling != "users")
    if pair_sampling == "users":
        assert chi_square(counts[there], np.exp(log_q[there])) > 1e-3
    else:  # Each pair once per epoch: less than chance varies.
        np.testing.assert_allclose(counts / counts.sum(), np.exp(log_q) * there, atol=2e-3)
    assert chi_square(counts[there], np.exp(other[there])) < 1e-6


def test_users_with_every_item_are_in_no_pair():
    rows = np.zeros((3, 4), bool)
    rows[0], rows[1, :2], rows[2, 0] = True, True, True
    no_pairs = np.zeros((0, 2))
    data = make_interactions(
        "full",
        train=np.argwhere(rows),
        valid=no_pairs,
        test=no_pairs,
        exposed=no_pairs,
        user_ids=np.arange(3),
        item_ids=np.arange(4),
        source={},
    )
    np.testing.assert_allclose(
        np.exp(log_probabilities(data, by_user=False)), [2 / 3, 1 / 3, 1, 1], rtol=1e-6
    )
    np.testing.assert_allclose(
        np.exp(log_probabilities(data, by_user=True)), [3 / 4, 1 / 4, 1, 1], rtol=1e-6
    )


class FirstShown(InBatch):
    """Wrong: the statistics always see the pair's first negative."""

    def shown(self, whole, kept, start, seed):
        column = tf.argmax(tf.cast(kept, tf.int8), axis=1)
        return tf.gather(whole.positives, column)[:, None]


class Rotated(InBatch):
    """Wrong: the first negative from a random column on, which prefers those after hits."""

    def shown(self, whole, kept, start, seed):
        size = tf.shape(kept)[1]
        first = random.integers(seed, size, [tf.shape(kept)[0]])
        order = (first[:, None] + tf.range(size)) % size
        there = tf.cast(tf.gather(kept, order, batch_dims=1), tf.int8)
        column = tf.gather(order, tf.argmax(there, axis=1), batch_dims=1)
        return tf.gather(whole.positives, column)[:, None]


def shown_counts(sampler_class):
    """Return how often each item of the batch is shown for the pair (0, 0)."""
    batch, sampler = batch_of(PAIRS), sampler_class(POOL)
    kept = sampler.kept(batch, batch, tf.constant(0))[:1]
    ids = sampler.shown(batch, tf.tile(kept, [20_000, 1]), tf.constant(0), batch.seed)
    return np.bincount(ids.numpy().ravel(), minlength=NUM_ITEMS)


SHOWN = np.isin(np.arange(NUM_ITEMS), [4, 6, 3]).astype(float)
"""Of the other positives 2, 1, 4, 0, 6, 3, user 0 has 0, 1 and 2."""


def test_the_statistics_see_each_negative_equally_often():
    counts = shown_counts(InBatch)
    assert not counts[SHOWN == 0].any()
    assert chi_square(counts, SHOWN) > 1e-3


@pytest.mark.parametrize("wrong", [FirstShown, Rotated])
def test_wrong_choices_of_the_shown_differ(wrong):
    assert chi_square(shown_counts(wrong), SHOWN) < 1e-6


@pytest.mark.parametrize("keep_hits", [False, True])
def test_a_batch_of_one_pair_has_the_loss_0(keep_hits):
    sampler = InBatch(POOL, keep_hits=keep_hits)
    assert loss_of(sampler, PAIRS[:1]) == 0
    found = worlds.sample(sampler, batch_of(PAIRS[:1]), TABLES)
    assert found.ids.tolist() == [[0]] and not found.kept.any()


@pytest.mark.parametrize("start", [0, 2, 5])
def test_a_share_has_the_rows_of_the_whole(start):
    sampler, whole = InBatch(POOL, log_q=LOG_Q), batch_of(PAIRS)
    for keep_hits in (False, True):
        sampler.keep_hits = keep_hits
        found = sampler.sample(whole, TABLES, whole.seed)
        own = batch_of(PAIRS[start:])
        share = sampler.sample_share(own, whole, tf.constant(start), TABLES, whole.seed)
        np.testing.assert_allclose(share.scores, found.scores[start:], rtol=1e-6)
        np.testing.assert_array_equal(share.kept, found.kept[start:])
        np.testing.assert_allclose(share.positive_scores, found.positive_scores[start:], rtol=1e-6)
        np.testing.assert_array_equal(share.shift, found.shift)


def test_gradients_flow_to_users_and_items():
    user, item = tf.constant(USER, tf.float32), tf.constant(ITEM, tf.float32)
    batch = batch_of(PAIRS)
    with tf.GradientTape() as tape:
        tape.watch([user, item])
        found = InBatch(POOL).sample(batch, FullTables(user, item), batch.seed)
        value = losses.softmax(found.positive_scores, found.scores, 0.1, kept=found.kept)
    gradients = [tf.convert_to_tensor(each).numpy() for each in tape.gradient(value, [user, item])]
    for table, gradient in ((USER, gradients[0]), (ITEM, gradients[1])):
        for place in np.ndindex(table.shape):
            values = []
            for step in (1e-4, -1e-4):
                table[place] += step
                values.append(expected_loss(False, temperature=1.0))
                table[place] -= step
            found = (values[0] - values[1]) / 2e-4
            assert gradient[place] == pytest.approx(found, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("scope", ["own", "final"])
def test_the_penalty_covers_users_and_positives(toy, toy_config, scope):
    config = dataclasses.replace(
        toy_config, sampler="inbatch", encoder="lightgcn", l2=0.5, l2_scope=scope, scores="cosine"
    )
    model, pipeline, _ = build(config, toy)
    batch = next(iter(pipeline.batches()))
    user, item = model.encoder.embeddings()
    if scope == "own":
        user, item = np.split(model.encoder.nodes.numpy(), [toy.num_users])
    rows = np.concatenate([user[batch.users.numpy()], item[batch.positives.numpy()]])
    expected = 0.5 * 0.5 * (rows**2).sum() / len(batch.users)
    assert float(model.compute(batch)["penalty"]) == pytest.approx(expected, rel=1e-5)


def test_a_region_without_the_hits_cannot_keep_them(toy, toy_config):
    config = dataclasses.replace(
        toy_config, sampler="inbatch", inbatch_hits="keep", region="intermediate"
    )
    with pytest.raises(UserError, match=r"^--inbatch_hits=keep: choose --inbatch_hits=mask with "):
        build(config, toy)


def own_loss(positive, negative, margin):
    return tf.reduce_mean(negative - positive[:, None] + margin)


def test_a_loss_that_cannot_leave_out_negatives_is_refused(toy, toy_config):
    config = dataclasses.replace(toy_config, sampler="inbatch", loss=f"{__name__}:own_loss")
    with pytest.raises(UserError, match=r"cannot leave out negatives, as --sampler=inbatch needs"):
        build(config, toy)
