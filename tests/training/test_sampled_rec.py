import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.encoders.tables import StaleTables
from recns_tf.ops import random
from recns_tf.ops.random import Purpose
from recns_tf.training.build import build
from tests import oracles
from tests.conftest import PAIRS


@pytest.fixture
def stage(toy, toy_config):
    def make(**changes):
        config = dataclasses.replace(toy_config, **changes)
        model, pipeline, _ = build(config, toy)
        return config, model, next(iter(pipeline.batches()))

    return make


@pytest.mark.parametrize("scores", ["inner", "cosine"])
@pytest.mark.parametrize("loss", ["pairwise_hinge", "augmented_hinge", "plain_hinge", "bpr", "bsl"])
def test_loss_of_a_batch_follows_the_paper(stage, toy, loss, scores):
    """Propagation, scores, loss and penalty together, for given negatives."""
    options = {"temperature": 0.4, "temperature_2": 1.2} if loss == "bsl" else {}
    config, model, batch = stage(
        sampler="unins", loss=loss, l2=0.01, margin=0.2, scores=scores, **options
    )
    values = model.compute(batch)
    nodes = model.encoder.nodes.numpy()
    final = oracles.lightgcn(toy.train.toarray(), nodes, config.num_layers)
    final = oracles.unit(final) if scores == "cosine" else final
    user, item = final[: toy.num_users], final[toy.num_users :]
    ids = model.sampler.sample(
        batch, model.encoder.encode(True), random.stream(batch.seed, Purpose.SAMPLER)
    ).ids.numpy()
    users, positives = batch.users.numpy(), batch.positives.numpy()
    expected = getattr(oracles, loss)(
        user[users], item[positives], item[ids], config.margin, **options
    )
    assert float(values["ranking_loss"]) == pytest.approx(expected, rel=1e-4)
    tables = nodes[: toy.num_users], nodes[toy.num_users :]
    penalty = config.l2 * oracles.l2_penalty(*tables, users, positives, ids)
    assert float(values["penalty"]) == pytest.approx(penalty, rel=1e-4)
    assert float(values["loss"]) == pytest.approx(expected + penalty, rel=1e-4)
    negative_score = np.einsum("bd,bkd->bk", user[users], item[ids]).mean()
    assert float(values["negative_score"]) == pytest.approx(negative_score, rel=1e-3, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize(
    ("encoder", "sampler"), [*((each, "dns") for each in registry.ENCODERS), ("lightgcn", "recns")]
)
def test_cosines_are_for_the_loss_alone(stage, toy, encoder, sampler, stale):
    """Sampler and ranking see the same embeddings as without them."""
    settings = {"encoder": encoder, "sampler": sampler, "loss": "ccl", "stale_scores": stale}
    _, inner, batch = stage(**settings)
    _, cosine, _ = stage(**settings, scores="cosine")
    (one, ours), (other, theirs) = (model.forward(batch) for model in (cosine, inner))
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    for name in cosine.sampler.statistics:
        assert float(one[name]) == float(other[name])
    for table, same in zip(cosine.encoder.embeddings(), inner.encoder.embeddings(), strict=True):
        np.testing.assert_array_equal(table, same)
    live = cosine.encoder.encode(True, random.stream(batch.seed, Purpose.ENCODER))
    users = oracles.unit(live.users(batch.users).numpy())
    positives = oracles.unit(live.items(batch.positives).numpy())
    found = ours.positive_scores.numpy()
    np.testing.assert_allclose(found, (users * positives).sum(axis=1), rtol=1e-4, atol=1e-6)
    assert np.abs(ours.scores).max() <= 1.0001
    if encoder != "pinsage":
        assert not np.allclose(found, theirs.positive_scores, rtol=1e-2)


def test_recns_merges_embeddings_of_length_1_for_cosines(stage, toy):
    config, model, batch = stage(sampler="recns", scores="cosine", stale_scores=False)
    tables = model.encoder.encode(True)
    scaled = StaleTables(tables.unit(), tables)
    ids = model.sampler.choose(batch, tables.frozen(), batch.seed).ids.numpy()
    user, item = (oracles.unit(each.numpy()) for each in (tables.user, tables.item))
    k = config.num_negatives
    merged = item[ids[:, k:]] / k + (1 - 1 / k) * item[ids[:, :k]]
    expected = np.einsum("bd,bkd->bk", user[batch.users.numpy()], merged)
    found = model.sampler.sample(batch, scaled, batch.seed).scores
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_train_step_is_a_step_of_adam(stage):
    config, model, batch = stage(adam_epsilon=1e-4)
    before = model.encoder.nodes.numpy()
    with tf.GradientTape() as tape:
        loss = model.compute(batch)["loss"]
    gradient = tape.gradient(loss, model.encoder.nodes.value).numpy().astype(np.float64)
    model.train_step(batch)
    # The first step of Adam in the form of TensorFlow 1 and Keras, which add epsilon to
    # the uncorrected root of the second moment, (1 - b2) g^2.
    epsilon = config.adam_epsilon / np.sqrt(1 - 0.999)
    step = config.learning_rate * gradient / (np.abs(gradient) + epsilon)
    np.testing.assert_allclose(model.encoder.nodes.numpy(), before - step, atol=1e-6)
    assert np.abs(step).max() > 1e-4


def test_one_step_propagates_once(stage, monkeypatch):
    _, model, batch = stage()
    calls = []
    encode = model.encoder.encode
    monkeypatch.setattr(
        model.encoder, "encode", lambda *arguments: (calls.append(1), encode(*arguments))[1]
    )
    model.train_step(batch)
    assert calls == [1]


@pytest.mark.parametrize("settings", [{"loss": "bpr"}, {"loss": "bsl", "scores": "cosine"}])
def test_gradient_agrees_with_finite_differences(stage, settings):
    """Through propagation, merge, loss and penalty; the choice of negatives is fixed."""
    _, model, batch = stage(l2=0.05, **settings)
    chosen = {}
    choose = model.sampler.choose

    def frozen_choice(batch, tables, seed):
        return chosen.setdefault("once", choose(batch, tables, seed))

    model.sampler.choose = frozen_choice
    nodes = model.encoder.nodes
    with tf.GradientTape() as tape:
        loss = model.compute(batch)["loss"]
    gradient = tape.gradient(loss, nodes.value).numpy()
    start, rng = nodes.numpy(), np.random.default_rng(0)
    for _ in range(5):
        direction = rng.normal(size=start.shape)
        slopes = []
        for sign in (1, -1):
            nodes.assign(start + sign * 0.005 * direction)
            slopes.append(float(model.compute(batch)["loss"]))
        slope = (slopes[0] - slopes[1]) / 0.01
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.02, abs=2e-3)


