import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from recns_tf import losses, registry
from recns_tf.config.config import Config
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


WITH_OPTIONS = [
    ("softmax", {"temperature": 0.2}),
    ("softmax", {"temperature": 3.0}),
    ("bsl", {"temperature": 0.2, "temperature_2": 1.3}),
    ("bsl", {"temperature": 2.0, "temperature_2": 0.5}),
    ("ccl", {"ccl_weight": 0.7}),
    ("ccl", {"ccl_weight": 150.0}),
]


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_losses_follow_their_equations_with_options(name, options):
    loss = losses.with_options(registry.LOSSES[name].load(), Config(**options))
    expected = getattr(oracles, name)(USERS, POSITIVES, NEGATIVES, 0.3, **options)
    assert float(loss(POSITIVE_SCORES, NEGATIVE_SCORES, 0.3)) == pytest.approx(expected, rel=1e-5)
    default = float(registry.LOSSES[name].load()(POSITIVE_SCORES, NEGATIVE_SCORES, 0.3))
    assert default != pytest.approx(expected, rel=1e-2), "the options have an effect"


SCORES = RNG.uniform(-0.9, 0.9, size=(7, 5))
"""Cosines: of the positive, then of four negatives."""


def of_scores(name, scores, **options):
    """Return a loss of scores from its oracle: with one column, embeddings are scores."""
    scores = np.asarray(scores, np.float64)[..., None]
    users = np.ones((len(scores), 1))
    return getattr(oracles, name)(users, scores[:, 0], scores[:, 1:], 0.3, **options)


