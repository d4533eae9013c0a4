"""SRNS: its choice from a memory, and the update of the memory."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from recns_tf.samplers import srns as srns_module
from recns_tf.samplers.base import assign_rows
from recns_tf.samplers.srns import SRNS
from tests.goodness_of_fit import chi_square
from tests.oracles import sigmoid
from tests.samplers import worlds

NUM_USERS, NUM_ITEMS, WIDTH = 3, 9, 2
RNG = np.random.default_rng(4)
USER = RNG.normal(size=(NUM_USERS, WIDTH))
ITEM = RNG.normal(size=(NUM_ITEMS, WIDTH))
TABLES = worlds.tables(USER, ITEM)
POSITIVES = [[0, 8], [3], []]
MEMORY = [3, 2, 7, 1, 6, 4]
PAST = RNG.normal(size=(5, NUM_USERS + NUM_ITEMS, WIDTH))


def make(k=1, positives=POSITIVES, memory=6, extra=4, **options):
    pool = worlds.unobserved(positives, NUM_ITEMS)
    shape = len(positives), NUM_ITEMS, WIDTH
    made = SRNS(k, pool, *shape, memory_size=memory, extra=extra, **options)
    made.begin_epoch(0, None)
    return made


def keep(sampler, past):
    for snapshot, nodes in zip(sampler.snapshots, past, strict=True):
        snapshot.assign(nodes)


def with_past(k=6, epoch=0, **options):
    """Return a sampler with a given memory of user 0, snapshots and epoch."""
    sampler = make(k, memory=len(MEMORY), **options)
    sampler.memory.assign(np.array([MEMORY] * NUM_USERS))
    keep(sampler, PAST)
    sampler.epoch.assign(epoch)
    return sampler


def past_gaps(epoch, user=0, positive=8, present_positive=False):
    rows = PAST[: min(epoch, len(PAST))]
    scores = np.einsum("td,tvd->tv", rows[:, user], rows[:, NUM_USERS:])
    other = USER[user] @ ITEM[positive] if present_positive else scores[:, [positive]]
    return scores[:, MEMORY] - other


def deviation_of(epoch):
    return np.std(sigmoid(past_gaps(epoch)), axis=0) if epoch else np.zeros(len(MEMORY))


def ranks(sampler):
    return worlds.sample(sampler, worlds.batch(1, positive=8), TABLES).ids[0]


def ranking(weight, deviation):
    gap = (ITEM[MEMORY] - ITEM[8]) @ USER[0]
    return np.array(MEMORY)[np.argsort(-(sigmoid(gap) + weight * deviation))]


def test_weight_0_takes_the_k_highest_scores_in_the_memory():
    score = ITEM @ USER[0]
    best = sorted(MEMORY, key=lambda item: -score[item])
    for k in (1, 4):
        sampler = with_past(k, epoch=5, weight=0.0)
        ids = worlds.sample(sampler, worlds.batch(2, positive=8), TABLES).ids
        assert ids.tolist() == [best[:k]] * 2
    outside = set(range(NUM_ITEMS)) - set(MEMORY)
    assert max(score[list(outside)]) > score[best[0]], "it is the memory that bounds the choice"


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [0, 1, 2, 5, 11])
def test_deviation_is_that_of_probabilities_after_past_epochs(epoch):
    sampler = with_past(epoch=epoch)
    batch = worlds.batch(2, positive=8, candidates=MEMORY)
    result = tf.function(lambda: sampler.deviation(batch, batch.candidates))().numpy()
    np.testing.assert_allclose(result, [deviation_of(epoch)] * 2, atol=1e-5)
    reported = worlds.sample(sampler, batch, TABLES).statistics["deviation"]
    assert reported == pytest.approx(deviation_of(epoch).mean(), abs=1e-5)
    if epoch > 1:
        mutants = {
            "raw scores": np.std(past_gaps(epoch), axis=0),
            "sample deviation": np.std(sigmoid(past_gaps(epoch)), axis=0, ddof=1),
            "today's positive": np.std(sigmoid(past_gaps(epoch, present_positive=True)), axis=0),
            "another user": np.std(sigmoid(past_gaps(epoch, user=1)), axis=0),
            "another positive": np.std(sigmoid(past_gaps(epoch, positive=0)), axis=0),
            "one row less": deviation_of(min(epoch, 5) - 1),
        }
        for name, wrong in mutants.items():
            assert np.abs(result[0] - wrong).max() > 1e-3, name


@pytest.mark.slow
def test_weight_of_the_deviation_grows_during_the_warmup():
    weight, warmup = 1.5, 4
    for epoch, ramp in ((0, 0.0), (2, 0.5), (8, 1.0)):
        ids = ranks(with_past(epoch=epoch, weight=weight, warmup=warmup))
        np.testing.assert_array_equal(ids, ranking(weight * ramp, deviation_of(epoch)))
        for wrong in {0.0, 0.5, 1.0, epoch / warmup} - {ramp} if epoch else ():
            assert not np.array_equal(ids, ranking(weight * wrong, deviation_of(epoch))), wrong
    ids = ranks(with_past(epoch=2, weight=weight, warmup=0))
    np.testing.assert_array_equal(ids, ranking(weight, deviation_of(2)))


@pytest.mark.slow
def test_varying_score_wins_with_a_large_weight():
    item = np.zeros((NUM_ITEMS, WIDTH))
    item[1, 0], item[2, 0] = 1.0, 0.9
    past = np.zeros((5, 1 + NUM_ITEMS, WIDTH))
    past[:, 0, 0] = past[:, 2, 0] = 1.0
    past[:, 3, 0] = [3, -3, 3, -3, 3]
    for weight, winner in ((0.0, 1), (0.01, 1), (5.0, 2)):
        sampler = make(positives=[[0]], memory=2, weight=weight, warmup=1)
        sampler.memory.assign([[1, 2]])
        keep(sampler, past)
        sampler.epoch.assign(5)
        tables = worlds.tables([[1.0, 0.0]], item)
        assert worlds.sample(sampler, worlds.batch(1), tables).ids == [[winner]]


FREE = [1, 2, 4, 6, 7]
SCORE = np.array([9.0, 0.3, -1.1, 9.0, 1.4, 9.0, 0.8, -0.4, 9.0])
HELD = [2, 6]


def renewal_law(temperature, sign=1.0, repeats_count=False):
    """P(first, second) by enumeration of both offers and of both sequential draws."""
    weight = np.exp(sign * SCORE / temperature)
    distribution = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for offers in itertools.product(FREE, repeat=2):
        items = [*HELD, *offers] if repeats_count else sorted({*HELD, *offers})
        total = weight[items].sum()
        for one, other in itertools.permutations(range(len(items)), 2):
            a, b = items[one], items[other]
            share = weight[a] / total * weight[b] / (total - weight[a])
            distribution[a, b] += share / len(FREE) ** 2
    return distribution


def renewals(temperature):
    positives = [[v for v in range(NUM_ITEMS) if v not in FREE]]
    sampler = make(positives=positives, memory=2, extra=2, temperature=temperature)
    sampler.memory.assign([HELD])
    tables = worlds.tables([[1.0, 0.0]], np.stack([SCORE, 0 * SCORE], axis=1))
    kept = worlds.sample(sampler, worlds.batch(200_000), tables).feedback
    counts = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(counts, (kept[:, 0], kept[:, 1]), 1)
    return counts


@pytest.mark.slow
def test_memory_is_updated_by_sequential_draws():
    counts = renewals(0.7)
    assert chi_square(counts, renewal_law(0.7)) > 1e-3
    mutants = {
        "another temperature": renewal_law(1.0),
        "no temperature": renewal_law(np.inf),
        "softmax of -s": renewal_law(0.7, sign=-1.0),
        "a repeated item has two chances": renewal_law(0.7, repeats_count=True),
    }
    for name, distribution in mutants.items():
        assert chi_square(counts, distribution) < 1e-6, name
    assert chi_square(renewals(1e6), renewal_law(np.inf)) > 1e-3, "all are equal where it is hot"


def test_memory_has_no_repeats_and_no_positives():
    sampler = make(2, memory=4, extra=6, temperature=0.5)
    users = tf.constant([0, 1, 2, 1])
    first = sampler.memory.numpy().copy()
    for step in range(30):
        held = sampler.memory.numpy()
        for user, positives in enumerate(POSITIVES):
            assert len(set(held[user])) == 4
            assert not set(held[user]) & set(positives)
        batch = worlds.batch(4, positive=3, seed=step)._replace(users=users)
        sampler.update_state(batch, sampler.sample(batch, TABLES, batch.seed).feedback)
    assert not np.array_equal(np.sort(first), np.sort(sampler.memory.numpy()))


def test_user_repeated_in_a_batch_is_written_once(monkeypatch):
    feedback = tf.constant([[1, 2], [4, 5], [6, 7], [5, 6]])
    batch = worlds.batch(4)._replace(users=tf.constant([1, 0, 1, 1]))

    def learned():
        sampler = make(memory=2)
        untouched = sampler.memory.numpy()[2].tolist()
        tf.function(lambda: sampler.update_state(batch, feedback))()
        return sampler.memory.numpy().tolist(), [[4, 5], [1, 2], untouched]

    result, expected = learned()
    assert result == expected

    def last_wins(state, rows, values):
        state.value.scatter_update(tf.IndexedSlices(values, rows))

    monkeypatch.setattr(srns_module, "assign_rows", last_wins)
    result, expected = learned()
    assert result != expected


def test_rows_are_assigned_from_their_first_occurrence():
    rng = np.random.default_rng(0)
    rows, values = rng.integers(0, 20, 60), rng.normal(size=(60, 2, 3)).astype(np.float32)
    state = keras.Variable(np.zeros((25, 2, 3), np.float32))
    expected = np.zeros((25, 2, 3), np.float32)
    for row, value in reversed(list(zip(rows, values, strict=True))):
        expected[row] = value
    tf.function(lambda: assign_rows(state, tf.constant(rows, tf.int32), values))()
    np.testing.assert_array_equal(state.numpy(), expected)


def test_sampling_alone_changes_nothing():
    sampler = with_past(2, epoch=3)
    before = [weight.numpy().copy() for weight in sampler.weights]
    feedback = worlds.sample(sampler, worlds.batch(5, positive=8), TABLES).feedback
    for weight, value in zip(sampler.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    sampler.update_state(worlds.batch(5), feedback)
    np.testing.assert_array_equal(sampler.memory.numpy()[0], feedback[0])


class Encoder:
    def __init__(self, epoch):
        nodes = np.random.default_rng(epoch).normal(size=(NUM_USERS + NUM_ITEMS, WIDTH))
        self.nodes = nodes.astype(np.float32)

    def embeddings(self):
        return self.nodes[:NUM_USERS], self.nodes[NUM_USERS:]


def test_begin_epoch_stores_the_embeddings_of_the_last_epoch():
    sampler = make()
    expected = np.zeros((5, NUM_USERS + NUM_ITEMS, WIDTH), np.float32)
    memory = sampler.memory.numpy().copy()
    for epoch in range(8):
        if epoch:
            expected[(epoch - 1) % 5] = Encoder(epoch).nodes
        for _ in range(2):
            sampler.begin_epoch(epoch, Encoder(epoch))
            assert sampler.epoch.numpy() == epoch
            np.testing.assert_array_equal([each.numpy() for each in sampler.snapshots], expected)
    np.testing.assert_array_equal(sampler.memory.numpy(), memory)


def test_memories_are_redrawn_every_epoch_if_afresh():
    positives = [[0]] * 20_000
    sampler = SRNS(
        1,
        worlds.unobserved(positives, 5),
        len(positives),
        5,
        1,
        memory_size=2,
        extra=2,
        afresh=True,
    )
    encoder = Encoder(0)
    encoder.embeddings = lambda: (np.zeros((len(positives), 1)), np.zeros((5, 1)))
    memories = []
    for epoch in (0, 1, 1, 2):
        sampler.begin_epoch(epoch, encoder)
        memories.append(sampler.memory.numpy().copy())
        counts = np.zeros((5, 5))
        np.add.at(counts, tuple(np.sort(memories[-1]).T), 1)
        assert chi_square(counts, np.triu(np.ones((5, 5)), 1) * (np.arange(5) > 0)[:, None]) > 1e-3
        sampler.memory.assign(np.ones_like(memories[-1]))
    np.testing.assert_array_equal(memories[1], memories[2])
    agree = [(np.sort(memories[1]) == np.sort(memories[n])).all(axis=1).mean() for n in (0, 3)]
    np.testing.assert_allclose(agree, 1 / 6, atol=0.02)


def test_pool_may_be_smaller_than_the_memory():
    sampler = make(3, positives=[[0, 1, 2, 3, 4, 7, 8]], memory=4, extra=3)
    batch = worlds.batch(2)
    tables = worlds.tables(USER[:1], ITEM)
    for _ in range(5):
        assert set(sampler.memory.numpy()[0]) <= {5, 6}
        negatives = sampler.sample(batch, tables, batch.seed)
        assert set(negatives.ids.numpy().ravel()) <= {5, 6}
        sampler.update_state(batch, negatives.feedback)


@pytest.mark.slow
def test_memory_of_all_items_gives_the_global_best():
    for user, positives in enumerate(POSITIVES):
        sampler = make(memory=NUM_ITEMS - len(positives), weight=0.0)
        score = ITEM @ USER[user]
        score[positives] = -np.inf
        batch = worlds.batch(2, user=user, positive=3)
        assert (worlds.sample(sampler, batch, TABLES).ids == score.argmax()).all()
