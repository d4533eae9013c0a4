"""Exposures that are held out of training."""

import dataclasses

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets import cache
from recns_tf.datasets.formats.writers import write_lightgcn, write_pinsage, write_table
from recns_tf.datasets.held_out_exposures import hold_out_exposures
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, keys_of, make_interactions, to_rows
from recns_tf.runs.data import data_settings, generated


@pytest.fixture(scope="module")
def data():
    pairs = np.stack(np.divmod(np.arange(2_000), 40), axis=1)
    return make_interactions(
        "shown",
        train=pairs[::40],
        valid=pairs[1::40],
        test=pairs[2::40],
        exposed=pairs[pairs[:, 1] >= pairs[:, 0] - 8],
        user_ids=np.arange(50),
        item_ids=np.arange(40),
        source={},
    )


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_every_user_gives_the_share_and_no_pair_is_lost(data, share):
    held_out = hold_out_exposures(data, share)
    before, kept, chosen = (
        np.diff(rows.indptr) for rows in (data.exposed, held_out.exposed, held_out.test_exposed)
    )
    np.testing.assert_array_equal(
        chosen, np.clip(np.floor(before * share + 0.5), 0, np.maximum(before - 1, 0))
    )
    assert (kept + chosen == before).all()
    both = np.concatenate([keys_of(held_out.exposed), keys_of(held_out.test_exposed)])
    np.testing.assert_array_equal(np.sort(both), keys_of(data.exposed))
    assert held_out.train is data.train and held_out.test is data.test


def test_the_draw_is_uniform_among_the_exposures_of_a_user(data):
    user = 10
    items = data.exposed[[user]].indices
    counts = np.zeros(len(items))
    for seed in range(300):
        chosen = hold_out_exposures(data, 0.25, seed).test_exposed[[user]].indices
        counts += np.isin(items, chosen)
    expected = counts.sum() / len(items)
    # The variance of a share without replacement, here below that of independent draws.
    assert np.square(counts - expected).sum() / expected < 70  # 37 degrees of freedom: p < .001


def test_the_seed_decides(data):
    first, again, other = (hold_out_exposures(data, 0.2, seed) for seed in (3, 3, 4))
    assert first.checksum == again.checksum != other.checksum
    assert data.checksum not in (first.checksum, other.checksum)


def test_a_cache_file_keeps_them(data, tmp_path):
    held_out = hold_out_exposures(data, 0.2)
    for each in (data, held_out):
        cache.save(tmp_path / "interactions-x.npz", each)
        found = cache.read(tmp_path / "interactions-x.npz")
        assert found.checksum == each.checksum
        assert (found.test_exposed is None) == (each.test_exposed is None)


def test_the_flag_holds_exposures_out_of_any_dataset(tmp_path):
    config = Config(dataset="synthetic-small", test_exposed_share=0.2, split_seed=3)
    plain = datasets.load(dataclasses.replace(config, test_exposed_share=0.0), tmp_path)
    found = datasets.load(config, tmp_path)
    assert plain.test_exposed is None
    assert found.checksum == hold_out_exposures(plain, 0.2, 3).checksum
    assert datasets.load(config, tmp_path).checksum == found.checksum
    # A report finds the data of a run by their checksum, and makes synthetic ones again.
    assert cache.find(tmp_path / "synthetic-small", found.checksum)
    assert generated(data_settings(config), found.checksum).checksum == found.checksum


def test_frames_hold_them_out_too():
    events = {
        "user": ["ann"] * 6 + ["bob"] * 6,
        "item": list("abcdef") * 2,
        "seen": [1, 1, 0, 0, 0, 0] * 2,
    }
    columns = {"user": "user", "item": "item", "label": "seen", "quiet": True}
    data = Interactions.from_frame(events, **columns, test_exposed_share=0.25)
    assert data.test_exposed is not None and data.test_exposed.nnz == 2
    assert data.summary().endswith("; 6 exposed, 2 in test")
    for wrong in (1, -0.1, "half"):
        with pytest.raises(UserError, match=r"test_exposed_share=.*: choose a share from 0"):
            Interactions.from_frame(events, **columns, test_exposed_share=wrong)


def test_data_without_enough_exposures_are_refused(data):
    none = dataclasses.replace(data, exposed=to_rows(np.zeros((0, 2)), (50, 40)))
    with pytest.raises(
        UserError, match=r"^--test_exposed_share=0.1: shown has no exposed items\.$"
    ):
        hold_out_exposures(none, 0.1)
    few = dataclasses.replace(data, exposed=to_rows(np.array([[0, 5], [0, 6]]), (50, 40)))
    with pytest.raises(UserError, match="no user of shown has more than 2 exposed items"):
        hold_out_exposures(few, 0.1)


@pytest.mark.parametrize(
    ("test_exposed", "message"),
    [
        ([[0, 9]], "exposed both in training and in test"),
        ([[0, 0]], "an exposed pair is a train positive"),
    ],
)
def test_a_pair_is_in_one_part_only(data, test_exposed, message):
    rows = to_rows(np.array(test_exposed), (50, 40))
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(data, test_exposed=rows)
    exposed = to_rows(np.zeros((0, 2)), (50, 40))
    shape = to_rows(np.zeros((0, 2)), (50, 41))
    with pytest.raises(ValueError, match="test_exposed has shape"):
        dataclasses.replace(data, exposed=exposed, test_exposed=shape)


def test_a_table_has_them_and_formats_without_a_place_refuse_them(data, tmp_path):
    held_out = hold_out_exposures(data, 0.2)
    write_table(held_out, tmp_path / "log.csv")
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert sum(row.endswith(',0,"test"') for row in rows) == held_out.test_exposed.nnz
    assert sum(row.endswith(',0,"train"') for row in rows) == held_out.exposed.nnz
    for write in (write_lightgcn, write_pinsage):
        with pytest.raises(UserError, match="choose --format=table, or leave the flag out"):
            write(held_out, tmp_path)
