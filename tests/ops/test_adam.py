"""The fused Adam is Adam."""

import keras
import numpy as np
import pytest

from recns_tf.ops.adam import FusedAdam

RATE, EPSILON = 0.01, 1e-4


def gradients(steps, shape=(7, 3)):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for _ in range(steps)]


def after(optimizer, given):
    """Return a weight, initially 1, after the steps of an optimizer."""
    weight = keras.Variable(np.ones(given[0].shape, np.float32))
    optimizer.build([weight])
    for gradient in given:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    return weight.numpy()


def by_hand(given, clip=np.inf):
    """Return the same by the formula of Kingma and Ba, in float64."""
    weight, first, second = (np.full(given[0].shape, start) for start in (1.0, 0.0, 0.0))
    for step, gradient in enumerate(np.clip(np.float64(given), -clip, clip), start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weight -= rate * first / (np.sqrt(second) + EPSILON)
    return weight


def test_it_follows_the_formula():
    given = gradients(20)
    np.testing.assert_allclose(
        after(FusedAdam(RATE, epsilon=EPSILON), given), by_hand(given), rtol=1e-5
    )


def test_it_is_the_adam_of_keras():
    given = gradients(20)
    ours, its = (
        after(kind(RATE, epsilon=EPSILON), given) for kind in (FusedAdam, keras.optimizers.Adam)
    )
    np.testing.assert_allclose(ours, its, rtol=1e-6)


def test_it_clips_gradients():
    given = gradients(5)
    ours = after(FusedAdam(RATE, epsilon=EPSILON, clipvalue=0.1), given)
    np.testing.assert_allclose(ours, by_hand(given, clip=0.1), rtol=1e-5)


def test_it_can_be_saved():
    config = keras.optimizers.serialize(FusedAdam(RATE, epsilon=EPSILON))
    assert config["registered_name"] == "recns_tf>FusedAdam"
    assert type(keras.optimizers.deserialize(config)) is FusedAdam


def test_it_refuses_amsgrad():
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(RATE, amsgrad=True)
