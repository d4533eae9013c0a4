"""Negatives of one pair: their law, and that drawing them changes nothing."""

import dataclasses

import numpy as np
import pytest

from recns_tf import registry
from recns_tf.interactions import to_pairs, to_rows
from recns_tf.regions.of_user import NAMES, regions_of_user
from recns_tf.samplers.unins import UniNS
from recns_tf.serving.pair_negatives import ROWS, PairNegatives
from recns_tf.training.build import build
from recns_tf.training.load import Restored
from tests.goodness_of_fit import chi_square

USER = 7


def drawer(toy, toy_config, sampler, **settings):
    """Return what draws for an untrained model, whose sampler has begun its second epoch."""
    config = dataclasses.replace(toy_config, encoder="lightgcn", sampler=sampler, **settings)
    model, pipeline, region = build(config, toy)
    for epoch in range(2):
        model.sampler.begin_epoch(epoch, model.encoder)
    return PairNegatives(Restored(model, pipeline, region, toy))


def pair_of(toy):
    return USER, int(toy.train[[USER]].indices[0])


def counts_of(ids, toy):
    return np.bincount(ids.ravel(), minlength=toy.num_items)


def unobserved(toy, user=USER):
    return ~toy.train[[user]].toarray()[0]


@pytest.mark.parametrize("sampler", registry.SAMPLERS)
def test_every_sampler_draws_unobserved_items_and_keeps_its_state(toy, toy_config, sampler):
    pairs = drawer(toy, toy_config, sampler)
    before = [weight.numpy().copy() for weight in pairs.model.weights]
    drawn = pairs.draw(*pair_of(toy), 300)
    assert drawn.ids.size >= 300 and unobserved(toy)[drawn.ids].all()
    assert drawn.ids.size < 300 + 64
    merged = {"recns": 1, "mixgcf": 6, "dens": 6}
    assert drawn.merged.shape[1] == merged.get(sampler, 0)
    for weight, value in zip(pairs.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    again = pairs.draw(*pair_of(toy), 300)
    np.testing.assert_array_equal(again.ids, drawn.ids)


def test_uniform_negatives_are_uniform_over_unobserved_items(toy, toy_config):
    pairs = drawer(toy, toy_config, "unins")
    counts = counts_of(pairs.draw(*pair_of(toy), 20_000).ids, toy)
    assert chi_square(counts, unobserved(toy)) > 0.001
    assert chi_square(counts, np.ones(toy.num_items)) < 1e-6
    assert 2 * ROWS < 20_000 // 3, "several batches, which must not repeat each other"


def test_popularity_has_its_power(toy, toy_config):
    pairs = drawer(toy, toy_config, "popns", popularity_power=0.5)
    counts = counts_of(pairs.draw(*pair_of(toy), 20_000).ids, toy)
    degrees = np.asarray(toy.train.sum(axis=0)).ravel()
    assert chi_square(counts, degrees**0.5 * unobserved(toy)) > 0.001
    assert chi_square(counts, degrees * unobserved(toy)) < 1e-6


@pytest.mark.parametrize("pair_sampling", ["edges", "users"])
def test_in_batch_negatives_are_the_positives_of_others(toy, toy_config, pair_sampling):
    pairs = drawer(toy, toy_config, "inbatch", batch_size=16, pair_sampling=pair_sampling)
    counts = counts_of(pairs.draw(*pair_of(toy), 2_500).ids, toy)
    users, items = to_pairs(toy.train).T
    weights = np.ones(len(users))
    if pair_sampling == "users":
        weights = 1 / np.bincount(users)[users] * (users != USER)
    law = np.bincount(items, weights, minlength=toy.num_items) * unobserved(toy)
    assert chi_square(counts, law) > 0.001
    assert chi_square(counts, unobserved(toy)) < 1e-6


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("kind", ["intermediate", "distant"])
def test_negatives_come_from_the_region_of_the_run(toy, toy_config, kind, memory):
    few = to_pairs(toy.train)
    few = few[few[:, 1] % 4 == 1]
    sparse = dataclasses.replace(toy, train=to_rows(few, toy.train.shape))
    user = int(np.argmax(np.diff(sparse.train.indptr)))
    positive = int(sparse.train[[user]].indices[0])
    pairs = drawer(sparse, toy_config, "recns-o", region=kind, region_memory=memory)
    drawn = np.unique(pairs.draw(user, positive, 2_000).ids)
    codes = regions_of_user(sparse.train, user)
    inside = np.flatnonzero(codes == NAMES.index(kind))
    assert 0 < len(inside) < unobserved(sparse, user).sum()
    np.testing.assert_array_equal(drawn, inside)


def test_a_pair_that_is_not_trained_on_is_refused(toy, toy_config):
    pairs = drawer(toy, toy_config, "unins")
    other = int(np.flatnonzero(unobserved(toy))[0])
    with pytest.raises(ValueError, match=f"user {USER} and item {other} are not a pair"):
        pairs.draw(USER, other, 10)


def test_the_test_of_the_law_sees_a_sampler_that_draws_from_all_items(toy, toy_config, monkeypatch):
    pairs = drawer(toy, toy_config, "unins")
    choose = UniNS.choose

    def wrong(self, batch, tables, seed):
        choice = choose(self, batch, tables, seed)
        return choice._replace(ids=choice.ids * 0 + batch.positives[:, None])

    monkeypatch.setattr(UniNS, "choose", wrong)
    counts = counts_of(pairs.draw(*pair_of(toy), 3_000).ids, toy)
    assert chi_square(counts, unobserved(toy)) == 0
