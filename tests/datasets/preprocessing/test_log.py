import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.datasets.preprocessing.rules import Rules
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
    for _ in range(100):  # the k-core by definition: remove and recount until nothing changes
        by_user = collections.Counter(u for u, _ in kept)
        by_item = collections.Counter(v for _, v in kept)
        users = {u for u in users if by_user[u] >= user_core}
        items = {v for v in items if by_item[v] >= item_core}
        kept = {(u, v) for u, v in kept if u in users and v in items}
    if not kept:
        with pytest.raises(UserError, match="no positive is left"):
            to_interactions(make_log(rows), "t", rules, {})
        return
    data, counts = to_interactions(make_log(rows), "t", rules, {})
    assert counts.rows == len(rows) == sum(counts[1:])
    train = named(data, "train")
    assert counts.conflicts == len(shown & train)
    assert named(data, "train") | named(data, "valid") | named(data, "test") == kept
    inside = {(u, v) for u, v in shown if u in users and v in items}
    assert named(data, "exposed") == inside - train, "held-out positives stay exposed"
    assert set(data.user_ids) == users and set(data.item_ids) == items


@given(events, st.integers(0, 99))
def test_split_depends_on_pairs_and_seed_but_not_on_row_order(rows, seed):
    if not any(positive for _, _, positive, _ in rows):
        return
    mixed = np.random.default_rng(seed).permutation(len(rows))
    one, _ = to_interactions(make_log(rows), "t", Rules(split_seed=seed), {})
    two, _ = to_interactions(make_log([rows[n] for n in mixed]), "t", Rules(split_seed=seed), {})
    assert one.checksum == two.checksum


@given(events, st.sampled_from(["random", "temporal"]), st.integers(0, 99))
def test_positives_for_train_only_are_split_off_first(rows, split, seed):
    """The other positives are split as if the log held no more."""
    chosen = np.random.default_rng(seed).random(len(rows)) < 0.4
    fixed = {
        (u, v) for (u, v, positive, _), one in zip(rows, chosen, strict=True) if positive and one
    }
    others = [row for row in rows if not row[2] or row[:2] not in fixed]
    if not any(positive for _, _, positive, _ in others):
        return
    rules = Rules(split=split, split_seed=seed, valid=0.2, test=0.3)
    log = make_log(rows)._replace(train_only=chosen)
    data, counts = to_interactions(log, "t", rules, {})
    alone, _ = to_interactions(make_log(others), "t", rules, {})
    assert named(data, "valid") == named(alone, "valid")
    assert named(data, "test") == named(alone, "test")
    names = {(f"u{u}", f"i{v}") for u, v in fixed}
    assert named(data, "train") == named(alone, "train") | names
    assert named(data, "exposed") == named(alone, "exposed") - names
    assert counts.rows == len(rows) == sum(counts[1:])


def test_leave_one_out_counts_positives_that_are_never_held_out():
    """User 0 has only those, users 1 and 2 also one and two others, user 3 only one other."""
    rows = [(0, 0, True, 0), (0, 1, True, 0), (1, 0, True, 0), (1, 2, True, 1)]
    rows += [(2, 0, True, 0), (2, 2, True, 1), (2, 3, True, 2), (3, 3, True, 1)]
    chosen = np.array([row[3] == 0 for row in rows])
    log = make_log(rows)._replace(train_only=chosen)
    data, _ = to_interactions(log, "t", Rules(split="leave-one-out"), {})
    assert named(data, "test") == {("u1", "i2"), ("u2", "i3")}
    assert named(data, "valid") == {("u2", "i2")}
    assert ("u3", "i3") in named(data, "train")


def test_temporal_split_uses_the_first_time_of_each_pair():
    rows = [(0, item, True, 10 + item) for item in range(5)]
    rows += [(0, 0, True, 99)]  # a repeat; the first time counts
    data, counts = to_interactions(make_log(rows), "t", Rules(split="temporal"), {})
    assert named(data, "test") == {("u0", "i4")}
    assert named(data, "valid") == {("u0", "i3")}
    assert counts.repeated_positives == 1


