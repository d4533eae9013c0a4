import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.errors import UserError
from recns_tf.samplers.ppr_hard import PPRHard, scaled_ranks
from recns_tf.training.build import build
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

NUM_ITEMS, K = 10, 4
POSITIVES = [[0, 4, 9], list(range(9))]
"""Of the list of item 0, user 1 has everything."""
POOL = worlds.unobserved(POSITIVES, NUM_ITEMS)
LISTS = np.zeros((NUM_ITEMS, 4), np.int32)
LISTS[0] = [2, 4, 5, 7]
LISTS[4] = [1, 2, 3, 6]
TABLES = worlds.tables([[1.0]] * 2, np.ones((NUM_ITEMS, 1)))


def law(epoch, place, user=0, positive=0, per_epoch=1):
    """Return the law of the negative at `place` in an epoch, from 0."""
    free = [item for item in range(NUM_ITEMS) if item not in POSITIVES[user]]
    listed = [item for item in LISTS[positive] if item in free]
    from_items = listed if listed and place < epoch * per_epoch else free
    found = np.zeros(NUM_ITEMS)
    found[from_items] = 1 / len(from_items)
    return found


class FromTheStart(PPRHard):
    """Wrong: n hard negatives in epoch n."""

    def begin_epoch(self, epoch, encoder):
        super().begin_epoch(epoch + 1, encoder)


class AllAtOnce(PPRHard):
    """Wrong: all negatives are hard after the first epoch."""

    def begin_epoch(self, epoch, encoder):
        super().begin_epoch(epoch * 100, encoder)


class OfAnother(PPRHard):
    """Wrong: the list of another item."""

    def choose(self, batch, tables, seed):
        return super().choose(batch._replace(positives=batch.positives + 4), tables, seed)


class WithPositives(PPRHard):
    """Wrong: train positives of the user are not left out of the list."""

    def choose(self, batch, tables, seed):
        found = super().choose(batch, tables, seed)
        listed = tf.gather(self.lists, batch.positives)
        number = tf.convert_to_tensor(self.epoch)
        place = tf.random.stateless_uniform(tf.shape(found.ids), seed, 0, 4, tf.int32)
        hard = tf.gather(listed, place, batch_dims=1)
        return found._replace(ids=tf.where(tf.range(K) < number, hard, found.ids))


class SameDraw(PPRHard):
    """Wrong: the hard negatives of a pair are one item."""

    def choose(self, batch, tables, seed):
        found = super().choose(batch, tables, seed)
        number = tf.convert_to_tensor(self.epoch)
        return found._replace(ids=tf.where(tf.range(K) < number, found.ids[:, :1], found.ids))


def fits(sampler_class, epoch, user=0, per_epoch=1):
    """Return whether the first two and the last two negatives have their laws, independently."""
    sampler = sampler_class(K, POOL, LISTS, per_epoch)
    sampler.begin_epoch(epoch, None)
    ids = worlds.sample(sampler, worlds.batch(20_000, user=user), TABLES).ids
    for one, other in ((0, 1), (2, 3)):
        table = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(table, (ids[:, one], ids[:, other]), 1)
        expected = np.outer(*(law(epoch, each, user, 0, per_epoch) for each in (one, other)))
        if table[expected == 0].any() or chi_square(table, expected) < 1e-3:
            return False
    return True


@pytest.mark.parametrize(("epoch", "per_epoch"), [(0, 1), (1, 1), (3, 1), (9, 1), (1, 3), (2, 3)])
def test_negatives_have_their_laws_independently(epoch, per_epoch):
    assert fits(PPRHard, epoch, per_epoch=per_epoch)


def test_a_user_without_legal_hard_negatives_gets_uniform_ones():
    assert fits(PPRHard, 5, user=1)


@pytest.mark.parametrize("wrong", [FromTheStart, AllAtOnce, OfAnother, WithPositives, SameDraw])
def test_wrong_versions_do_not_have_the_laws(wrong):
    assert not fits(wrong, 2)


@pytest.mark.parametrize(("epoch", "share"), [(0, 0.0), (1, 0.25), (3, 0.75), (7, 1.0)])
def test_the_share_of_hard_negatives_is_reported(epoch, share):
    sampler = PPRHard(K, POOL, LISTS)
    sampler.begin_epoch(epoch, None)
    found = worlds.sample(sampler, worlds.batch(10), TABLES).statistics
    assert found["hard_negatives"] == pytest.approx(share)
    found = worlds.sample(sampler, worlds.batch(10, user=1), TABLES).statistics
    assert found["hard_negatives"] == 0


@pytest.mark.parametrize(
    ("given", "num_items", "expected"),
    [
        ((2_000, 5_000), 40_000, (2_000, 5_000)),
        ((2_000, 5_000), 5_001, (2_000, 5_000)),
        ((2_000, 5_000), 2_501, (1_000, 2_500)),
        ((2_000, 5_000), 60, (23, 59)),
        ((2_000, 5_000), 2, (1, 1)),
        ((7, 7), 5, (4, 4)),
    ],
)
def test_ranks_are_scaled_in_small_catalogs(given, num_items, expected):
    assert scaled_ranks(*given, num_items) == expected


def test_impossible_ranks_are_refused(toy_config):
    config = dataclasses.replace(toy_config, ppr_first=7, ppr_last=7)
    PPRHard.check_settings(config)
    with pytest.raises(UserError, match=r"^--ppr_first=8: choose at most 7, --ppr_last\.$"):
        PPRHard.check_settings(dataclasses.replace(config, ppr_first=8))
    with pytest.raises(UserError, match=r"^--sampler=ppr-hard needs at least 2 items"):
        scaled_ranks(1, 2, 1)


def test_the_lists_are_those_of_the_flags(toy, toy_config):
    config = dataclasses.replace(
        toy_config, sampler="ppr-hard", ppr_first=3, ppr_last=12, ppr_list=100, ppr_per_epoch=2
    )
    sampler = build(config, toy)[0].sampler
    assert sampler.lists.shape == (toy.num_items, 10) and sampler.per_epoch == 2
    shorter = build(dataclasses.replace(config, ppr_list=4), toy)[0].sampler
    assert shorter.lists.shape == (toy.num_items, 4)
    other = build(dataclasses.replace(config, ppr_restart=0.1), toy)[0].sampler
    assert not np.array_equal(np.sort(other.lists), np.sort(sampler.lists))


def test_the_lists_are_kept_with_the_dataset(toy, toy_config, tmp_path):
    config = dataclasses.replace(toy_config, sampler="ppr-hard", seed=3)
    first = build(config, toy, tmp_path)[0].sampler.lists
    (path,) = tmp_path.glob("pagerank-*/lists.npy")
    np.testing.assert_array_equal(np.load(path), first)
    changed = path.stat().st_mtime_ns
    np.testing.assert_array_equal(build(config, toy, tmp_path)[0].sampler.lists, first)
    assert path.stat().st_mtime_ns == changed
    build(dataclasses.replace(config, seed=4), toy, tmp_path)
    assert len(list(tmp_path.glob("pagerank-*"))) == 2
