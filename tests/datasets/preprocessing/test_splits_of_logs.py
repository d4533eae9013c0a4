"""Every split of a whole log, against definitions in plain Python."""

import collections
import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs
from tests.goodness_of_fit import chi_square

NUM_USERS, NUM_ITEMS = 5, 9
PARTS = ("train", "valid", "test")
SHARES = st.sampled_from([0, 1 / 8, 1 / 4, 3 / 8])
"""Shares that binary fractions represent exactly, so that the oracle sees the same ties."""


def logs(latest):
    """Return a strategy for rows (user, item, positive, time), with times from 0 to `latest`."""
    row = st.tuples(
        st.integers(0, NUM_USERS - 1),
        st.integers(0, NUM_ITEMS - 1),
        st.booleans(),
        st.integers(0, latest),
    )
    return st.lists(row, max_size=90).filter(lambda rows: any(positive for *_, positive, _ in rows))


def split_log(rows, rules, times=True):
    users, items, positive, when = np.array(rows, dtype=np.int64).T
    log = Log(
        users, items, positive.astype(bool), when if times else None,
        np.arange(NUM_USERS), np.arange(NUM_ITEMS),
    )  # fmt: skip
    return to_interactions(log, "t", rules, {})


def pairs(data, part):
    return {(int(u), int(v)) for u, v in to_pairs(getattr(data, part))}


def first_times(rows, positive):
    """Return the earliest time of each positive, or exposed, pair."""
    found = {}
    for user, item, is_positive, time in rows:
        if is_positive == positive:
            found[user, item] = min(time, found.get((user, item), time))
    return found


def check_exposures(data, counts, rows, limits):
    """Check that exposures are kept that are no train positives and earlier than their limit."""
    shown = first_times(rows, False)
    allowed = {pair for pair in shown if pair not in pairs(data, "train")}
    kept = {pair for pair in allowed if shown[pair] < limits.get(pair[0], np.inf)}
    assert pairs(data, "exposed") == kept
    assert counts.late_exposures == len(allowed) - len(kept)
    assert counts.rows == len(rows) == sum(counts[1:])


@settings(max_examples=50)
@given(logs(30))
def test_leave_one_out_by_distinct_times(rows):
    # 1,000 steps for each time, and the row's number: no two rows have equal times.
    rows = [(u, v, positive, 1_000 * time + n) for n, (u, v, positive, time) in enumerate(rows)]
    data, counts = split_log(rows, Rules(split="leave-one-out"))
    liked = first_times(rows, True)
    expected = {part: set() for part in PARTS}
    limits = {}
    for user in range(NUM_USERS):
        mine = sorted((time, item) for (u, item), time in liked.items() if u == user)
        if len(mine) >= 2:
            limits[user], item = mine.pop()
            expected["test"].add((user, item))
        if len(mine) >= 2:
            limits[user], item = mine.pop()
            expected["valid"].add((user, item))
        expected["train"] |= {(user, item) for _, item in mine}
    assert {part: pairs(data, part) for part in PARTS} == expected
    check_exposures(data, counts, rows, limits)


@settings(max_examples=50)
@given(logs(3))
def test_leave_one_out_with_equal_times(rows):
    data, counts = split_log(rows, Rules(split="leave-one-out"))
    liked = first_times(rows, True)
    parts = {part: pairs(data, part) for part in PARTS}
    assert parts["train"] | parts["valid"] | parts["test"] == set(liked)
    limits = {}
    for user in range(NUM_USERS):
        train, valid, test = (
            [liked[pair] for pair in parts[part] if pair[0] == user] for part in PARTS
        )
        number = len(train + valid + test)
        assert (len(test), len(valid)) == (int(number >= 2), int(number >= 3))
        assert all(a <= b for a in train for b in valid + test)
        assert all(a <= b for a in valid for b in test)
        limits[user] = min(valid + test, default=np.inf)
    check_exposures(data, counts, rows, limits)