def test_reported_means_are_over_the_epoch(stage):
    _, model, batch = stage()
    losses = []
    for _ in range(3):
        losses.append(float(model.compute(batch)["loss"]))
        reported = model.train_step(batch)
    assert float(reported["loss"]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert set(reported) == {
        "loss",
        "ranking_loss",
        "penalty",
        "positive_score",
        "negative_score",
        "false_negatives",
        "exposed_negatives",
        "negative_popularity",
        "hardness",
        "amplification",
        "sampling_seconds",
    }


@pytest.mark.slow
def test_fit_traces_one_graph_for_full_and_short_batches(toy, toy_config, monkeypatch):
    model, pipeline, _ = build(toy_config, toy)
    traces = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda batch: (traces.append(1), forward(batch))[1])
    steps = pipeline.steps_per_epoch
    assert toy.train.nnz % toy_config.batch_size, "the last batch is to be short"
    model.fit(pipeline.batches(), steps_per_epoch=steps, epochs=2, verbose=0, shuffle=False)
    assert traces == [1]


def state_of(sampler):
    return [weight.numpy() for weight in sampler.weights]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["advns", "rns-as", "mcns", "srns"])
def test_train_step_changes_the_state_of_the_sampler(stage, sampler):
    _, model, batch = stage(sampler=sampler)
    model.sampler.begin_epoch(0, model.encoder)
    before = state_of(model.sampler)
    model.train_step(batch)
    names = [weight.name for weight in model.sampler.weights]
    changed = {
        name
        for name, old, new in zip(names, before, state_of(model.sampler), strict=True)
        if not np.array_equal(old, new)
    }
    expected = {
        "advns": {"baseline", "nodes", "bias"},
        "rns-as": {"totals", "nodes", "bias"},
        "mcns": {"chain"},
        "srns": {"memory"},
    }
    assert changed == expected[sampler]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["compute", "forward"])
