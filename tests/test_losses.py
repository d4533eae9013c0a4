import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from tests import oracles

RNG = np.random.default_rng(1)
USERS = RNG.normal(size=(7, 3))
POSITIVES = RNG.normal(size=(7, 3))
NEGATIVES = RNG.normal(size=(7, 4, 3))
POSITIVE_SCORES = tf.constant((USERS * POSITIVES).sum(axis=1), tf.float32)
NEGATIVE_SCORES = tf.constant(np.einsum("bd,bkd->bk", USERS, NEGATIVES), tf.float32)


@pytest.mark.parametrize("name", registry.LOSSES)
@pytest.mark.parametrize("margin", [0.1, 0.7])
def test_losses_follow_their_equations(name, margin):
    loss = registry.LOSSES[name].load()(POSITIVE_SCORES, NEGATIVE_SCORES, margin)
    expected = getattr(oracles, name)(USERS, POSITIVES, NEGATIVES, margin)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", registry.LOSSES)
def test_losses_fall_with_the_positive_and_rise_with_negatives(name):
    loss = registry.LOSSES[name].load()
    positive, negative = tf.constant([0.1, -0.2]), tf.constant([[0.05, 0.1], [-0.1, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch([positive, negative])
        value = loss(positive, negative, 0.5)
    down, up = tape.gradient(value, [positive, negative])
    assert (down.numpy() < 0).all() and (up.numpy() > 0).all()


def test_the_augmented_hinge_is_a_sum_over_pairs():
    loss = registry.LOSSES["augmented_hinge"].load()
    twice = loss(tf.concat([POSITIVE_SCORES] * 2, 0), tf.concat([NEGATIVE_SCORES] * 2, 0), 0.1)
    assert float(twice) == pytest.approx(2 * float(loss(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1)))


def test_hinges_of_sigmoids_agree_with_one_negative_up_to_the_mean():
    augmented, pairwise = (
        registry.LOSSES[name].load() for name in ("augmented_hinge", "pairwise_hinge")
    )
    one = NEGATIVE_SCORES[:, :1]
    expected = 7 * float(pairwise(POSITIVE_SCORES, one, 0.1))
    assert float(augmented(POSITIVE_SCORES, one, 0.1)) == pytest.approx(expected, rel=1e-6)