@settings(max_examples=50)
@given(logs(30), st.integers(0, 5))
def test_leave_one_out_without_times(rows, seed):
    rules = Rules(split="leave-one-out", split_seed=seed)
    data, counts = split_log(rows, rules, times=False)
    liked = first_times(rows, True)
    parts = {part: pairs(data, part) for part in PARTS}
    assert parts["train"] | parts["valid"] | parts["test"] == set(liked)
    for user, number in collections.Counter(u for u, _ in liked).items():
        sizes = [sum(u == user for u, _ in parts[part]) for part in PARTS]
        held_out = [int(number >= 3), int(number >= 2)]
        assert sizes == [number - sum(held_out), *held_out]
    check_exposures(data, counts, rows, {})
    mixed = np.random.default_rng(seed).permutation(len(rows))
    again, _ = split_log([rows[n] for n in mixed], rules, times=False)
    assert again.checksum == data.checksum, "only pairs and seed count, not the order of rows"


def many_users(times, rules, num_users=24_000, num_liked=4):
    """Split the log of users who all like the same items; return items of (valid, test)."""
    users, items = np.divmod(np.arange(num_users * num_liked), num_liked)
    log = Log(
        users, items, np.ones(len(users), bool), times and np.zeros(len(users)),
        np.arange(num_users), np.arange(num_liked),
    )  # fmt: skip
    data, _ = to_interactions(log, "t", rules, {})
    assert data.valid.nnz == data.test.nnz == num_users
    return np.stack([data.valid.indices, data.test.indices])


@pytest.mark.parametrize("times", [None, True])
def test_leave_one_out_draws_equal_chances_where_no_time_decides(times):
    """Each of the 4 · 3 choices of a pair for test and another for valid is equally likely."""
    held_out = many_users(times, Rules(split="leave-one-out"))
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(held_out), 1)
    assert chi_square(counts, 1 - np.eye(4)) > 1e-3


