"""Properties of every sampler with every encoder."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.encoders.layers import LayeredTables
from recns_tf.encoders.tables import FullTables
from recns_tf.ops import random
from recns_tf.samplers.batch import Batch
from recns_tf.training.build import build
from tests.conftest import PAIRS, make_toy, members


@dataclasses.dataclass
class Stage:
    """A model on the toy graph, a full batch, and a function that samples for it."""

    config: object
    model: object
    batch: Batch
    short: Batch
    sample: object


@pytest.fixture(params=PAIRS, ids="-".join, scope="module")
def stage(request, toy, toy_config):
    encoder, sampler = request.param
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler)
    model, pipeline, _ = build(config, toy)
    model.sampler.begin_epoch(0, model.encoder)
    batches = list(pipeline.batches().take(pipeline.steps_per_epoch))

    @tf.function(autograph=False)
    def sample(batch, seed):
        return model.sampler.sample(batch, model.sampler.encode(model.encoder, False), seed)

    return Stage(config, model, batches[0], batches[-1], sample)


@pytest.mark.slow
def test_shapes_and_ranges(stage, toy):
    for batch in (stage.batch, stage.short):
        negatives = stage.sample(batch, batch.seed)
        size = len(batch.users)
        inside = stage.config.sampler == "inbatch"
        assert negatives.ids.shape == (size, 1 if inside else stage.config.num_negatives)
        assert negatives.ids.dtype == tf.int32
        assert negatives.scores.shape == (size, size if inside else stage.config.num_negatives)
        assert negatives.positive_scores.shape == (size,)
        assert negatives.scores.dtype == negatives.positive_scores.dtype == tf.float32
        ids = negatives.ids.numpy()
        assert ((ids >= 0) & (ids < toy.num_items)).all()
        assert np.isfinite(negatives.scores).all()
    assert len(stage.short.users) < stage.config.batch_size, "the last batch is to be short"


@pytest.mark.slow
def test_no_train_positive_is_ever_a_negative(stage, toy):
    train = toy.train.toarray()
    for n in range(20):
        ids = stage.sample(stage.batch, random.root(n)).ids.numpy()
        assert not train[stage.batch.users.numpy()[:, None], ids].any()


def test_result_depends_on_the_seed(stage):
    one, again, other = (stage.sample(stage.batch, random.root(n)).ids.numpy() for n in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    if stage.config.sampler not in ("recns-w", "srns"):  # they choose the best, whatever the seed
        assert not np.array_equal(one, other)


@pytest.mark.slow
def test_graph_and_eager_execution_agree(stage):
    graph = stage.sample(stage.batch, stage.batch.seed)
    eager = stage.model.sampler.sample(
        stage.batch, stage.model.sampler.encode(stage.model.encoder, False), stage.batch.seed
    )
    np.testing.assert_array_equal(graph.ids, eager.ids)
    np.testing.assert_allclose(graph.scores, eager.scores, rtol=1e-5, atol=1e-6)


def test_second_call_does_not_retrace(stage):
    stage.sample(stage.batch, stage.batch.seed)
    traced = stage.sample.experimental_get_tracing_count()
    stage.sample(stage.batch, random.root(9))
    assert stage.sample.experimental_get_tracing_count() == traced


@pytest.mark.slow
def test_choice_uses_frozen_embeddings_only(stage):
    """Zeros in the live tables do not change the choice, and frozen tables get no gradient."""
    encoder, uses_layers = stage.model.encoder, stage.model.sampler.uses_layers
    tables = [tf.constant(table) for table in encoder.embeddings()]
    if uses_layers:
        layers = encoder.encode_layers(False).layers
        tables = [
            tf.constant(each.numpy()) for layer in layers for each in (layer.user, layer.item)
        ]
    zeros = [tf.zeros_like(table) for table in tables]

    def pairs(tables):
        return [FullTables(*pair) for pair in zip(tables[::2], tables[1::2], strict=True)]

    with tf.GradientTape(persistent=True) as tape:
        tape.watch([*tables, *zeros])
        if uses_layers:
            weights = encoder.layer_weights()
            known, live = (LayeredTables(pairs(each), weights) for each in (tables, zeros))
        else:
            ((known,), (live,)) = pairs(tables), pairs(zeros)
        live.frozen = lambda: known
        split = stage.model.sampler.sample(stage.batch, live, stage.batch.seed)
        weights = tf.random.stateless_normal(split.scores.shape, [1, 2])
        loss = tf.reduce_sum(split.scores * weights)
    whole = stage.model.sampler.sample(stage.batch, known, stage.batch.seed)
    np.testing.assert_array_equal(split.ids, whole.ids)
    assert tape.gradient(loss, tables) == [None] * len(tables)
    assert None not in tape.gradient(loss, zeros[1::2])
    np.testing.assert_array_equal(split.scores, 0)


def test_statistics_are_the_declared_scalars(stage):
    negatives = stage.sample(stage.batch, stage.batch.seed)
    assert tuple(negatives.statistics) == type(stage.model.sampler).statistics
    for value in negatives.statistics.values():
        assert value.shape == () and np.isfinite(value)


@pytest.mark.slow
def test_only_update_state_changes_the_sampler_and_never_the_encoder(stage):
    def weights(part):
        return [weight.numpy() for weight in part.weights]

    model = stage.model
    negatives = model.sampler.sample(
        stage.batch, model.sampler.encode(model.encoder, False), stage.batch.seed
    )
    before, encoder = weights(model.sampler), weights(model.encoder)
    stage.sample(stage.batch, stage.batch.seed)
    for one, other in zip(weights(model.sampler), before, strict=True):
        np.testing.assert_array_equal(one, other)
    model.sampler.update_state(stage.batch, negatives.feedback)
    for one, other in zip(weights(model.encoder), encoder, strict=True):
        np.testing.assert_array_equal(one, other)
    changed = [
        not np.array_equal(one, other)
        for one, other in zip(weights(model.sampler), before, strict=True)
    ]
    assert any(changed) == (stage.config.sampler in ("mcns", "srns", "advns", "rns-as"))
    own = {weight.path for weight in model.sampler.trainable_variables}
    assert not own & {weight.path for weight in model.encoder.trainable_variables}
    assert bool(own) == (stage.config.sampler in ("advns", "rns-as", "dens"))
    joint = {weight.path for weight in model.sampler.jointly_trained}
    assert joint == (own if stage.config.sampler == "dens" else set())


@pytest.fixture(params=registry.SAMPLERS)
def config(request, toy_config):
    """Settings with each sampler. What follows depends on no encoder."""
    return dataclasses.replace(toy_config, sampler=request.param)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("region", "memory"), [("intermediate", 2.0), ("intermediate", 0.0), ("distant", 2.0)]
)
def test_region_restricts_what_is_drawn(config, region, memory):
    # khop 3 covers almost all of the toy graph; in a thinner one the regions differ.
    thin = make_toy(density=0.04)
    config = dataclasses.replace(config, region=region, region_memory=memory, pool_size=6)
    model, pipeline, region_sets = build(config, thin)
    region_sets.prepare(0)
    model.sampler.begin_epoch(0, model.encoder)
    inside = members(thin.train.toarray(), region, 3, "walk")
    tables = model.sampler.encode(model.encoder, False)
    seen = 0
    for batch in pipeline.batches().take(pipeline.steps_per_epoch):
        negatives = model.sampler.sample(batch, tables, batch.seed)
        ids, users = negatives.ids.numpy(), batch.users.numpy()
        with_region = inside[users].any(axis=1)
        if negatives.kept is not None:
            with_region &= negatives.kept.numpy().any(axis=1)
        legal = inside[users[:, None], ids]
        if model.sampler.draws_exposed:
            legal |= thin.exposed.toarray()[users[:, None], ids]
        assert legal[with_region].all()
        seen += with_region.sum()
    assert seen > 0


@pytest.mark.slow
def test_default_region_is_that_of_the_paper_and_uses_train_only(config, toy):
    _, pipeline, region_sets = build(config, toy)
    region = region_sets.region
    recns = config.sampler.startswith("recns")
    assert region.kind == ("intermediate" if recns else "all")
    unobserved = toy.num_items - np.diff(toy.train.indptr)
    if not recns:
        np.testing.assert_array_equal(region.counts, unobserved)
        np.testing.assert_array_equal(pipeline.region.count(tf.range(toy.num_users)), unobserved)


@pytest.mark.slow
def test_one_negative_and_one_candidate_work(config, toy):
    config = dataclasses.replace(config, num_negatives=1, num_candidates=1)
    model, pipeline, _ = build(config, toy)
    model.sampler.begin_epoch(0, model.encoder)
    batch = next(iter(pipeline.batches()))
    negatives = model.sampler.sample(
        batch, model.sampler.encode(model.encoder, False), random.root(0)
    )
    assert negatives.ids.shape == (64, 1)