def test_exposed_pairs_that_are_held_out_positives_stay_exposed():
    """Otherwise, no exposed item would be a positive of valid or test, which leaks labels."""
    rows = [(0, item, True, item) for item in range(5)]
    rows += [(0, item, False, 0) for item in range(7)]
    data, counts = to_interactions(make_log(rows), "t", Rules(split="temporal"), {})
    assert named(data, "exposed") == {("u0", f"i{n}") for n in (3, 4, 5, 6)}
    assert counts.conflicts == 3 and counts.rows == sum(counts[1:])


def test_given_split_keeps_only_the_exposures_of_train():
    rows = [(0, item, True, 0) for item in range(4)] + [
        (0, item, False, 0) for item in (4, 5, 6, 1)
    ]
    parts = np.array([0, 0, 1, 2, 0, 1, 2, 2], dtype=np.int8)
    data, counts = to_interactions(
        make_log(rows)._replace(parts=parts), "t", Rules(split="given"), {}
    )
    assert named(data, "train") == {("u0", "i0"), ("u0", "i1")}
    assert named(data, "valid") == {("u0", "i2")} and named(data, "test") == {("u0", "i3")}
    assert named(data, "exposed") == {("u0", "i4")}
    assert (counts.conflicts, counts.late_exposures) == (1, 2)
    assert counts.rows == sum(counts[1:]) == 8
    with pytest.raises(UserError, match="none belongs to the part train"):
        to_interactions(make_log(rows)._replace(parts=parts + 1), "t", Rules(split="given"), {})
    with pytest.raises(UserError, match="--split=given: t does not define a split"):
        to_interactions(make_log(rows), "t", Rules(split="given"), {})


def test_ignored_rows_and_late_conflicts_are_counted_once():
    rows = [(0, item, True, item) for item in range(5)] + [(0, 0, False, 9), (0, 6, False, 9)]
    _, counts = to_interactions(
        make_log(rows)._replace(ignored=3), "t", Rules(split="temporal"), {}
    )
    assert counts.rows == 10 == sum(counts[1:])
    assert (counts.ignored, counts.conflicts, counts.late_exposures) == (3, 1, 1)


def test_ties_in_time_are_broken_at_random_and_not_by_id():
    num_users = 400
    users, items = np.divmod(np.arange(num_users * 5), 5)
    log = Log(
        users, items, np.ones(len(users), bool), np.zeros(len(users)),
        np.arange(num_users), np.arange(5),
    )  # fmt: skip
    data, _ = to_interactions(log, "t", Rules(split="temporal"), {})
    tested = np.bincount(data.test.indices, minlength=5)
    assert tested.sum() == num_users and tested.min() > 50


def test_graph_with_more_pairs_than_int32_can_count():
    users = np.array([0, 69_999, 69_999], dtype=np.int32)
    items = np.array([0, 69_999, 1], dtype=np.int32)
    ids = np.arange(70_000)
    log = Log(users, items, np.array([True, True, False]), None, ids, ids)
    data, _ = to_interactions(log, "t", Rules(), {})
    assert data.train[69_999, 69_999] and data.exposed[69_999, 1]


def test_empty_k_core_is_an_error():
    with pytest.raises(UserError, match="t: no positive is left to train on: --user_core=0 and"):
        to_interactions(make_log([(0, 0, True, 0)]), "t", Rules(item_core=3), {})


def test_temporal_split_needs_times():
    with pytest.raises(UserError, match="--split=temporal: t has no timestamps"):
        to_interactions(make_log([(0, 0, True, 0)], times=False), "t", Rules(split="temporal"), {})
    with pytest.raises(UserError, match="--split=latest: choose one of random, temporal"):
        to_interactions(make_log([(0, 0, True, 0)]), "t", Rules(split="latest"), {})
