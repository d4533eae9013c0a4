"""Samplers, the loss and its gradients, compiled by XLA on the CPU."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf import losses, registry
from recns_tf.encoders.layers import LayeredTables
from recns_tf.encoders.tables import FullTables
from recns_tf.ops import kernels, random
from recns_tf.ops.item_sets import ListedItems
from recns_tf.training.build import build

POOLS = {"region": "intermediate", "region_memory": 0.0, "pool_size": 6}
DYNAMIC = ("bns",)
"""Samplers with a tensor whose length depends on the data."""

COMPILED = [(sampler, {}) for sampler in registry.SAMPLERS if sampler not in DYNAMIC]
COMPILED.append(("unins", POOLS))
REJECTING = ("popns", "mixedns", "rns-as")
"""Samplers that draw again what is not in a region, or was exposed."""

BY_INTEGERS = ("unins", "popns", "expns", "mixedns")
"""Samplers whose draws depend on no rounding."""


@pytest.fixture(autouse=True)
def chosen():
    with kernels.using("tensorflow", "coo"):
        yield


def ready(sampler, settings, data, config):
    """Return a function of the embeddings and a batch, and its arguments."""
    changed = dataclasses.replace(
        config, encoder="mf", sampler=sampler, kernels="tensorflow", sparse_engine="coo", **settings
    )
    model, pipeline, sets = build(changed, data)
    sets.prepare(0)
    for epoch in (0, 5):
        model.sampler.begin_epoch(epoch, model.encoder)

    def step(user, item, batch):
        with tf.GradientTape() as tape:
            tape.watch([user, item])
            tables = FullTables(user, item)
            if model.sampler.uses_layers:
                tables = LayeredTables([tables], [1.0])
            found = model.sampler.sample(batch, tables, batch.seed)
            loss = losses.pairwise_hinge(found.positive_scores, found.scores, 0.1)
        gradients = tape.gradient(loss, [user, item])
        return found.ids, found.scores, loss, [tf.convert_to_tensor(each) for each in gradients]

    tables = [tf.constant(table) for table in model.encoder.embeddings()]
    return step, (*tables, next(iter(pipeline.batches())))


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "settings"), COMPILED)
def test_xla_gives_the_same(sampler, settings, toy, toy_config):
    step, arguments = ready(sampler, settings, toy, toy_config)
    plain, compiled = (
        tf.nest.map_structure(
            np.array, tf.function(step, jit_compile=jit, autograph=False)(*arguments)
        )
        for jit in (False, True)
    )
    differ = plain[0] != compiled[0]
    # Functions such as exp are rounded otherwise, which may shift a draw.
    assert differ.sum() <= (0 if sampler in BY_INTEGERS else 2)
    same = ~differ if differ.shape == plain[1].shape else slice(None)  # inbatch shows one of many
    np.testing.assert_allclose(compiled[1][same], plain[1][same], rtol=1e-4, atol=1e-6)
    if not differ.any():
        np.testing.assert_allclose(compiled[2], plain[2], rtol=1e-5)
        for one, other in zip(compiled[3], plain[3], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", REJECTING)
def test_xla_refuses_draws_with_rejection(sampler, toy, toy_config):
    """It would compile some of them to a program that keeps rejected items."""
    step, arguments = ready(sampler, {"region": "intermediate"}, toy, toy_config)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"unsupported op.*: Timestamp"):
        tf.function(step, jit_compile=True, autograph=False)(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", DYNAMIC)
def test_xla_refuses_tensors_of_unknown_length(sampler, toy, toy_config):
    step, arguments = ready(sampler, {}, toy, toy_config)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Range"):
        tf.function(step, jit_compile=True, autograph=False)(*arguments)


@pytest.mark.slow
def test_membership_in_lists_of_any_length():
    """XLA gives tensors whose length depends on the data a bound instead."""
    rng = np.random.default_rng(0)
    member = rng.random((6, 30)) < np.array([0, 0.1, 0.5, 0.9, 1, 0.3])[:, None]
    sets = ListedItems(csr_array(member))
    users = rng.integers(0, 6, 20)
    for seed in range(3):
        items = np.random.default_rng(seed).permutation(30)[:11]
        found = tf.function(sets.membership, jit_compile=True, autograph=False)(
            tf.constant(users, tf.int32), tf.constant(items, tf.int32)
        )
        np.testing.assert_array_equal(found, member[users[:, None], items])


@pytest.mark.parametrize("compiled", [False, True])
def test_draws_are_those_of_the_compiled_loops(compiled):
    """Bits, seeds and numbers in [0, 1) do not depend on implementation, graph or XLA."""

    def draws():
        seed = random.stream(random.root(3), 5, 2**31 - 1)
        bound = tf.constant([[7], [2**31 - 1]])
        ids = tf.constant([0, 9])
        return (
            seed,
            random.uniform([1001, 3], seed),
            random.integers(seed, bound, [2, 999]),
            random.integers_by_id(seed, ids, tf.constant([5, 1000]), 4),
        )

    found = tf.function(draws, jit_compile=compiled, autograph=False)()
    with kernels.using("numba"):
        wanted = draws()
    tf.nest.map_structure(np.testing.assert_array_equal, found, wanted)
