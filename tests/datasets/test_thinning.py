"""Datasets with a share of the train positives."""

import dataclasses

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets.held_out_exposures import hold_out_exposures
from recns_tf.datasets.thinning import thin
from recns_tf.errors import UserError
from recns_tf.interactions import subtract_pairs
from recns_tf.runs.data import data_settings, generated


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_every_user_keeps_the_share_and_the_test_stays(toy, share):
    thinned = thin(toy, share)
    before, after = (np.diff(each.train.indptr) for each in (toy, thinned))
    removed = np.minimum(np.floor(before * (1 - share) + 0.5), before - 1)
    np.testing.assert_array_equal(after, before - np.maximum(removed, 0))
    assert not subtract_pairs(thinned.train, toy.train).nnz
    assert thinned.valid is toy.valid and thinned.test is toy.test
    assert thinned.exposed is toy.exposed


def test_the_draw_is_uniform_among_the_train_items_of_a_user(toy):
    user = int(np.argmax(np.diff(toy.train.indptr)))
    items = toy.train[[user]].indices
    kept = [np.isin(items, thin(toy, 0.5, seed).train[[user]].indices) for seed in range(400)]
    counts = np.sum(kept, axis=0)
    # Half of the draws, at a standard deviation of 10.
    assert np.abs(counts - np.mean(counts)).max() < 45 and (counts > 0).all()


def test_the_flag_thins_any_dataset_before_exposures_are_held_out(tmp_path):
    config = Config(dataset="synthetic-small", train_share=0.5, split_seed=2)
    plain = datasets.load(dataclasses.replace(config, train_share=1.0), tmp_path)
    found = datasets.load(config, tmp_path)
    assert found.checksum == thin(plain, 0.5, 2).checksum != plain.checksum
    assert generated(data_settings(config), found.checksum).checksum == found.checksum
    both = datasets.load(dataclasses.replace(config, test_exposed_share=0.1), tmp_path)
    assert both.checksum == hold_out_exposures(found, 0.1, 2).checksum


def test_a_share_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"--train_share=0.*: choose a number from 0.001 to 1"):
        Config(train_share=0.0)