WRONG = {
    "softmax without the positive in the sum": (
        "softmax", lambda s, t: np.mean(np.log(np.exp(s[:, 1:] / t).sum(axis=1)) - s[:, 0] / t)
    ),
    "softmax over the batch": (
        "softmax", lambda s, t: -np.log(np.exp(s[:, 0] / t).sum() / np.exp(s / t).sum())
    ),
    "softmax, mean instead of sum": (
        "softmax", lambda s, t: np.mean(np.log1p(np.exp((s[:, 1:] - s[:, :1]) / t).mean(axis=1)))
    ),
    "softmax times the temperature": ("softmax", lambda s, t: t * of_scores("softmax", s)),
    "softmax without temperature": ("softmax", lambda s, t: of_scores("softmax", s)),
    "kpair as a mean of pairs": (
        "kpair", lambda s, t: np.mean(np.log1p(np.exp(s[:, 1:] - s[:, :1])))
    ),
    "bsl with the positive in the sum": (
        "bsl", lambda s, t: np.mean(1.3 * np.log(np.exp(s / t).sum(axis=1)) - s[:, 0] / t)
    ),
    "bsl with the weight over the temperature": (
        "bsl",
        lambda s, t: np.mean(1.3 / t * np.log(np.exp(s[:, 1:] / t).sum(axis=1)) - s[:, 0] / t),
    ),
    "bsl with two temperatures": (
        "bsl", lambda s, t: np.mean(np.log(np.exp(s[:, 1:] / 1.3).sum(axis=1)) - s[:, 0] / t)
    ),
    "bsl with a weighted positive": ("bsl", lambda s, t: 1.3 * of_scores("bsl", s, temperature=t)),
    "ccl without margin": (
        "ccl", lambda s, t: np.mean(1 - s[:, 0] + 2 * np.maximum(s[:, 1:], 0).mean(axis=1))
    ),
    "ccl with a margin for the positive": (
        "ccl",
        lambda s, t: np.mean(
            np.maximum(0.7 - s[:, 0], 0) + 2 * np.maximum(s[:, 1:] - 0.3, 0).mean(axis=1)
        ),
    ),
    "ccl with w for each negative": (
        "ccl",
        lambda s, t: np.mean(1 - s[:, 0] + 2 * np.maximum(s[:, 1:] - 0.3, 0).sum(axis=1)),
    ),
}  # fmt: skip
CHOSEN = {
    "softmax": {"temperature": 0.4},
    "kpair": {},
    "bsl": {"temperature": 0.4, "temperature_2": 1.3},
    "ccl": {"ccl_weight": 2.0},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_versions_differ(wrong):
    name, version = WRONG[wrong]
    loss = losses.with_options(registry.LOSSES[name].load(), Config(**CHOSEN[name]))
    scores = tf.constant(SCORES, tf.float32)
    value = float(loss(scores[:, 0], scores[:, 1:], 0.3))
    assert value == pytest.approx(of_scores(name, SCORES, **CHOSEN[name]), rel=1e-5)
    assert value != pytest.approx(version(SCORES, 0.4), rel=1e-2)


@pytest.mark.parametrize("name", CHOSEN)
def test_gradients_agree_with_finite_differences(name):
    loss = losses.with_options(registry.LOSSES[name].load(), Config(**CHOSEN[name]))
    scores = tf.constant(SCORES, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(scores[:, 0], scores[:, 1:], 0.3)
    found = tape.gradient(value, scores).numpy()
    for place in np.ndindex(SCORES.shape):
        values = []
        for step in (1e-5, -1e-5):
            moved = SCORES.copy()
            moved[place] += step
            values.append(of_scores(name, moved, **CHOSEN[name]))
        assert found[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3, abs=1e-6)


def test_losses_of_huge_scores_are_numbers():
    """exp of them is infinite, or 0."""
    scores = tf.constant([[300.0, -300, 200], [-300.0, 300, 300], [0.0, 0, 0]])
    for name in ("softmax", "kpair", "bsl"):
        loss = losses.with_options(registry.LOSSES[name].load(), Config(temperature=0.01))
        with tf.GradientTape() as tape:
            tape.watch(scores)
            value = loss(scores[:, 0], scores[:, 1:], 0.1)
        assert np.isfinite(value) and np.isfinite(tape.gradient(value, scores)).all(), name


def test_losses_that_are_equal_for_some_settings():
    one = NEGATIVE_SCORES[:, :1]
    softmax, kpair, bsl, bpr = (
        registry.LOSSES[name].load() for name in ("softmax", "kpair", "bsl", "bpr")
    )
    assert float(kpair(POSITIVE_SCORES, one, 0.1)) == pytest.approx(
        float(bpr(POSITIVE_SCORES, one, 0.1)), rel=1e-6
    )
    assert float(kpair(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1)) == pytest.approx(
        float(softmax(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1, temperature=1.0)), rel=1e-6
    )
    with_positive = tf.concat([POSITIVE_SCORES[:, None], NEGATIVE_SCORES], axis=1)
    assert float(softmax(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1, temperature=0.3)) == pytest.approx(
        float(bsl(POSITIVE_SCORES, with_positive, 0.1, temperature=0.3)), rel=1e-5
    )


def own(positive, negative, margin):
    return tf.reduce_mean(negative - positive[:, None] + margin)


@keras.saving.register_keras_serializable(package="tests")
def own_with_option(positive, negative, margin, *, temperature=1.0, sharpness=2.0):
    return tf.reduce_mean(sharpness * (negative - positive[:, None]) / temperature + margin)


def of_another_kind(positive, negative, margin, temperature=1.0):
    return own(positive, negative, margin) / temperature


def test_options_are_passed_by_name_to_losses_that_declare_them():
    settings = Config(temperature=0.25)
    for loss in (own, of_another_kind, registry.LOSSES["pairwise_hinge"].load(), max):
        assert losses.with_options(loss, settings) is loss
    given = losses.with_options(own_with_option, settings)
    value = float(given(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1))
    gap = float(own(POSITIVE_SCORES, NEGATIVE_SCORES, 0.0))
    assert value == pytest.approx(8 * gap + 0.1, rel=1e-5)
    assert not losses.fault(own_with_option) and not losses.fault(given)


def test_a_loss_with_options_is_saved():
    for loss in (registry.LOSSES["bsl"].load(), own_with_option):
        given = losses.with_options(loss, Config(temperature=0.25, temperature_2=1.5))
        text = json.dumps(keras.saving.serialize_keras_object(given))
        copy = keras.saving.deserialize_keras_object(json.loads(text))
        assert copy.loss is loss and copy.options == given.options
        one, other = (float(each(POSITIVE_SCORES, NEGATIVE_SCORES, 0.1)) for each in (given, copy))
        assert one == other


@pytest.mark.parametrize("name", registry.LOSSES)
def test_losses_fall_with_the_positive_and_rise_with_negatives(name):
    loss = registry.LOSSES[name].load()
    positive, negative = tf.constant([0.1, -0.2]), tf.constant([[0.05, 0.1], [-0.1, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch([positive, negative])
        # Negatives below the margin of ccl have no gradient.
        value = loss(positive, negative, -0.5 if name == "ccl" else 0.5)
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


KEPT = RNG.random((7, 4)) < 0.6
KEPT[2], KEPT[4] = False, True
"""Of the 7 pairs, one has no negatives and one has all."""


def of_rows(name, margin, **options):
    """Return a loss with left-out negatives from the oracle of each pair with the others."""
    total = 0.0
    for row in range(7):
        if KEPT[row].any():
            negatives = NEGATIVES[row, KEPT[row]][None]
            value = getattr(oracles, name)(
                USERS[row][None], POSITIVES[row][None], negatives, margin, **options
            )
            total += value / (1 if name == "augmented_hinge" else 7)
    return total


def leaving_out(name, margin, kept, negative=NEGATIVE_SCORES, **options):
    loss = losses.with_options(registry.LOSSES[name].load(), Config(**options))
    scores = [tf.constant(POSITIVE_SCORES), tf.constant(negative)]
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(*scores, margin, kept=tf.constant(kept))
    return float(value), [each.numpy() for each in tape.gradient(value, scores)]


WITH_KEPT = [
    *((name, {}) for name in registry.LOSSES),
    ("softmax", {"temperature": 0.2}),
    ("bsl", {"temperature": 0.2, "temperature_2": 1.3}),
    ("ccl", {"ccl_weight": 0.7}),
]


@pytest.mark.parametrize(("name", "options"), WITH_KEPT)
def test_negatives_that_are_left_out_count_nowhere(name, options):
    value, gradients = leaving_out(name, 0.3, KEPT, **options)
    assert value == pytest.approx(of_rows(name, 0.3, **options), rel=1e-5)
    whole = getattr(oracles, name)(USERS, POSITIVES, NEGATIVES, 0.3, **options)
    assert value != pytest.approx(whole, rel=1e-3)
    assert all(np.isfinite(each).all() for each in gradients)
    assert (gradients[1][~KEPT] == 0).all() and (gradients[1][KEPT] != 0).any()
    assert gradients[0][2] == 0, "nor does the positive of a pair without negatives"
    # Whatever the scores of the others are.
    moved = np.where(KEPT, NEGATIVE_SCORES, 50.0).astype(np.float32)
    assert leaving_out(name, 0.3, KEPT, moved, **options)[0] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", registry.LOSSES)
def test_a_loss_without_left_out_negatives_is_that_of_all(name):
    value, gradients = leaving_out(name, 0.3, np.ones((7, 4), bool))
    plain = registry.LOSSES[name].load()(POSITIVE_SCORES, NEGATIVE_SCORES, 0.3)
    assert value == pytest.approx(float(plain), rel=1e-6)
    nothing, gradients = leaving_out(name, 0.3, np.zeros((7, 4), bool))
    assert nothing == 0 and not any(each.any() for each in gradients)
