import collections

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions, to_pairs
from recns_tf.regions.candidate_sets import exact_sets
from recns_tf.regions.region import build_region
from recns_tf.training.pair_sampling import PAIR_SAMPLINGS
from recns_tf.training.pipeline import Pipeline
from tests.training.worlds import saturated

M = 5
BATCH = 16


def make(
    data, seed=0, batch_size=BATCH, candidates=True, exposed=True, kind="intermediate", **options
):
    return Pipeline(
        data,
        exact_sets(build_region(data.train, kind)),
        batch_size=batch_size,
        num_candidates=M,
        seed=seed,
        with_candidates=candidates,
        with_exposed=exposed,
        **options,
    )


def take(pipeline, epochs=1, first_epoch=0):
    stream = pipeline.batches(first_epoch).take(pipeline.steps_per_epoch * epochs)
    return [type(batch)(*(part.numpy() for part in batch)) for batch in stream]


def same(one, two):
    return all(
        np.array_equal(a, b)
        for left, right in zip(one, two, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_epochs_visit_every_train_pair_once_in_different_orders(toy):
    pipeline = make(toy)
    batches = take(pipeline, epochs=2)
    assert pipeline.steps_per_epoch == -(-toy.train.nnz // BATCH) == len(batches) // 2
    epochs = [batches[: len(batches) // 2], batches[len(batches) // 2 :]]
    orders = []
    for epoch in epochs:
        pairs = [(u, v) for b in epoch for u, v in zip(b.users, b.positives, strict=True)]
        assert collections.Counter(pairs) == collections.Counter(map(tuple, to_pairs(toy.train)))
        orders.append(pairs)
    assert orders[0] != orders[1]


@pytest.mark.slow
def test_draws_depend_on_seed_epoch_and_step_only(toy):
    whole = take(make(toy, seed=3), epochs=3)
    resumed = take(make(toy, seed=3), epochs=1, first_epoch=2)
    assert same(whole[-len(resumed) :], resumed)
    assert not same(take(make(toy, seed=4)), whole[: len(resumed)])
    seeds = {tuple(batch.seed) for batch in whole}
    assert len(seeds) == len(whole)


def test_candidates_are_distinct_items_of_the_region(toy):
    train = toy.train.toarray()
    for batch in take(make(toy)):
        assert batch.candidates.shape == (len(batch.users), M)
        assert batch.candidates.dtype == np.int32
        assert not train[batch.users[:, None], batch.candidates].any()
        assert all(len(set(row)) == M for row in batch.candidates)


def test_exposures_by_number_of_exposed_items(toy):
    """M distinct items if there are enough, else repeats, and the candidates if there are none."""
    exposed = toy.exposed.toarray()
    counts = exposed.sum(axis=1)
    seen = set()
    for batch in take(make(toy), epochs=3):
        for user, candidates, row in zip(batch.users, batch.candidates, batch.exposed, strict=True):
            if counts[user] == 0:
                np.testing.assert_array_equal(row, candidates)
                seen.add("none")
            else:
                assert exposed[user, row].all()
                assert len(set(row)) == M or counts[user] < M
                seen.add("many" if counts[user] >= M else "few")
    assert {"none", "many"} <= seen


def test_candidates_and_exposures_are_drawn_independently(toy):
    """With the same sets for both, a shared random stream would give the same items."""
    rows = (~toy.train.toarray()).nonzero()
    data = make_interactions(
        "same",
        train=to_pairs(toy.train),
        valid=np.zeros((0, 2)),
        test=np.zeros((0, 2)),
        exposed=np.stack(rows, axis=1),
        user_ids=toy.user_ids,
        item_ids=toy.item_ids,
        source={},
    )
    equal, expected = [], []
    free = toy.num_items - np.diff(toy.train.indptr)
    for batch in take(make(data, kind="all"), epochs=3):
        equal.append((batch.candidates == batch.exposed).mean(axis=1))
        expected.append(1 / free[batch.users])
    assert np.concatenate(equal).mean() == pytest.approx(np.concatenate(expected).mean(), abs=0.01)


def test_single_exposures_are_repeated(toy):
    pairs = to_pairs(toy.exposed)
    few = pairs[np.concatenate([[True], np.diff(pairs[:, 0]) > 0])]
    data = make_interactions(
        "few",
        train=to_pairs(toy.train),
        valid=to_pairs(toy.valid),
        test=to_pairs(toy.test),
        exposed=few,
        user_ids=toy.user_ids,
        item_ids=toy.item_ids,
        source={},
    )
    only = dict(few.tolist())
    for batch in take(make(data)):
        for user, row in zip(batch.users, batch.exposed, strict=True):
            if user in only:
                assert set(row) == {only[user]}


def test_unused_parts_of_a_batch_are_not_drawn(toy):
    batch = take(make(toy, candidates=False, exposed=False))[0]
    assert batch.candidates.shape == batch.exposed.shape == (BATCH, 0)
    batch = take(make(toy, candidates=True, exposed=False))[0]
    assert batch.candidates.shape == (BATCH, M) and batch.exposed.shape == (BATCH, 0)


@pytest.mark.parametrize("pair_sampling", PAIR_SAMPLINGS)
def test_users_with_every_item_are_left_out(pair_sampling):
    data = saturated(others=[(3, 0), (3, 1)])
    batches = take(make(data, batch_size=2, pair_sampling=pair_sampling))
    drawn = {(int(u), int(v)) for b in batches for u, v in zip(b.users, b.positives, strict=True)}
    assert drawn <= {(3, 0), (3, 1)} and drawn
    assert {int(v) for batch in batches for v in batch.candidates.flat} == {2}


@pytest.mark.parametrize("pair_sampling", PAIR_SAMPLINGS)
def test_dataset_without_negatives_is_an_error(pair_sampling):
    """Its stream would be endless and empty; users without positives do not help."""
    for data in (saturated(), saturated(num_users=5)):
        with pytest.raises(UserError, match="full: every user with train positives has every item"):
            make(data, pair_sampling=pair_sampling)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_batch_size_covers_the_epoch(toy, size):
    pipeline = make(toy, batch_size=size, candidates=False, exposed=False)
    assert sum(len(batch.users) for batch in take(pipeline)) == toy.train.nnz


def test_full_and_short_batches_have_the_same_signature(toy):
    spec = make(toy).batches().element_spec
    assert spec.users == tf.TensorSpec([None], tf.int32)
    assert spec.candidates == tf.TensorSpec([None, M], tf.int32)
