"""MCNS: its transitions, their limit, and the state between batches."""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Config
from recns_tf.ops import random
from recns_tf.ops.item_sets import ComplementItems
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.depth_first import depth_first_lists
from recns_tf.samplers.mcns import MCNS, NOT_STARTED
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square, independence
from tests.samplers import worlds

NUM_ITEMS, ROWS = 10, 200_000
MIX, POWER = 0.3, 0.75
LISTS = [[1, 2, 3], [2], [0, 5, 9, 4], [], [2, 8], [6, 7, 1, 0], [5], [3, 9, 6], [4, 0]]
LISTS += [[7, 8, 2, 1]]
POSITIVES = [[4, 9], [2, 6]]
SCORE = np.random.default_rng(4).normal(size=(2, NUM_ITEMS)) * 1.5
"""Two kinds of users: users 0 to 9 are of the first, 10 to 19 of the second."""
KIND = np.repeat([0, 1], NUM_ITEMS)
POOL = worlds.unobserved([POSITIVES[kind] for kind in KIND], NUM_ITEMS)
NUM_USERS = len(KIND)


def tables(shift=0.0, scale=1.0):
    item = np.column_stack([scale * SCORE.T, np.full(NUM_ITEMS, shift)])
    return worlds.tables(np.column_stack([np.eye(2)[KIND], np.ones(NUM_USERS)]), item)


def make(k=1, burn=0, thin=1, lists=LISTS, mix=MIX, power=POWER, pool=POOL):
    lengths = np.array([len(items) for items in lists], np.int32)
    table = np.full((len(lists), max(lengths)), -1, np.int32)
    for item, items in enumerate(lists):
        table[item, : len(items)] = items
    return MCNS(k, pool, table, lengths, NUM_USERS, mix=mix, power=power, burn=burn, thin=thin)


def run(sampler, users, starts=None, **options):
    """Sample for a batch of `users`, after setting their chains if given."""
    if starts is not None:
        sampler.chain.assign(np.full(NUM_USERS, starts, np.int32))
    batch = worlds.batch(len(users))._replace(users=tf.constant(users, tf.int32))
    return worlds.sample(sampler, batch, tables(**options))


def distribution(kind, shift=0.0, scale=1.0, power=POWER, positives=POSITIVES):
    """Return σ(score)^power over the pool, normalized."""
    logs = -power * np.logaddexp(0, -(scale * SCORE[kind] + shift))
    weights = np.exp(logs - logs.max())
    weights[positives[kind]] = 0.0
    return weights / weights.sum()


def proposals(lists=LISTS, mix=MIX, width=None):
    """Return the two parts of q(y|x), whose sum it is."""
    anywhere = np.full((NUM_ITEMS, NUM_ITEMS), mix / NUM_ITEMS)
    near = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for x, items in enumerate(lists):
        for y in items:
            near[x, y] += (1 - mix) / (width or len(items))
        if not items:
            anywhere[x] = 1 / NUM_ITEMS
    return anywhere, near


def acceptance(pi, ratio):
    """Return min(1, π(y) / π(x) · ratio); a state outside the pool moves to any inside."""
    chance = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for x in range(NUM_ITEMS):
        for y in range(NUM_ITEMS):
            if pi[y] > 0:
                chance[x, y] = min(1, pi[y] / pi[x] * ratio[x, y]) if pi[x] > 0 else 1
    return chance


def resting(moves):
    """Return the kernel that stays where it does not move."""
    return moves + np.diag(1 - moves.sum(axis=1))


def kernel(pi, lists=LISTS, mix=MIX, trusted=None):
    """Return P(next = y | now = x); the acceptance uses `trusted` for q."""
    q = sum(proposals(lists, mix))
    trusted = q if trusted is None else trusted
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(q > 0, trusted.T / trusted, 0)
    return resting(q * acceptance(pi, ratio))


