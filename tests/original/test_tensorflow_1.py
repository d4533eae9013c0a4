"""Silent differences between TensorFlow 1, TensorFlow 2 and Keras 3."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders import ngcf
from recns_tf.encoders.base import half_squares
from recns_tf.ops import random
from recns_tf.training.build import build
from tests import oracles
from tests.goodness_of_fit import chi_square


def test_adam_has_tensorflow_1_s_epsilon(toy, toy_config):
    """1e-8 beside the uncorrected root of the second moment; Keras 3 would take 1e-7.

    Rows with tiny gradients distinguish the two.
    """
    model, _, _ = build(dataclasses.replace(toy_config, learning_rate=0.001), toy)
    assert keras.optimizers.Adam().epsilon == 1e-7
    gradient = np.full(model.encoder.nodes.shape, 3e-7, np.float32)
    before = model.encoder.nodes.numpy().astype(np.float64)
    for _ in range(3):
        model.optimizer.apply([tf.constant(gradient)], [model.encoder.nodes])
    moved = {}
    for epsilon in (1e-8, 1e-7):
        _, after = oracles.adam(lambda _: (0, 0, 0, gradient), before, 3, epsilon=epsilon)
        moved[epsilon] = after - before
    ours = model.encoder.nodes.numpy() - before
    np.testing.assert_allclose(ours, moved[1e-8], atol=1e-6)
    assert np.abs(moved[1e-8] - moved[1e-7]).min() > 1e-4


@pytest.mark.slow
def test_adam_moves_every_row_as_tensorflow_1_s_does(toy, toy_config):
    """The gradient of a gather is sparse, but Adam updates every row."""
    model, pipeline, _ = build(dataclasses.replace(toy_config, encoder="pinsage"), toy)
    batches = iter(pipeline.batches())
    model.train_step(next(batches))
    # One pair has few neighbors: most nodes' features have no gradient in the second step.
    one = next(batches)
    one = one._replace(**{name: getattr(one, name)[:1] for name in one._fields[:4]})
    before = model.encoder.nodes.numpy()
    with tf.GradientTape() as tape:
        loss = model.compute(one)["loss"]
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.encoder.nodes.value)).numpy()
    model.train_step(one)
    untouched = (gradient == 0).all(axis=1)
    assert untouched.any()
    moved = (model.encoder.nodes.numpy() != before).all(axis=1)
    assert moved[untouched].mean() > 0.5, "momentum moves rows without a gradient"


def test_leaky_relu_has_the_slope_of_ngcf_s_code():
    """tf.nn and keras.activations take 0.2; keras.layers.LeakyReLU would take 0.3."""
    assert ngcf.SLOPE == 0.2
    assert float(keras.layers.LeakyReLU()(tf.constant(-1.0))) == pytest.approx(-0.3)


def test_the_penalty_has_the_half_of_l2_loss():
    """tf.nn.l2_loss is half the sum of squares; keras.regularizers.L2 would be all of it."""
    weight = keras.Variable([[1.0, 2.0], [3.0, -1.0]])
    assert float(half_squares([weight])) == 7.5
    assert float(keras.regularizers.L2(1.0)(weight.value)) == 15.0


def test_a_categorical_draw_takes_logarithms():
    """Weights passed as log-weights would give another distribution."""
    weights = np.array([0.25, 0.3, 0.45], np.float32)
    counts = {}
    for name, given in (("right", np.log(weights)), ("wrong", weights)):
        drawn = random.categorical(tf.tile(given[None], [40_000, 1]), 1, random.root(3))
        counts[name] = np.bincount(drawn.numpy().ravel(), minlength=3)
    assert chi_square(counts["right"], weights) > 1e-3
    assert chi_square(counts["wrong"], weights) < 1e-6