@pytest.mark.parametrize("sampler", ["advns", "rns-as", "mcns", "srns"])
def test_computing_the_loss_changes_no_state(stage, sampler, method):
    _, model, batch = stage(sampler=sampler)
    model.sampler.begin_epoch(0, model.encoder)
    before = state_of(model.sampler)
    getattr(model, method)(batch)
    for old, new in zip(before, state_of(model.sampler), strict=True):
        np.testing.assert_array_equal(old, new)


def assert_same_steps(one, other, batches):
    """Assert that two models take the same training steps, to the last digit."""
    for model in (one, other):
        model.reset_metrics()
    for batch in batches:
        assert float(one.train_step(batch)["loss"]) == float(other.train_step(batch)["loss"])
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_saved_model_continues_training_with_the_same_steps(toy, toy_config, tmp_path, pair):
    encoder, sampler = pair
    model, pipeline, _ = build(
        dataclasses.replace(toy_config, encoder=encoder, sampler=sampler), toy
    )
    model.sampler.begin_epoch(0, model.encoder)
    first, *others = pipeline.batches().take(3)
    model.train_step(first)
    model.save(tmp_path / "model.keras")
    assert_same_steps(keras.saving.load_model(tmp_path / "model.keras"), model, others)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"l2_scope": "all", "encoder": "ngcf"},
        {"stale_scores": True, "loss": "bpr"},
        {"sampler": "inbatch", "inbatch_logq": True, "inbatch_hits": "keep", "loss": "softmax"},
        {"scores": "cosine", "loss": "bsl", "temperature": 0.25, "temperature_2": 1.25},
        {"gradient_clip": 0.1, "adam_epsilon": 1e-4, "region": "intermediate"},
        {"region": "intermediate", "region_memory": 0.0, "pool_size": 6},
    ],
    ids=str,
)
def test_saved_model_keeps_its_other_settings(toy, toy_config, tmp_path, changes):
    config = dataclasses.replace(toy_config, **{"sampler": "advns", **changes})
    model, pipeline, region = build(config, toy)
    region.prepare(0)
    first, *others = pipeline.batches().take(3)
    model.train_step(first)
    model.save(tmp_path / "model.keras")
    assert_same_steps(keras.saving.load_model(tmp_path / "model.keras"), model, others)


def fit(model, pipeline, **options):
    """Call Keras' fit on the batches of a pipeline."""
    return model.fit(
        pipeline.batches(),
        steps_per_epoch=pipeline.steps_per_epoch,
        verbose=0,
        shuffle=False,
        **options,
    )


@pytest.mark.slow
def test_keras_callbacks_work_in_fit(toy, toy_config, tmp_path):
    model, pipeline, _ = build(toy_config, toy)
    callbacks = keras.callbacks
    history = fit(
        model,
        pipeline,
        epochs=3,
        callbacks=[
            callbacks.ModelCheckpoint(tmp_path / "model.keras", monitor="loss"),
            callbacks.ModelCheckpoint(
                tmp_path / "model.weights.h5", monitor="loss", save_weights_only=True
            ),
            callbacks.CSVLogger(tmp_path / "log.csv"),
            callbacks.TerminateOnNaN(),
        ],
    )
    assert len(history.history["loss"]) == 3
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 3 and {"epoch", "loss", "hardness"} <= set(header.split(","))
    expected = model.encoder.embeddings()
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    other, _, _ = build(dataclasses.replace(toy_config, seed=9), toy)
    other.load_weights(tmp_path / "model.weights.h5")
    for each in (loaded, other):
        for ours, theirs in zip(each.encoder.embeddings(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_early_stopping_restores_the_best_weights(toy, toy_config):
    model, pipeline, _ = build(toy_config, toy)
    # No epoch improves on the first by so much.
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", min_delta=1e9, patience=1, restore_best_weights=True
    )
    tables = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tables.append(model.encoder.nodes.numpy())
    )
    history = fit(
        model,
        pipeline,
        epochs=5,
        callbacks=[record, stop],
    )
    assert len(history.history["loss"]) == 2 and stop.best_epoch == 0
    np.testing.assert_array_equal(model.encoder.nodes, tables[0])
    assert not np.array_equal(tables[0], tables[1])


def test_training_stops_at_a_loss_that_is_not_a_number(toy, toy_config):
    model, pipeline, _ = build(dataclasses.replace(toy_config, sampler="unins"), toy)
    model.encoder.nodes.assign(np.nan * model.encoder.nodes)
    history = fit(
        model,
        pipeline,
        epochs=5,
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    assert len(history.history["loss"]) == 1