def by_component(pi):
    """Return the kernel that accepts by the density of the component that proposed."""
    anywhere, near = proposals()
    forward = near / (1 - MIX)
    back = np.where(forward.T > 0, forward.T, 1 / NUM_ITEMS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(forward > 0, back / forward, 0)
    moves = anywhere * acceptance(pi, np.ones_like(near)) + near * acceptance(pi, ratio)
    return resting(moves)


def mutants(kind):
    pi = distribution(kind)
    return {
        "no ratio of proposals": kernel(pi, trusted=np.ones((NUM_ITEMS, NUM_ITEMS))),
        "ratio of the component alone": by_component(pi),
        "ratio turned round": kernel(pi, trusted=1 / sum(proposals())),
        "full lists supposed": kernel(pi, trusted=sum(proposals(width=4))),
        "power missing": kernel(distribution(kind, power=1.0)),
        "other user": kernel(distribution(1 - kind, positives=POSITIVES[::-1])),
        "positives kept": kernel(distribution(kind, positives=[[], []])),
    }


def stationary(transitions):
    return np.linalg.matrix_power(transitions, 4096)[1]


def rows_of(pairs, users):
    """Return how often each item came after each user's state."""
    table = np.zeros((NUM_USERS, NUM_ITEMS))
    np.add.at(table, (users, pairs), 1)
    return table


def misfit(table, transitions):
    """Return the smallest p-value of the rows."""
    return min(chi_square(seen, row) for seen, row in zip(table, transitions, strict=True))


USERS = np.random.default_rng(1).permutation(np.repeat(np.arange(NUM_USERS), 10_000))
AT_ALL_ITEMS = np.tile(np.arange(NUM_ITEMS), 2)


def one_step():
    return rows_of(run(make(), USERS, AT_ALL_ITEMS).ids[:, 0], USERS)


@pytest.mark.parametrize("kind", [0, 1])
def test_kernel_is_in_detailed_balance(kind):
    pi = distribution(kind)
    flow = pi[:, None] * kernel(pi)
    np.testing.assert_allclose(flow, flow.T, atol=1e-15)
    for name in ("no ratio of proposals", "ratio of the component alone"):
        flow = pi[:, None] * mutants(kind)[name]
        assert abs(flow - flow.T).max() > 1e-3, name


def test_every_transition_is_that_of_the_kernel():
    """Starts at all items; a chain outside the pool moves to the first proposal inside."""
    table = one_step()
    for kind in (0, 1):
        seen = table[kind * NUM_ITEMS :][:NUM_ITEMS]
        assert misfit(seen, kernel(distribution(kind))) > 1e-3
        for name, mutant in mutants(kind).items():
            assert misfit(seen, mutant) < 1e-6, name
        assert misfit(seen, kernel(distribution(kind), mix=1 - MIX)) < 1e-6
        for outside in POSITIVES[kind]:
            inside = sum(proposals())[outside] * (distribution(kind) > 0)
            assert seen[outside].sum() - seen[outside, outside] == pytest.approx(
                10_000 * inside.sum(), rel=0.03
            )


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (-200.0, 0.3)])
def test_chains_converge_to_the_positive_distribution(shift, scale):
    """Starts outside the pool, and includes scores whose σ is 0 in float32."""
    users = np.tile([0, 10], ROWS // 2)
    begin = np.array([POSITIVES[kind][0] for kind in KIND])
    table = rows_of(run(make(burn=39), users, begin, shift=shift, scale=scale).ids[:, 0], users)
    for kind in (0, 1):
        pi, observed = distribution(kind, shift, scale), table[10 * kind]
        after = np.linalg.matrix_power(kernel(pi), 40)[POSITIVES[kind][0]]
        np.testing.assert_allclose(after, pi, atol=5e-5)
        assert chi_square(observed, pi) > 1e-3
        if shift == 0:
            for name, mutant in mutants(kind).items():
                assert chi_square(observed, stationary(mutant)) < 1e-6, name
            assert chi_square(observed, distribution(kind) > 0) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "power"), [(0.0, POWER), (1.0, 0.0)])