def test_seed_draws_an_independent_leave_one_out_split():
    one, again, other = (
        many_users(None, Rules(split="leave-one-out", split_seed=seed))[1] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    both = np.zeros((4, 4))
    np.add.at(both, (one, other), 1)
    assert chi_square(both, np.ones((4, 4))) > 1e-3


def best_cuts(times, valid, test):
    """Return the cuts of the global split by trying all of them, infinity for none."""
    number = len(times)
    candidates = sorted(set(times))

    def closest(cuts, end, share):
        if not share:
            return end
        errors = {
            cut: abs(Fraction(sum(cut <= time < end for time in times), number) - Fraction(share))
            for cut in cuts
        }
        return min(cut for cut in errors if errors[cut] == min(errors.values()))

    test_cut = closest(candidates[1 + (valid > 0) :], np.inf, test)
    valid_cut = closest([cut for cut in candidates[1:] if cut < test_cut], test_cut, valid)
    return valid_cut, test_cut


@settings(max_examples=50)
@given(logs(12), SHARES, SHARES)
def test_global_split_cuts_at_the_closest_times(rows, valid, test):
    rules = Rules(split="global-temporal", valid=valid, test=test)
    liked = first_times(rows, True)
    if len(set(liked.values())) < 1 + (valid > 0) + (test > 0):
        with pytest.raises(UserError, match="--split=global-temporal: the positives of t have"):
            split_log(rows, rules)
        return
    data, counts = split_log(rows, rules)
    valid_cut, test_cut = best_cuts(list(liked.values()), valid, test)
    assert pairs(data, "train") == {pair for pair in liked if liked[pair] < valid_cut}
    assert pairs(data, "valid") == {pair for pair in liked if valid_cut <= liked[pair] < test_cut}
    assert pairs(data, "test") == {pair for pair in liked if liked[pair] >= test_cut}
    assert (
        data.train.nnz and bool(data.valid.nnz) == bool(valid) and bool(data.test.nnz) == bool(test)
    )
    check_exposures(data, counts, rows, dict.fromkeys(range(NUM_USERS), valid_cut))


@settings(max_examples=50)
@given(logs(12))
def test_global_split_leaks_no_later_time(rows):
    liked, shown = first_times(rows, True), first_times(rows, False)
    if len(set(liked.values())) < 3:
        return
    data, _ = split_log(rows, Rules(split="global-temporal"))
    train, valid, test = ([liked[pair] for pair in pairs(data, part)] for part in PARTS)
    assert max(train) < min(valid) and max(valid) < min(test)
    assert all(shown[pair] < min(valid) for pair in pairs(data, "exposed"))
    assert (data.num_users, data.num_items) == (NUM_USERS, NUM_ITEMS), "the cold are kept"


def test_global_split_of_ten_percent():
    """15 positives, one a step: 1 and 2 for test are equally close, so it gets 2; so does valid."""
    rows = [(n % NUM_USERS, n % NUM_ITEMS, True, n) for n in range(15)]
    data, _ = split_log(rows, Rules(split="global-temporal"))
    assert pairs(data, "test") == {(3, 4), (4, 5)}
    assert pairs(data, "valid") == {(1, 2), (2, 3)}


@pytest.mark.parametrize(
    ("shares", "numbers"),
    [((0.1, 0.1), (2, 1, 8)), ((0.1, 0.1), (18, 1, 1)), ((0.5, 0.4), (1, 4, 5))],
)
def test_global_split_leaves_no_part_empty(shares, numbers):
    """With three times, each part gets one, although fewer parts would be closer to the shares."""
    times = np.repeat([0, 1, 2], numbers)
    rows = [(n % NUM_USERS, n % NUM_ITEMS, True, time) for n, time in enumerate(times)]
    valid, test = shares
    _, counts = split_log(rows, Rules(split="global-temporal", valid=valid, test=test))
    assert (counts.train, counts.valid, counts.test) == numbers


def test_global_split_counts_the_pairs_of_the_k_core():
    rows = [(0, n, True, n) for n in range(4)] + [(1, 0, True, 99)]
    data, counts = split_log(rows, Rules(split="global-temporal", user_core=2))
    assert pairs(data, "test") == {(0, 3)} and pairs(data, "valid") == {(0, 2)}
    assert counts.below_core == 1


@pytest.mark.parametrize(
    ("times", "rules", "message"),
    [
        ((5,), Rules(), "have 1 distinct time, and train, valid, test need one each; choose"),
        ((5, 6), Rules(), "have 2 distinct times, and train, valid, test need one each; choose"),
        ((5,), Rules(valid=0), "have 1 distinct time, and train, test need one each; choose"),
    ],
)
def test_too_few_times_for_a_global_split_is_an_error(times, rules, message):
    rows = [(0, n, True, times[n % len(times)]) for n in range(4)]
    rows.append((0, 8, False, 0))
    rules = Rules(split="global-temporal", valid=rules.valid, test=rules.test)
    with pytest.raises(UserError, match=f"^--split=global-temporal: the positives of t {message}"):
        split_log(rows, rules)


def test_global_split_needs_times():
    with pytest.raises(UserError, match=r"^--split=global-temporal: t has no timestamps; choose"):
        split_log([(0, 0, True, 0)], Rules(split="global-temporal"), times=False)


def test_seed_of_leave_one_out_by_time_is_an_error():
    with pytest.raises(UserError, match=r"^--split_seed=3: t has a leave-one-out split by time"):
        split_log([(0, 0, True, 0)], Rules(split="leave-one-out", split_seed=3))


def test_earlier_splits_are_unchanged():
    """The checksum was computed before leave-one-out and global-temporal were added."""
    rng = np.random.default_rng(5)
    digest = hashlib.sha256()
    for latest in (10, 500):
        log = Log(
            rng.integers(0, 60, 3000), rng.integers(0, 80, 3000), rng.random(3000) < 0.6,
            rng.integers(0, latest, 3000).astype(float), np.arange(60), np.arange(80),
            rng.integers(0, 3, 3000).astype(np.int8),
        )  # fmt: skip
        for split in ("random", "temporal", "given"):
            for valid, test in ((0.1, 0.1), (0.25, 0.15), (0, 0.3)):
                rules = Rules(split=split, split_seed=3, valid=valid, test=test, user_core=3)
                data, counts = to_interactions(log, "t", rules, {})
                rows, _, *others = counts  # there was no count of missing values
                digest.update(f"{data.checksum} {(rows, *others)}".encode())
    assert digest.hexdigest()[:16] == "292e58d4e9bc3627"
