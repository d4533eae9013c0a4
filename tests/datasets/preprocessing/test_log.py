import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.preprocessing.log import Log, Rules, to_interactions
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs

NUM_USERS, NUM_ITEMS = 5, 7
events = st.lists(
    st.tuples(
        st.integers(0, NUM_USERS - 1),
        st.integers(0, NUM_ITEMS - 1),
        st.booleans(),
        st.integers(0, 50),
    ),
    max_size=80,
)


def make_log(rows, times=True):
    users, items, positive, when = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Log(
        users,
        items,
        positive.astype(bool),
        when if times else None,
        np.array([f"u{n}" for n in range(NUM_USERS)]),
        np.array([f"i{n}" for n in range(NUM_ITEMS)]),
    )


def named(data, part):
    rows = getattr(data, part)
    return {(data.user_ids[u], data.item_ids[v]) for u, v in to_pairs(rows)}


@given(events, st.integers(0, 3), st.integers(0, 3), st.sampled_from(["random", "temporal"]))
def test_every_row_is_accounted_for(rows, user_core, item_core, split):
    rules = Rules(split=split, user_core=user_core, item_core=item_core)
    liked = {(f"u{u}", f"i{v}") for u, v, positive, _ in rows if positive}
    shown = {(f"u{u}", f"i{v}") for u, v, positive, _ in rows if not positive}
    kept = set(liked)
    users, items = {f"u{n}" for n in range(NUM_USERS)}, {f"i{n}" for n in range(NUM_ITEMS)}
    for _ in range(100):  # the k-core by the book: drop, count again, until nothing changes
        by_user = collections.Counter(u for u, _ in kept)
        by_item = collections.Counter(v for _, v in kept)
        users = {u for u in users if by_user[u] >= user_core}
        items = {v for v in items if by_item[v] >= item_core}
        kept = {(u, v) for u, v in kept if u in users and v in items}
    if not kept:
        with pytest.raises(UserError, match="no positive is left"):
            to_interactions(make_log(rows), "t", rules, {})
        return
    data, account = to_interactions(make_log(rows), "t", rules, {})
    assert account.rows == len(rows) == sum(account[1:])
    train = named(data, "train")
    assert account.conflicts == len(shown & train)
    assert named(data, "train") | named(data, "valid") | named(data, "test") == kept
    inside = {(u, v) for u, v in shown if u in users and v in items}
    assert named(data, "exposed") == inside - train, "held-out positives stay exposed"
    assert set(data.user_ids) == users and set(data.item_ids) == items


@given(events, st.integers(0, 99))
def test_a_split_depends_on_pairs_and_seed_and_not_on_the_order_of_rows(rows, seed):
    if not any(positive for _, _, positive, _ in rows):
        return
    mixed = np.random.default_rng(seed).permutation(len(rows))
    one, _ = to_interactions(make_log(rows), "t", Rules(split_seed=seed), {})
    two, _ = to_interactions(make_log([rows[n] for n in mixed]), "t", Rules(split_seed=seed), {})
    assert one.checksum == two.checksum


def test_a_temporal_split_tests_on_the_last_first_occurrences():
    rows = [(0, item, True, 10 + item) for item in range(5)]
    rows += [(0, 0, True, 99)]  # seen again later: its first time counts
    data, account = to_interactions(make_log(rows), "t", Rules(split="temporal"), {})
    assert named(data, "test") == {("u0", "i4")}
    assert named(data, "valid") == {("u0", "i3")}
    assert account.repeated_positives == 1


def test_a_held_out_positive_that_was_shown_stays_exposed():
    """Taking it out would tell which items are positives of valid and test."""
    rows = [(0, item, True, item) for item in range(5)]
    rows += [(0, item, False, 0) for item in range(7)]
    data, account = to_interactions(make_log(rows), "t", Rules(split="temporal"), {})
    assert named(data, "exposed") == {("u0", f"i{n}") for n in (3, 4, 5, 6)}
    assert account.conflicts == 3 and account.rows == sum(account[1:])


def test_a_given_split_keeps_what_was_shown_in_train_alone():
    rows = [(0, item, True, 0) for item in range(4)] + [
        (0, item, False, 0) for item in (4, 5, 6, 1)
    ]
    parts = np.array([0, 0, 1, 2, 0, 1, 2, 2], dtype=np.int8)
    data, account = to_interactions(
        make_log(rows)._replace(parts=parts), "t", Rules(split="given"), {}
    )
    assert named(data, "train") == {("u0", "i0"), ("u0", "i1")}
    assert named(data, "valid") == {("u0", "i2")} and named(data, "test") == {("u0", "i3")}
    assert named(data, "exposed") == {("u0", "i4")}
    assert (account.conflicts, account.late_exposures) == (1, 2)
    assert account.rows == sum(account[1:]) == 8
    with pytest.raises(UserError, match="none is of the part train"):
        to_interactions(make_log(rows)._replace(parts=parts + 1), "t", Rules(split="given"), {})
    with pytest.raises(UserError, match="--split=given: t does not come split"):
        to_interactions(make_log(rows), "t", Rules(split="given"), {})


def test_ignored_rows_and_late_conflicts_are_counted_once():
    rows = [(0, item, True, item) for item in range(5)] + [(0, 0, False, 9), (0, 6, False, 9)]
    _, account = to_interactions(
        make_log(rows)._replace(ignored=3), "t", Rules(split="temporal"), {}
    )
    assert account.rows == 10 == sum(account[1:])
    assert (account.ignored, account.conflicts, account.late_exposures) == (3, 1, 1)


def test_equally_late_positives_are_held_out_by_lot_and_not_by_id():
    num_users = 400
    users, items = np.divmod(np.arange(num_users * 5), 5)
    log = Log(
        users, items, np.ones(len(users), bool), np.zeros(len(users)),
        np.arange(num_users), np.arange(5),
    )  # fmt: skip
    data, _ = to_interactions(log, "t", Rules(split="temporal"), {})
    tested = np.bincount(data.test.indices, minlength=5)
    assert tested.sum() == num_users and tested.min() > 50


def test_pairs_of_a_graph_with_more_cells_than_int32_holds():
    users = np.array([0, 69_999, 69_999], dtype=np.int32)
    items = np.array([0, 69_999, 1], dtype=np.int32)
    ids = np.arange(70_000)
    log = Log(users, items, np.array([True, True, False]), None, ids, ids)
    data, _ = to_interactions(log, "t", Rules(), {})
    assert data.train[69_999, 69_999] and data.exposed[69_999, 1]


def test_a_core_that_leaves_nothing_is_told():
    with pytest.raises(UserError, match="t: no positive is left to train on: --user_core=0 and"):
        to_interactions(make_log([(0, 0, True, 0)]), "t", Rules(item_core=3), {})


def test_times_are_needed_for_a_temporal_split():
    with pytest.raises(UserError, match="--split=temporal: t has no timestamps"):
        to_interactions(make_log([(0, 0, True, 0)], times=False), "t", Rules(split="temporal"), {})
    with pytest.raises(UserError, match="--split=latest: choose one of random, temporal"):
        to_interactions(make_log([(0, 0, True, 0)]), "t", Rules(split="latest"), {})