def test_constant_scores_or_power_0_give_uniform_sampling(scale, power):
    users = np.zeros(ROWS // 2, int)
    chains = run(make(burn=29, power=power), users, 2, scale=scale)
    uniform = run(UniNS(1, POOL), users)
    one, other = (np.bincount(n.ids[:, 0], minlength=NUM_ITEMS) for n in (chains, uniform))
    free = distribution(0) > 0
    assert chi_square(one, free) > 1e-3
    assert independence([one[free], other[free]]) > 1e-3


@pytest.mark.slow
def test_the_k_negatives_are_states_of_one_chain(monkeypatch):
    users = np.zeros(ROWS, int)
    transitions = kernel(distribution(0))

    def pairs(seed_users):
        ids = run(make(k=3), seed_users, 0).ids
        table = np.zeros((2, NUM_ITEMS, NUM_ITEMS))
        for n in (0, 1):
            np.add.at(table[n], (ids[:, n], ids[:, n + 1]), 1)
        return table

    joint = [row[:, None] * transitions for row in (transitions[0], transitions[0] @ transitions)]
    table = pairs(users)
    for seen, expected in zip(table, joint, strict=True):
        assert chi_square(seen, expected) > 1e-3
        assert chi_square(seen, np.outer(expected.sum(1), expected.sum(0))) < 1e-6
    stream = random.stream
    monkeypatch.setattr(random, "stream", lambda seed, *branches: stream(seed, *branches[:1]))
    assert chi_square(pairs(users)[0], joint[0]) < 1e-6, "the same numbers in every step"


@pytest.mark.slow
def test_rows_are_independent(monkeypatch):
    uniform = tf.random.stateless_uniform

    def neighbors():
        ids = run(make(k=2), np.zeros(ROWS, int), 0).ids
        return [
            independence(contingency(one, two))
            for one, two in ((ids[::2, 0], ids[1::2, 0]), (ids[:-1, 0], ids[1:, 1]))
        ]

    def contingency(one, two):
        table = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(table, (one, two), 1)
        return table[np.ix_(distribution(0) > 0, distribution(0) > 0)]

    def patch(coins):
        monkeypatch.setattr(
            tf.random, "stateless_uniform", lambda *a, **kw: uniform(*a, **kw) if kw else coins(*a)
        )

    assert min(neighbors()) > 1e-3
    patch(lambda shape, seed: tf.repeat(uniform(shape // 2, seed), 2))
    assert neighbors()[0] < 1e-6, "a coin for two rows"
    patch(lambda shape, seed: tf.fill(shape, uniform([], seed)))
    assert misfit(one_step()[:10], kernel(distribution(0))) < 1e-6, "a coin for all rows"


def test_chain_starts_at_a_uniform_item_of_the_pool():
    users = np.zeros(ROWS, int)
    observed = np.bincount(run(make(), users, NOT_STARTED).ids[:, 0], minlength=NUM_ITEMS)
    free = (distribution(0) > 0) / (distribution(0) > 0).sum()
    assert chi_square(observed, free @ kernel(distribution(0))) > 1e-3
    assert chi_square(observed, free) < 1e-6, "not moved"
    assert chi_square(observed, np.full(NUM_ITEMS, 0.1) @ kernel(distribution(0))) < 1e-6


def test_burn_and_thin_are_numbers_of_steps():
    """On a path chains are slow, which shows the number of steps."""
    path = [[y for y in (x - 1, x + 1) if 0 <= y < NUM_ITEMS] for x in range(NUM_ITEMS)]
    pool = worlds.unobserved([[]] * NUM_USERS, NUM_ITEMS)
    sampler = make(k=3, burn=4, thin=3, lists=path, mix=0.05, pool=pool)
    ids = run(sampler, np.zeros(ROWS, int), 0, scale=0.0).ids
    step = kernel(np.full(NUM_ITEMS, 0.1), path, 0.05)
    for column, number in enumerate([7, 10, 13]):
        observed = np.bincount(ids[:, column], minlength=NUM_ITEMS)
        for other in range(number - 2, number + 3):
            p = chi_square(observed, np.linalg.matrix_power(step, other)[0])
            assert p > 1e-3 if other == number else p < 1e-6


def test_acceptance_is_the_share_of_accepted_proposals():
    """Counts all steps of the call, starting outside the pool."""
    chains = run(make(k=4, burn=3, thin=2), np.zeros(ROWS, int), 4)
    pi, q = distribution(0), sum(proposals())
    transitions = kernel(pi)
    rate = (q * acceptance(pi, q.T / q)).sum(axis=1)
    at = [np.linalg.matrix_power(transitions, n)[4] for n in range(3 + 4 * 2)]
    expected = np.mean([here @ rate for here in at])
    assert chains.statistics["acceptance"] == pytest.approx(expected, abs=1.5e-3)
    others = {
        "changes alone": np.mean([here @ (1 - np.diag(transitions)) for here in at]),
        "without the burn": np.mean([here @ rate for here in at[3:]]),
        "at rest": pi @ rate,
    }
    for name, other in others.items():
        assert abs(other - expected) > 4e-3, name


@pytest.mark.slow
def test_only_update_state_moves_the_chains():
    sampler = make(k=3, burn=2, thin=2)
    starts = np.where(AT_ALL_ITEMS % 3 == 0, NOT_STARTED, AT_ALL_ITEMS)
    users = np.array([3, 7, 3, 12, 3, 7, 19] * 30)
    negatives = run(sampler, users, starts)
    np.testing.assert_array_equal(sampler.chain, starts)
    np.testing.assert_array_equal(negatives.feedback, negatives.ids[:, -1])
    assert len(np.unique(negatives.feedback[users == 3])) > 3, "repeats of a user must differ"

    batch = worlds.batch(len(users))._replace(users=tf.constant(users, tf.int32))
    tf.function(lambda feedback: sampler.update_state(batch, feedback))(
        tf.constant(negatives.feedback)
    )
    expected = starts.copy()
    for user in (3, 7, 12, 19):
        expected[user] = negatives.feedback[np.flatnonzero(users == user)[0]]
    np.testing.assert_array_equal(sampler.chain, expected)


@pytest.mark.slow
def test_next_batch_continues_from_the_stored_state():
    sampler = make()
    users = np.zeros(ROWS, int)
    first = run(sampler, users, 0)
    batch = worlds.batch(ROWS)._replace(users=tf.constant(users, tf.int32))
    sampler.update_state(batch, tf.constant(first.feedback))
    kept = int(first.feedback[0])
    again = np.bincount(run(sampler, users).ids[:, 0], minlength=NUM_ITEMS)
    transitions, free = kernel(distribution(0)), distribution(0) > 0
    assert chi_square(again, transitions[kept]) > 1e-3
    assert chi_square(again, free @ transitions) < 1e-6, "born again"
    assert chi_square(again, np.bincount(first.feedback, minlength=10) @ transitions) < 1e-6


def test_lists_and_flags_reach_the_sampler(toy):
    config = Config(
        num_negatives=2, seed=3, mcns_list=7, mcns_mix=0.2, mcns_power=0.6, mcns_burn=5, mcns_thin=3
    )
    sampler = MCNS.from_settings(config, SamplerContext(toy, ComplementItems(toy.train), 1))
    lists, lengths = depth_first_lists(toy.train, 7, 3)
    np.testing.assert_array_equal(sampler.lists, lists)
    np.testing.assert_array_equal(sampler.lengths, lengths)
    flags = (sampler.mix, sampler.power, sampler.burn, sampler.thin, sampler.num_negatives)
    assert flags == (0.2, 0.6, 5, 3, 2)
    assert sampler.chain.shape == (toy.train.shape[0],)
    assert (np.asarray(sampler.chain) == NOT_STARTED).all()
